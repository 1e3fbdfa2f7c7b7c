// SPDX-License-Identifier: GPL-2.0
/*
 * What a response says of its connection: the fields Connection (RFC 9112 9.3)
 * and Keep-Alive (RFC 2068 19.7.1), both lists that may be spread over lines.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http_header.h"
#include "kactl.h"

#define SECONDS_MAX	INT32_MAX	/* 68 years, and as many requests */

/* An element of a list. */
struct word {
	const char *text;
	size_t len;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static struct word trim(const char *text, size_t len)
{
	while (len && is_space(*text)) {
		text++;
		len--;
	}
	while (len && (is_space(text[len - 1]) || text[len - 1] == '\r' ||
		       text[len - 1] == '\n'))
		len--;
	return (struct word){ text, len };
}

static bool is(struct word w, const char *name)
{
	return w.len == strlen(name) && !strncasecmp(w.text, name, w.len);
}

/* The next element that is not empty; commas in quotes part nothing. */
static bool next_word(const char **list, struct word *w)
{
	const char *p = *list, *from = p;
	bool quoted = false;

	for (;; p++) {
		if (*p == '"')
			quoted = !quoted;
		else if (*p == '\\' && quoted && p[1])
			p++;
		if (*p && (*p != ',' || quoted))
			continue;
		*w = trim(from, (size_t)(p - from));
		if (w->len || !*p)
			break;
		from = p + 1;
	}
	*list = *p ? p + 1 : p;
	return w->len != 0;
}

/* Digits, in quotes or not; false if they are no number that can be meant. */
static bool number(struct word w, int64_t *value)
{
	if (w.len >= 2 && w.text[0] == '"' && w.text[w.len - 1] == '"')
		w = trim(w.text + 1, w.len - 2);
	if (!w.len)
		return false;
	for (*value = 0; w.len; w.text++, w.len--) {
		if (!isdigit((unsigned char)*w.text))
			return false;
		*value = 10 * *value + (*w.text - '0');
		if (*value > SECONDS_MAX)
			return false;
	}
	return true;
}

static void parse_connection(struct http_header *h)
{
	const char *list = h->connection.text;
	struct word w;

	h->close = false;
	h->stay = false;
	while (next_word(&list, &w)) {
		h->close |= is(w, "close");
		h->stay |= is(w, "keep-alive");
	}
}

/* If one is there twice the smaller one counts: it is the one to be safe with. */
static void parse_keep_alive(struct http_header *h)
{
	const char *list = h->keep_alive.text, *equals;
	struct word w, name;
	int64_t n, *value;

	h->timeout = -1;
	h->max = -1;
	h->silly[0] = '\0';
	while (next_word(&list, &w)) {
		equals = memchr(w.text, '=', w.len);
		if (!equals)
			continue;
		name = trim(w.text, (size_t)(equals - w.text));
		value = is(name, "timeout") ? &h->timeout :
			is(name, "max") ? &h->max : NULL;
		if (!value)
			continue;
		if (!number(trim(equals + 1, (size_t)(w.text + w.len - equals - 1)), &n))
			snprintf(h->silly, sizeof(h->silly), "%.*s", (int)w.len, w.text);
		else if (*value < 0 || n < *value)
			*value = n;
	}
}

static void add(struct http_field *f, struct word w, const char *between)
{
	size_t used = strlen(f->text), n = used ? strlen(between) : 0;

	f->there = true;
	if (used + n + w.len >= sizeof(f->text)) {
		f->cut = true;
		return;
	}
	memcpy(f->text + used, between, n);
	memcpy(f->text + used + n, w.text, w.len);
	f->text[used + n + w.len] = '\0';
}

/* A response begins: what was said before was a redirect or an interim one. */
static void begin(struct http_header *h, struct word w)
{
	char line[HTTP_WORD_MAX];
	int major = 0, minor = 0;

	*h = (struct http_header){ .timeout = -1, .max = -1 };
	snprintf(line, sizeof(line), "%.*s", (int)w.len, w.text);
	/* HTTP/2 has no minor number. */
	if (sscanf(line, "HTTP/%1d.%1d %3d", &major, &minor, &h->status) < 2)
		sscanf(line, "HTTP/%1d %3d", &major, &h->status);
	h->version = 10 * major + minor;
}

/**
 * http_header_line - read a line of a response's header
 * @h: what is known so far
 * @line: the line, which need not end with a zero; has no zero in it
 * @len: its length
 */
void http_header_line(struct http_header *h, const char *line, size_t len)
{
	struct word w = trim(line, len), name;
	const char *colon;

	if (w.len >= strlen("HTTP/") && !strncmp(line, "HTTP/", strlen("HTTP/"))) {
		begin(h, w);
		return;
	}
	if (w.len && is_space(*line)) {
		if (h->last)
			add(h->last, w, " ");
	} else {
		colon = memchr(w.text, ':', w.len);
		h->last = NULL;
		if (!colon)
			return;
		name = trim(w.text, (size_t)(colon - w.text));
		if (is(name, "connection"))
			h->last = &h->connection;
		else if (is(name, "keep-alive"))
			h->last = &h->keep_alive;
		else
			return;
		add(h->last, trim(colon + 1, (size_t)(w.text + w.len - colon - 1)), ", ");
	}
	parse_connection(h);
	parse_keep_alive(h);
}

/* Does the connection stay, by RFC 9112 9.3? Close has the last word. */
bool http_header_persistent(const struct http_header *h)
{
	return !h->close && (h->version >= 11 || h->stay);
}

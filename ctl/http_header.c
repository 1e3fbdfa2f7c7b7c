// SPDX-License-Identifier: GPL-2.0
/*
 * What a response says of its connection: the fields Connection (RFC 9112 9.3)
 * and Keep-Alive (RFC 2068 19.7.1), both lists that may be spread over lines.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
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

/* If one is there twice the smaller one counts: it is the one to be safe with. */
static void parse_parameter(struct http_header *h, struct word w, bool cut)
{
	const char *equals = memchr(w.text, '=', w.len);
	int64_t n, *value;
	struct word name;

	if (!equals)
		return;
	name = trim(w.text, (size_t)(equals - w.text));
	value = is(name, "timeout") ? &h->timeout : is(name, "max") ? &h->max : NULL;
	if (!value)
		return;
	if (cut || !number(trim(equals + 1, (size_t)(w.text + w.len - equals - 1)), &n))
		snprintf(h->silly, sizeof(h->silly), "%.*s", (int)w.len, w.text);
	else if (*value < 0 || n < *value)
		*value = n;
}

/* An element is whole. */
static void element(struct http_header *h, struct http_field *f)
{
	struct word w = trim(f->text, f->len);

	if (f == &h->keep_alive) {
		parse_parameter(h, w, f->cut);
	} else {
		h->close |= is(w, "close");
		h->stay |= is(w, "keep-alive");
	}
	f->cut = false;
	f->len = 0;
}

/* Elements are parted by commas; those in quotes part nothing. */
static void read_char(struct http_header *h, struct http_field *f, char c)
{
	if (c == ',' && !f->quoted) {
		element(h, f);
		return;
	}
	if (f->escaped)
		f->escaped = false;
	else if (c == '"')
		f->quoted = !f->quoted;
	else
		f->escaped = c == '\\' && f->quoted;
	/* Any number of blanks may come first. */
	if (!f->len && is_space(c))
		return;
	if (f->len < sizeof(f->text))
		f->text[f->len++] = c;
	else
		f->cut = true;
}

static void show(struct http_header *h, struct word w, const char *between)
{
	size_t used = strlen(h->shown), room = sizeof(h->shown) - used;

	h->shown_cut |= snprintf(h->shown + used, room, "%s%.*s", used ? between : "",
				 (int)w.len, w.text) >= (int)room;
}

/* A line of it, which may not be the last: an element may go on in one that is folded. */
static void read_line(struct http_header *h, struct http_field *f, struct word w,
		      const char *between)
{
	f->there = true;
	if (f == &h->connection)
		show(h, w, between);
	/* Where a line is folded is a blank. */
	read_char(h, f, ' ');
	for (; w.len; w.text++, w.len--)
		read_char(h, f, *w.text);
}

/* The field is whole. */
static void field_end(struct http_header *h)
{
	if (!h->last)
		return;
	element(h, h->last);
	h->last->quoted = false;
	h->last->escaped = false;
	h->last = NULL;
}

/* A response begins: what was said before was a redirect or an interim one. */
static void begin(struct http_header *h, struct word w)
{
	char line[HTTP_WORD_MAX], status[4] = "";
	int major = 0, minor = 0;

	*h = (struct http_header){ .timeout = -1, .max = -1 };
	snprintf(line, sizeof(line), "%.*s", (int)w.len, w.text);
	/* HTTP/2 has no minor number. A status has no sign. */
	if (sscanf(line, "HTTP/%1d.%1d %3[0-9]", &major, &minor, status) < 2)
		sscanf(line, "HTTP/%1d %3[0-9]", &major, status);
	h->status = atoi(status);
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
	if (h->ended)
		return;
	if (len && is_space(*line)) {
		if (h->last)
			read_line(h, h->last, w, " ");
		return;
	}
	field_end(h);
	h->ended = !w.len;
	colon = memchr(w.text, ':', w.len);
	if (!colon)
		return;
	name = trim(w.text, (size_t)(colon - w.text));
	if (is(name, "connection"))
		h->last = &h->connection;
	else if (is(name, "keep-alive"))
		h->last = &h->keep_alive;
	if (h->last)
		read_line(h, h->last, trim(colon + 1, (size_t)(w.text + w.len - colon - 1)), ", ");
}

/* Does the connection stay, by RFC 9112 9.3? Close has the last word. */
bool http_header_persistent(const struct http_header *h)
{
	return !h->close && (h->version >= 11 || h->stay);
}

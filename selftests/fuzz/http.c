// SPDX-License-Identifier: GPL-2.0
/*
 * What kactl reads of HTTP, with libFuzzer: a server's header, the URLs of server
 * and proxy, what --behind names, a client's Accept. The first byte of the input
 * says which.
 *
 * The sanitizers look for what must not happen; and what is the same has to mean
 * the same: lines that end in another way, names in another case, a URL that was
 * taken once.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "accept.h"
#include "http.h"
#include "middlebox.h"

#define CHECK(what)						\
	do {							\
		if (!(what)) {					\
			fprintf(stderr, "not so: %s\n", #what);	\
			abort();				\
		}						\
	} while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Messages are made, so that what they are made of is read. */
static void said(const char *fmt, va_list args)
{
	char *text;

	CHECK(vasprintf(&text, fmt, args) >= 0);
	free(text);
}

enum status fail(enum status status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	said(fmt, args);
	va_end(args);
	return status;
}

void warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	said(fmt, args);
	va_end(args);
}

/* --- a response's header --- */

enum how { AS_IT_IS, IN_CAPITALS, WITHOUT_CR };

/* A copy without more room than it takes: what reads beyond it is noticed. */
static void header_line(struct http_header *h, const char *from, size_t len, enum how how)
{
	bool status_line = len >= 5 && !strncasecmp(from, "HTTP/", 5);
	char *line;

	while (how == WITHOUT_CR && len && (from[len - 1] == '\n' || from[len - 1] == '\r'))
		len--;
	line = malloc(len ?: 1);
	CHECK(line);
	memcpy(line, from, len);
	for (size_t i = 0; how == IN_CAPITALS && !status_line && i < len; i++)
		line[i] = (char)toupper((unsigned char)line[i]);
	http_header_line(h, line, len);
	free(line);
}

static void header_read(struct http_header *h, const char *text, enum how how)
{
	*h = (struct http_header){ .timeout = -1, .max = -1 };
	while (*text) {
		size_t len = strcspn(text, "\n");

		len += text[len] == '\n';
		header_line(h, text, len, how);
		text += len;
	}
}

static void header_same(const struct http_header *a, const struct http_header *b)
{
	CHECK(a->version == b->version && a->status == b->status && a->ended == b->ended);
	CHECK(a->close == b->close && a->stay == b->stay);
	CHECK(a->timeout == b->timeout && a->max == b->max);
	CHECK(!*a->silly == !*b->silly && strlen(a->shown) == strlen(b->shown));
}

static void fuzz_header(const char *text)
{
	struct http_header h, other;

	header_read(&h, text, AS_IT_IS);
	CHECK(memchr(h.shown, '\0', sizeof(h.shown)) && memchr(h.silly, '\0', sizeof(h.silly)));
	CHECK(h.timeout >= -1 && h.timeout <= INT32_MAX && h.max >= -1 && h.max <= INT32_MAX);
	CHECK(h.status >= 0 && h.status <= 999 && h.version >= 0 && h.version <= 99);
	CHECK(!h.close || !http_header_persistent(&h));
	header_read(&other, text, IN_CAPITALS);
	header_same(&h, &other);
	header_read(&other, text, WITHOUT_CR);
	header_same(&h, &other);
}

/* --- URLs --- */

static void fuzz_url(const char *text)
{
	struct http_want want = { 0 }, again = { 0 };

	if (http_url_set(&want, text)) {
		CHECK(!want.url && !want.shown);
		return;
	}
	CHECK(!strncmp(want.url, "http://", 7) || !strncmp(want.url, "https://", 8));
	/* It is asked for as it was taken, and shown without its password. */
	CHECK(!http_url_set(&again, want.url));
	CHECK(!strcmp(want.url, again.url) && !strcmp(want.shown, again.shown));
	CHECK(!http_url_set(&again, want.shown));
	CHECK(!strcmp(again.url, want.shown) && !strcmp(again.shown, want.shown));
	free(want.url);
	free(want.shown);
	free(again.url);
	free(again.shown);
}

/* --- words --- */

static void fuzz_proxy(const char *text)
{
	(void)http_proxy_check(text);
}

static void fuzz_behind(const char *text)
{
	struct middlebox box;

	if (middlebox_parse("--behind", text, &box))
		return;
	CHECK(box.idle > 0);
	CHECK(box.name ? !strcmp(box.name, text) : box.layer == MIDDLEBOX_ANY);
}

static void fuzz_accept(const char *text)
{
	char *longer;

	CHECK(asprintf(&longer, "%s,text/plain", text) > 0);
	/* Asked for by its name, with all the weight there is, it is not the lesser one. */
	if (accept_format(text) == METRICS_TEXT)
		CHECK(accept_format(longer) == METRICS_TEXT);
	free(longer);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	CHECK(!curl_load());
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const targets[])(const char *text) = {
		fuzz_header, fuzz_url, fuzz_proxy, fuzz_behind, fuzz_accept,
	};
	char *text;

	if (!size || *data >= sizeof(targets) / sizeof(*targets))
		return -1;
	text = strndup((const char *)data + 1, size - 1);
	CHECK(text);
	targets[*data](text);
	free(text);
	return 0;
}

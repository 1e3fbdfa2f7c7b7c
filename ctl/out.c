// SPDX-License-Identifier: GPL-2.0
/*
 * Standard output, as text for people or as one JSON document for programs.
 * Objects are written as they are completed, so that no number of them takes
 * memory, and the document is closed whatever happened on the way.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include <json-c/json.h>

#include "kactl.h"
#include "out.h"

#define NAME_WIDTH	18
#define VALUE_WIDTH	10

static struct json_object *object;
static unsigned int objects;
static bool lines;
static int write_errno;

static void vsay(const char *fmt, va_list ap)
{
	fputs("kactl: ", stderr);
	if (ka.netns)
		fprintf(stderr, "netns %s: ", ka.netns);
	if (ka.command)
		fprintf(stderr, "%s: ", ka.command);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

enum status fail(enum status status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsay(fmt, ap);
	va_end(ap);
	return status;
}

void warn(const char *fmt, ...)
{
	va_list ap;

	if (ka.quiet)
		return;
	va_start(ap, fmt);
	vsay(fmt, ap);
	va_end(ap);
}

/*
 * Write to standard output. What went wrong is kept from the moment it does:
 * at the end nobody knows any more.
 */
void out_text(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vprintf(fmt, ap) < 0 && !write_errno)
		write_errno = errno;
	va_end(ap);
}

/* One object a line, flushed as it ends, instead of an array. */
void out_lines(void)
{
	lines = true;
}

void out_object(void)
{
	if (ka.json)
		object = json_object_new_object();
	else if (objects)
		out_text("\n");
}

static void json_write(void)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *text;

	if (ka.pretty && !lines)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	text = object ? json_object_to_json_string_ext(object, flags) : NULL;
	if (!text)
		write_errno = ENOMEM;
	else if (lines)
		out_text("%s\n", text);
	else
		out_text("%s%s", objects ? ",\n" : "[\n", text);
	if (text)
		objects++;
	json_object_put(object);
	object = NULL;
}

void out_object_end(void)
{
	if (ka.json)
		json_write();
	else
		objects++;
}

static void json_add(const char *name, struct json_object *value)
{
	if (value && object && !json_object_object_add(object, name, value))
		return;
	json_object_put(value);
	write_errno = ENOMEM;
}

static void text_add(const char *name, const char *value, const char *gloss)
{
	out_text("%s%-*s%s ", ka.color ? "\033[36m" : "", NAME_WIDTH, name,
		 ka.color ? "\033[0m" : "");
	if (gloss && *gloss)
		out_text("%-*s  %s\n", VALUE_WIDTH, value, gloss);
	else
		out_text("%s\n", value);
}

void out_null(const char *name)
{
	if (!ka.json)
		text_add(name, "-", NULL);
	else if (!object || json_object_object_add(object, name, NULL))
		write_errno = ENOMEM;
}

/*
 * The names of files and programs are other people's: what is not UTF-8 would
 * spoil the JSON, and control characters the terminal.
 */
static char *clean(const char *s)
{
	char *copy = calloc(1, strlen(s) + 1);
	char *to = copy;
	mbstate_t state;
	wchar_t wc;
	size_t n;

	for (; copy && *s; s += n) {
		memset(&state, 0, sizeof(state));
		n = mbrtowc(&wc, s, strlen(s), &state);
		if (n > strlen(s)) {
			n = 1;
			*to++ = '?';
		} else if (!ka.json && iswcntrl((wint_t)wc)) {
			*to++ = '?';
		} else {
			memcpy(to, s, n);
			to += n;
		}
	}
	return copy;
}

void out_str(const char *name, const char *value)
{
	char *s = clean(value);

	if (!s)
		write_errno = ENOMEM;
	else if (ka.json)
		json_add(name, json_object_new_string(s));
	else
		text_add(name, s, NULL);
	free(s);
}

void out_int(const char *name, int64_t value, const char *gloss)
{
	char text[24];

	if (ka.json) {
		json_add(name, json_object_new_int64(value));
		return;
	}
	snprintf(text, sizeof(text), "%" PRId64, value);
	text_add(name, text, gloss);
}

void out_uint(const char *name, uint64_t value, const char *gloss)
{
	char text[24];

	if (ka.json) {
		json_add(name, json_object_new_uint64(value));
		return;
	}
	snprintf(text, sizeof(text), "%" PRIu64, value);
	text_add(name, text, gloss);
}

/* A position that only a newer module knows is shown as its number. */
void out_switch(const char *name, uint8_t value)
{
	if (value > 1)
		out_uint(name, value, NULL);
	else if (ka.json)
		json_add(name, json_object_new_boolean(value));
	else
		text_add(name, value ? "on" : "off", NULL);
}

/* Show the attributes of a newer module, those beyond @known. */
void out_unknown(struct nlattr *attrs, int len, int known)
{
	char name[16], bytes[32];
	struct nlattr *attr;
	int rem;

	nla_for_each_attr(attr, attrs, len, rem) {
		if (nla_type(attr) <= known)
			continue;
		snprintf(name, sizeof(name), "attr %d", nla_type(attr));
		switch (nla_len(attr)) {
		case sizeof(uint8_t):
			out_uint(name, nla_get_u8(attr), NULL);
			break;
		case sizeof(uint16_t):
			out_uint(name, nla_get_u16(attr), NULL);
			break;
		case sizeof(uint32_t):
			out_uint(name, nla_get_u32(attr), NULL);
			break;
		case sizeof(uint64_t):
			out_uint(name, nla_get_u64(attr), NULL);
			break;
		default:
			snprintf(bytes, sizeof(bytes), "%d bytes",
				 nla_len(attr));
			out_str(name, bytes);
		}
	}
}

/* Hand over what was written so far; fails when nobody can read it. */
enum status out_flush(void)
{
	static bool said;

	if (fflush(stdout) && !write_errno)
		write_errno = errno;
	if (!write_errno)
		return ST_DONE;
	/* A reader that has seen enough closes the pipe: nothing to say. */
	if (!said && write_errno != EPIPE)
		fail(ST_REFUSED, "cannot write: %s", strerror(write_errno));
	said = true;
	return ST_REFUSED;
}

/* Close the document. Returns @status, or the failure to write it. */
enum status out_end(enum status status)
{
	enum status written;

	if (ka.json && !lines)
		out_text(objects ? "\n]\n" : "[]\n");
	written = out_flush();
	return status ? status : written;
}

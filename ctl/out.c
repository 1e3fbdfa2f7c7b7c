// SPDX-License-Identifier: GPL-2.0
/*
 * Standard output, as text for people or as one JSON document for programs.
 * All is written as it comes, so that no number of objects takes memory, and
 * the document is closed whatever happened on the way. A namespace may have a
 * hundred thousand connections: what each of them takes is kept from stdio.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "attr.h"
#include "intr.h"
#include "kactl.h"
#include "out.h"

#define NAME_WIDTH	18
#define VALUE_WIDTH	10
#define DIGITS_MAX	20	/* of 64 bits */

static char buffer[64 * 1024];
static size_t used;
static int write_errno;

static unsigned int objects;	/* begun, of the document's own */
static unsigned int depth;	/* of objects and arrays that are open */
static bool lines, rows;
static bool begun;		/* the innermost has something in it */

static void vsay(const char *fmt, va_list ap)
{
	out_flush();
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
 * What went wrong is kept from the moment it does: at the end nobody knows any
 * more. A line that nobody takes does not keep Ctrl-C waiting; a document is
 * to be whole.
 */
static void write_out(void)
{
	const char *from = buffer;
	ssize_t n;

	while (used && !write_errno) {
		n = write(STDOUT_FILENO, from, used);
		if (n >= 0) {
			from += n;
			used -= (size_t)n;
		} else if (errno != EINTR) {
			write_errno = errno;
		} else if (lines && intr_caught()) {
			break;
		}
	}
	used = 0;
}

/* Where the next @n bytes go, which the buffer can hold. */
static char *room(size_t n)
{
	if (n > sizeof(buffer) - used)
		write_out();
	return buffer + used;
}

static void put(const char *s, size_t n)
{
	size_t some;

	for (; n; n -= some, s += some) {
		some = n < sizeof(buffer) ? n : sizeof(buffer);
		memcpy(room(some), s, some);
		used += some;
	}
}

static void put_char(char c)
{
	*room(1) = c;
	used++;
}

static void put_uint(uint64_t value)
{
	char text[DIGITS_MAX], *p = text + sizeof(text);

	do {
		*--p = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	put(p, (size_t)(text + sizeof(text) - p));
}

/* Write to standard output; help is the longest there is. */
void out_text(const char *fmt, ...)
{
	va_list ap;
	int n;

	room(sizeof(buffer) / 2);
	va_start(ap, fmt);
	n = vsnprintf(buffer + used, sizeof(buffer) - used, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(buffer) - used)
		write_errno = EOVERFLOW;
	else
		used += (size_t)n;
}

/* One object a line, flushed as it ends, instead of an array. */
void out_lines(void)
{
	lines = true;
}

/* In text too: the values of an object in a line, those that there are. */
void out_rows(void)
{
	rows = true;
}

static void indent(void)
{
	unsigned int i;

	put_char('\n');
	for (i = 0; i <= depth; i++)
		put("  ", 2);
}

/* Before a value within an object or an array. */
static void json_next(void)
{
	if (begun)
		put_char(',');
	begun = true;
	if (ka.pretty && !lines)
		indent();
}

static void json_open(char bracket)
{
	put_char(bracket);
	depth++;
	begun = false;
}

static void json_close(char bracket)
{
	depth--;
	if (begun && ka.pretty && !lines)
		indent();
	put_char(bracket);
	begun = true;
}

void out_object(void)
{
	if (!ka.json) {
		if (objects++ && !rows)
			put_char('\n');
		begun = false;
	} else if (depth) {
		json_next();
		json_open('{');
	} else {
		if (!lines)
			put(objects ? ",\n" : "[\n", 2);
		if (!lines && ka.pretty)
			put("  ", 2);
		json_open('{');
		objects++;
	}
}

void out_object_end(void)
{
	static int watched = -1;

	if (ka.json)
		json_close('}');
	else if (rows)
		put_char('\n');
	if (depth)
		return;
	if (ka.json && lines)
		put_char('\n');
	if (watched < 0)
		watched = isatty(STDOUT_FILENO);
	if (lines || watched)
		write_out();
}

static void key(const char *name)
{
	size_t n = strlen(name);
	char *p;

	json_next();
	p = room(n + 4);
	*p++ = '"';
	memcpy(p, name, n);
	p += n;
	*p++ = '"';
	*p++ = ':';
	used += n + 3;
	if (ka.pretty && !lines)
		put_char(' ');
}

static const char *color(void)
{
	return ka.color ? "\033[36m" : "";
}

static const char *color_end(void)
{
	return ka.color ? "\033[0m" : "";
}

/* Before a value in a row. */
static void row_next(void)
{
	if (begun)
		put_char(' ');
	begun = true;
}

static void row_name(const char *name)
{
	row_next();
	if (ka.color)
		put(color(), strlen(color()));
	put(name, strlen(name));
	if (ka.color)
		put(color_end(), strlen(color_end()));
	put_char(' ');
}

/* A value of a row whose place says what it is. */
void out_word(const char *value)
{
	row_next();
	put(value, strlen(value));
}

static void text_name(const char *name)
{
	out_text("%s%-*s%s ", color(), NAME_WIDTH, name, color_end());
}

static void text_add(const char *name, const char *value, const char *gloss)
{
	text_name(name);
	if (gloss && *gloss)
		out_text("%-*s  %s\n", VALUE_WIDTH, value, gloss);
	else
		out_text("%s\n", value);
}

void out_array(const char *name)
{
	key(name);
	json_open('[');
}

void out_array_end(void)
{
	json_close(']');
}

void out_null(const char *name)
{
	if (ka.json) {
		key(name);
		put("null", 4);
	} else if (!rows) {
		text_add(name, "-", NULL);
	}
}

static void put_escaped(unsigned char c)
{
	char text[8];

	if (c >= ' ') {
		put_char('\\');
		put_char((char)c);
		return;
	}
	snprintf(text, sizeof(text), "\\u%04x", c);
	put(text, strlen(text));
}

/*
 * The names of files and programs are other people's: what is not UTF-8 would
 * spoil the JSON, and control characters the terminal.
 */
static void put_clean(const char *s)
{
	const char *end = s + strlen(s);
	mbstate_t state;
	wchar_t wc;
	size_t n;

	for (; s < end; s += n) {
		memset(&state, 0, sizeof(state));
		n = mbrtowc(&wc, s, (size_t)(end - s), &state);
		if (n > (size_t)(end - s)) {
			n = 1;
			put_char('?');
		} else if (ka.json && (*s == '"' || *s == '\\' ||
				       (unsigned char)*s < ' ')) {
			put_escaped((unsigned char)*s);
		} else if (!ka.json && iswcntrl((wint_t)wc)) {
			put_char('?');
		} else {
			put(s, n);
		}
	}
}

void out_str(const char *name, const char *value)
{
	if (ka.json) {
		key(name);
		put_char('"');
		put_clean(value);
		put_char('"');
		return;
	}
	if (rows)
		row_name(name);
	else
		text_name(name);
	put_clean(value);
	if (!rows)
		put_char('\n');
}

/* A string that is our own, and so needs no cleaning. */
void out_name(const char *name, const char *value)
{
	if (ka.json) {
		key(name);
		put_char('"');
		put(value, strlen(value));
		put_char('"');
	} else if (rows) {
		row_name(name);
		put(value, strlen(value));
	} else {
		text_add(name, value, NULL);
	}
}

static void number_out(const char *name, bool negative, uint64_t value,
		       const char *gloss)
{
	char text[DIGITS_MAX + 2];

	if (!ka.json && !rows) {
		snprintf(text, sizeof(text), "%s%" PRIu64, negative ? "-" : "",
			 value);
		text_add(name, text, gloss);
		return;
	}
	if (ka.json)
		key(name);
	else
		row_name(name);
	if (negative)
		put_char('-');
	put_uint(value);
}

void out_int(const char *name, int64_t value, const char *gloss)
{
	number_out(name, value < 0, value < 0 ? 0 - (uint64_t)value :
						(uint64_t)value, gloss);
}

void out_uint(const char *name, uint64_t value, const char *gloss)
{
	number_out(name, false, value, gloss);
}

/* A position that only a newer module knows is shown as its number. */
void out_switch(const char *name, uint64_t value)
{
	if (value > 1) {
		out_uint(name, value, NULL);
	} else if (ka.json) {
		key(name);
		put(value ? "true" : "false", value ? 4 : 5);
	} else {
		out_name(name, value ? "on" : "off");
	}
}

/* Show the attributes of a newer module, those beyond @known. */
void out_unknown(const struct nlattr *attrs, int len, int known)
{
	const struct nlattr *attr;
	char name[16], bytes[32];
	uint64_t value;
	int left;

	attr_each(attr, attrs, len, left) {
		if (attr_type(attr) <= known)
			continue;
		snprintf(name, sizeof(name), "attr %d", attr_type(attr));
		if (attr_uint(attr, &value)) {
			out_uint(name, value, NULL);
			continue;
		}
		snprintf(bytes, sizeof(bytes), "%d bytes", attr_len(attr));
		out_name(name, bytes);
	}
}

/* True if there is no sense in writing more. */
bool out_failed(void)
{
	return write_errno != 0;
}

/* Hand over what was written so far; fails when nobody can read it. */
enum status out_flush(void)
{
	static bool said;

	write_out();
	if (!write_errno)
		return ST_DONE;
	/* A reader that has seen enough closes the pipe: nothing to say. */
	if (!said && write_errno != EPIPE) {
		said = true;
		fail(ST_REFUSED, "cannot write: %s", strerror(write_errno));
	}
	return ST_REFUSED;
}

/* Close the document. Returns @status, or the failure to write it. */
enum status out_end(enum status status)
{
	enum status written;

	if (ka.json && !lines) {
		if (objects)
			put("\n]\n", 3);
		else
			put("[]\n", 3);
	}
	written = out_flush();
	return status ? status : written;
}

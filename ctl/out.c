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

/*
 * A name with all that parts its value from the one before. One object after
 * another has the same names in the same order, so that they are made once.
 */
#define LABEL_MAX	48
#define NR_LABELS	48
#define VALUE_MAX	80	/* of a number, or a name that is our own */

static struct label {
	const char *name;	/* of the last one always NULL */
	bool begun;
	uint8_t len;
	char text[LABEL_MAX];
} labels[NR_LABELS], *label = labels;	/* the object's next one */

static void vsay(const char *fmt, va_list ap)
{
	out_flush();
	fputs("kactl: ", stderr);
	if (ka.netns)
		fprintf(stderr, "netns %s: ", ka.netns);
	if (ka.command)
		fprintf(stderr, "%s: ", ka.command);
	if (ka.line)
		fprintf(stderr, "%s:%u: ", ka.file, ka.line);
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
static inline char *room(size_t n)
{
	if (n > sizeof(buffer) - used)
		write_out();
	return buffer + used;
}

/* Nothing that is put at once is longer than the buffer. */
static inline void put(const char *s, size_t n)
{
	memcpy(room(n), s, n);
	used += n;
}

static void put_char(char c)
{
	*room(1) = c;
	used++;
}

/* Two digits each. */
#define TEN(d)								\
	d "0" d "1" d "2" d "3" d "4" d "5" d "6" d "7" d "8" d "9"

/* Of a number, at most DIGITS_MAX; returns where they end. */
static inline char *digits(char *to, uint64_t value)
{
	static const char pairs[] =
		TEN("0") TEN("1") TEN("2") TEN("3") TEN("4")
		TEN("5") TEN("6") TEN("7") TEN("8") TEN("9");
	char text[2 * DIGITS_MAX], *p = text + DIGITS_MAX;
	uint32_t small;

	if (value < 10) {
		*to = (char)('0' + value);
		return to + 1;
	}
	if (value < 100) {
		memcpy(to, pairs + 2 * value, 2);
		return to + 2;
	}
	for (; value > UINT32_MAX; value /= 10)
		*--p = (char)('0' + value % 10);
	for (small = (uint32_t)value; small >= 100; small /= 100) {
		p -= 2;
		memcpy(p, pairs + 2 * (small % 100), 2);
	}
	p -= 2;
	memcpy(p, pairs + 2 * small, 2);
	p += small < 10;
	/* More than there are, which is cheaper than to see how many. */
	memcpy(to, p, DIGITS_MAX);
	return to + (text + DIGITS_MAX - p);
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

/* The same of what is made already, and of any length. */
void out_bytes(const char *text, size_t len)
{
	size_t n;

	for (; len; text += n, len -= n) {
		n = len < sizeof(buffer) ? len : sizeof(buffer);
		put(text, n);
	}
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

/* Is it only valid when it is whole? */
bool out_is_document(void)
{
	return ka.json && !lines;
}

static bool pretty(void)
{
	return ka.pretty && !lines;
}

/* Where a line begins that is within what is open. */
static int margin(void)
{
	return 2 * (int)(depth + 1);
}

static void indent(void)
{
	out_text("\n%*s", margin(), "");
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
	if (begun && pretty())
		indent();
	put_char(bracket);
	begun = true;
}

void out_object(void)
{
	if (!depth)
		label = labels;
	if (!ka.json) {
		if (objects++ && !rows)
			put_char('\n');
		begun = false;
	} else if (depth) {
		if (begun)
			put_char(',');
		if (pretty())
			indent();
		json_open('{');
	} else {
		if (!lines)
			put(objects ? ",\n" : "[\n", 2);
		if (pretty())
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

static const char *color(void)
{
	return ka.color ? "\033[36m" : "";
}

static const char *color_end(void)
{
	return ka.color ? "\033[0m" : "";
}

static void label_make(struct label *l, const char *name)
{
	const char *part = begun ? "," : "";
	int n;

	if (!ka.json)
		n = snprintf(l->text, LABEL_MAX, "%s%s%s%s ", begun ? " " : "",
			     color(), name, color_end());
	else if (pretty())
		n = snprintf(l->text, LABEL_MAX, "%s\n%*s\"%s\": ", part,
			     margin(), "", name);
	else
		n = snprintf(l->text, LABEL_MAX, "%s\"%s\":", part, name);
	l->len = n < LABEL_MAX ? (uint8_t)n : LABEL_MAX - 1;
	l->begun = begun;
	l->name = name;
}

/* Name a value; what is returned has room for one. */
static char *key(const char *name)
{
	struct label *l = label;

	label_make(l, name);
	if (l < &labels[NR_LABELS - 1])
		label++;
	else
		l->name = NULL;
	put(l->text, l->len);
	begun = true;
	return room(VALUE_MAX);
}

/*
 * The same, if the label is that of the object before and no call is needed,
 * which is what it costs little by; else NULL.
 */
static inline char *key_again(const char *name)
{
	struct label *l = label;
	char *p = buffer + used;

	if (l->name != name || l->begun != begun ||
	    used > sizeof(buffer) - LABEL_MAX - VALUE_MAX)
		return NULL;
	label = l + 1;
	begun = true;
	memcpy(p, l->text, LABEL_MAX);
	return p + l->len;
}

/* A value of a row whose place says what it is. */
void out_word(const char *value)
{
	if (begun)
		put_char(' ');
	begun = true;
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

/* An object within one, which in text is nothing of its own. */
void out_nest(const char *name)
{
	if (!ka.json)
		return;
	key(name);
	json_open('{');
}

void out_nest_end(void)
{
	if (ka.json)
		json_close('}');
}

void out_null(const char *name)
{
	char *p;

	if (ka.json) {
		p = key_again(name) ?: key(name);
		memcpy(p, "null", 4);
		used = (size_t)(p + 4 - buffer);
	} else if (!rows) {
		text_add(name, "-", NULL);
	} else if (label < &labels[NR_LABELS - 1]) {
		label++;
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
 * The length of the character at @s, or 0 if what is there is not UTF-8. The C
 * library takes what Unicode once had room for, and has not any more.
 */
size_t out_char(const char *s, const char *end, wchar_t *wc)
{
	mbstate_t state = { 0 };
	size_t n = mbrtowc(wc, s, (size_t)(end - s), &state);

	return n > (size_t)(end - s) || *wc > 0x10ffff || (*wc & ~0x7ff) == 0xd800 ? 0 : n;
}

/*
 * The names of files and programs are other people's: what is not UTF-8 would
 * spoil the JSON, and control characters the terminal.
 */
static void put_clean(const char *s)
{
	const char *end = s + strlen(s);
	wchar_t wc;
	size_t n;

	for (; s < end; s += n ?: 1) {
		n = out_char(s, end, &wc);
		if (!n) {
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
		key(name);
	else
		text_name(name);
	put_clean(value);
	if (!rows)
		put_char('\n');
}

static void name_out(char *p, const char *value)
{
	if (ka.json)
		*p++ = '"';
	p = stpcpy(p, value);
	if (ka.json)
		*p++ = '"';
	used = (size_t)(p - buffer);
}

/* A string that is our own, and so is short and needs no cleaning. */
void out_name(const char *name, const char *value)
{
	if (!ka.json && !rows)
		text_add(name, value, NULL);
	else
		name_out(key_again(name) ?: key(name), value);
}

static void text_number(const char *name, bool negative, uint64_t value,
			const char *gloss)
{
	char text[DIGITS_MAX + 4], *p = text;

	if (negative)
		*p++ = '-';
	*digits(p, value) = '\0';
	text_add(name, text, gloss);
}

static void number_out(char *p, bool negative, uint64_t value)
{
	if (negative)
		*p++ = '-';
	used = (size_t)(digits(p, value) - buffer);
}

void out_int(const char *name, int64_t value, const char *gloss)
{
	uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	if (!ka.json && !rows)
		text_number(name, value < 0, size, gloss);
	else
		number_out(key_again(name) ?: key(name), value < 0, size);
}

static void uint_slow(const char *name, uint64_t value, const char *gloss)
{
	if (!ka.json && !rows)
		text_number(name, false, value, gloss);
	else
		number_out(key(name), false, value);
}

void out_uint(const char *name, uint64_t value, const char *gloss)
{
	char *p = key_again(name);

	if (p)
		number_out(p, false, value);
	else
		uint_slow(name, value, gloss);
}

/* A number of thousandths, all three digits of them. */
void out_milli(const char *name, int64_t thousandths, const char *gloss)
{
	char text[DIGITS_MAX + 8];

	snprintf(text, sizeof(text), "%" PRId64 ".%03u", thousandths / 1000,
		 (unsigned int)(thousandths % 1000));
	if (!ka.json && !rows)
		text_add(name, text, gloss);
	else
		used = (size_t)(stpcpy(key(name), text) - buffer);
}

/* A string of an array, for JSON alone. */
void out_item(const char *value)
{
	if (begun)
		put_char(',');
	if (pretty())
		indent();
	begun = true;
	put_char('"');
	put_clean(value);
	put_char('"');
}

/* Two numbers, for JSON alone. */
void out_pair(const char *name, uint64_t a, uint64_t b)
{
	char *p = key(name);

	*p++ = '[';
	p = digits(p, a);
	*p++ = ',';
	p = digits(p, b);
	*p++ = ']';
	used = (size_t)(p - buffer);
}

/* A position that only a newer module knows is shown as its number. */
void out_switch(const char *name, uint64_t value)
{
	char *p;

	if (value > 1) {
		out_uint(name, value, NULL);
	} else if (ka.json) {
		p = key_again(name) ?: key(name);
		p = stpcpy(p, value ? "true" : "false");
		used = (size_t)(p - buffer);
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
		label = &labels[NR_LABELS - 1];
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

	if (out_is_document()) {
		if (objects)
			put("\n]\n", 3);
		else
			put("[]\n", 3);
	}
	written = out_flush();
	return status ? status : written;
}

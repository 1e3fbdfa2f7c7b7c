// SPDX-License-Identifier: GPL-2.0
/*
 * Words of the command line. Grammar is refused here; ranges are the kernel's
 * to refuse, but for numbers that no attribute could carry.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kactl.h"
#include "parse.h"

/* Step over the next word if it is the keyword, the whole of it. */
bool args_take(struct args *a, const char *keyword)
{
	if (!*a->word || strcmp(*a->word, keyword))
		return false;
	a->word++;
	return true;
}

/* Take the word that has to follow @name. */
enum status args_value(struct args *a, const char *name, const char **value)
{
	if (!*a->word)
		return fail(ST_USAGE, "missing value after \"%s\"", name);
	*value = *a->word++;
	return ST_DONE;
}

/* The same of what may be given once; @value is NULL before. */
enum status args_once(struct args *a, const char *name, const char **value)
{
	if (*value)
		return fail(ST_USAGE, "\"%s\" given twice", name);
	return args_value(a, name, value);
}

enum status args_unknown(const struct args *a)
{
	return fail(ST_USAGE, "unknown word \"%s\"%s", *a->word,
		    **a->word == '-' ?
		    " (options common to all commands go before the object)" :
		    "");
}

/* Take the name of a file, and nothing after it; NULL if there is none. */
enum status args_file(struct args *a, const char **path)
{
	*path = NULL;
	/* It is a misplaced option sooner than the name of a file. */
	if (*a->word && **a->word == '-')
		return args_unknown(a);
	if (*a->word && !**a->word)
		return fail(ST_USAGE, "\"\": not a file");
	if (*a->word)
		*path = *a->word++;
	return args_end(a);
}

/* Refuse what is left over. */
enum status args_end(const struct args *a)
{
	return *a->word ? args_unknown(a) : ST_DONE;
}

static const char *skip_digits(const char *s)
{
	while (isdigit((unsigned char)*s))
		s++;
	return s;
}

/*
 * A whole number; what int64_t cannot hold is the nearest that it can. strtoll()
 * would take blanks, a plus sign and what follows the digits.
 */
static enum status read_int(const char *name, const char *word, int64_t *value)
{
	const char *digits = word + (*word == '-');

	if (!*digits || *skip_digits(digits))
		return fail(ST_USAGE, "%s \"%s\": not a whole number",
			    name, word);
	*value = strtoll(word, NULL, 10);
	return ST_DONE;
}

/* One of which the kernel takes all that an attribute can hold. */
enum status parse_int(const char *name, const char *word,
		      int64_t min, int64_t max, int64_t *value)
{
	enum status st = read_int(name, word, value);

	if (!st && (*value < min || *value > max))
		st = fail(ST_REFUSED, "%s %s: out of range (%" PRId64 " to %" PRId64 " allowed)",
			  name, word, min, max);
	return st;
}

static int64_t nearest(int64_t value, int64_t min, int64_t max)
{
	return value < min ? min : value > max ? max : value;
}

/*
 * One of which the kernel takes less than its attribute can hold, from @min to
 * @max: what is beyond becomes the nearest of these, for the kernel to refuse.
 */
enum status parse_narrow(const char *name, const char *word,
			 int64_t min, int64_t max, int64_t *value)
{
	enum status st = read_int(name, word, value);

	if (!st)
		*value = nearest(*value, min, max);
	return st;
}

/* A or A-B; whether B is less than A is not looked at. */
enum status parse_range(const char *name, const char *word, int64_t max,
			int64_t *from, int64_t *to)
{
	const char *second = word, *end = skip_digits(word);

	if (end > word && *end == '-') {
		second = end + 1;
		end = skip_digits(second);
	}
	if (*end || end == second)
		return fail(ST_USAGE, "%s \"%s\": neither a number nor a range A-B",
			    name, word);
	*from = strtoll(word, NULL, 10);
	*to = strtoll(second, NULL, 10);
	if (*from > max || *to > max)
		return fail(ST_REFUSED, "%s %s: out of range (0 to %" PRId64 " allowed)",
			    name, word, max);
	return ST_DONE;
}

/* N or A..B, each as by parse_narrow(). Whether B is less than A is not looked at. */
enum status parse_span(const char *name, const char *word, int64_t min,
		       int64_t max, int64_t *from, int64_t *to, bool *span)
{
	const char *end = skip_digits(word + (*word == '-'));
	const char *second = word;

	*span = end > word && end[-1] != '-' && !strncmp(end, "..", 2);
	if (*span) {
		second = end + 2;
		end = skip_digits(second + (*second == '-'));
	}
	if (*end || end == second || end[-1] == '-')
		return fail(ST_USAGE, "%s \"%s\": neither a whole number nor a range A..B",
			    name, word);
	*from = nearest(strtoll(word, NULL, 10), min, max);
	*to = nearest(strtoll(second, NULL, 10), min, max);
	return ST_DONE;
}

/* A number of 32 bits, decimal or 0x and hexadecimal; NULL if there is none. */
static const char *skip_bits(const char *s, unsigned long long *value)
{
	bool hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
	const char *digit = hex ? s + 2 : s;
	char *end;

	if (hex ? !isxdigit((unsigned char)*digit) :
		  !isdigit((unsigned char)*digit))
		return NULL;
	/* strtoull() would take a second one. */
	if (hex && (digit[1] == 'x' || digit[1] == 'X'))
		return NULL;
	*value = strtoull(digit, &end, hex ? 16 : 10);
	return end;
}

/* VALUE[/MASK] */
enum status parse_bits(const char *name, const char *word, uint32_t *value,
		       uint32_t *mask)
{
	unsigned long long v = 0, m = UINT32_MAX;
	const char *end;

	errno = 0;
	end = skip_bits(word, &v);
	if (end && *end == '/')
		end = skip_bits(end + 1, &m);
	if (!end || *end)
		return fail(ST_USAGE, "%s \"%s\": neither a number nor VALUE/MASK",
			    name, word);
	if (errno || v > UINT32_MAX || m > UINT32_MAX)
		return fail(ST_REFUSED, "%s %s: out of range (0 to %#" PRIx32 " allowed)",
			    name, word, UINT32_MAX);
	*value = (uint32_t)v;
	*mask = (uint32_t)m;
	return ST_DONE;
}

/* A number of things, of which there is to be one at least. */
enum status parse_count(const char *name, const char *word, int64_t max,
			int64_t *value)
{
	enum status st = read_int(name, word, value);

	if (!st && (*value < 1 || *value > max))
		st = fail(ST_USAGE, "%s \"%s\": out of range (1 to %" PRId64 " allowed)",
			  name, word, max);
	return st;
}

enum status parse_switch(const char *name, const char *word, bool *value)
{
	*value = !strcmp(word, "on");
	if (!*value && strcmp(word, "off"))
		return fail(ST_USAGE, "%s \"%s\": neither \"on\" nor \"off\"",
			    name, word);
	return ST_DONE;
}

/* Digits with at most one point among them; nothing that strtod() adds. */
enum status parse_seconds(const char *name, const char *word, double min,
			  double max, double *value)
{
	const char *end = skip_digits(word);

	if (*end == '.')
		end = skip_digits(end + 1);
	if (*end || !strpbrk(word, "0123456789"))
		return fail(ST_USAGE, "%s \"%s\": not a number of seconds",
			    name, word);
	*value = strtod(word, NULL);
	if (*value < min || *value > max)
		return fail(ST_USAGE, "%s \"%s\": out of range (%.10g to %.10g allowed)",
			    name, word, min, max);
	return ST_DONE;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Files of commands: a line each, words as the shell has them as far as quotes,
 * backslashes and comments go, and nothing else of the shell.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kactl.h"
#include "lines.h"
#include "parse.h"

/* More than as many rules as there may be take, with the longest paths. */
#define FILE_MAX	(16 * 1024 * 1024)
#define FILE_STEP	(64 * 1024)

static enum status no_file(void)
{
	return fail(errno == EACCES || errno == EPERM ? ST_NOT_PERMITTED :
							ST_REFUSED,
		    "%s: %s", ka.file, strerror(errno));
}

/* Read to the end; there is a NUL after the text. */
static enum status read_all(struct lines *file, int fd)
{
	size_t size = 0;
	ssize_t n = 1;
	char *more;

	while (n) {
		if (size - file->len < 2) {
			size = size ? 2 * size : FILE_STEP;
			more = size <= FILE_MAX ? realloc(file->text, size) :
						  NULL;
			if (!more)
				return fail(ST_REFUSED, "%s: too long", ka.file);
			file->text = more;
		}
		n = read(fd, file->text + file->len, size - file->len - 1);
		if (n < 0 && errno != EINTR)
			return no_file();
		file->len += n > 0 ? (size_t)n : 0;
	}
	file->text[file->len] = '\0';
	return ST_DONE;
}

/**
 * lines_read - read a file
 * @file: filled in; for lines_free(), whatever happens
 * @path: its name, or NULL for standard input
 */
enum status lines_read(struct lines *file, const char *path)
{
	int fd = STDIN_FILENO;
	enum status st;

	*file = (struct lines){ 0 };
	if (path)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return no_file();
	st = read_all(file, fd);
	if (path)
		close(fd);
	return st;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/*
 * Take a word's quotes off: @to, which it is moved to, is never after @s. Returns
 * where it ended, or NULL where a quote is not closed.
 */
static const char *unquote(const char *s, char **to)
{
	char quote = 0;

	for (; *s && (quote || !blank(*s)); s++) {
		if (quote ? *s == quote : *s == '"' || *s == '\'') {
			quote = quote ? 0 : *s;
			continue;
		}
		/* In double quotes it is one only before what it is needed for. */
		if (*s == '\\' && s[1] &&
		    (!quote || (quote == '"' && strchr("\"\\$`", s[1]))))
			s++;
		*(*to)++ = *s;
	}
	return quote ? NULL : s;
}

/* Part a line into words. */
static enum status split(char *line, char **word)
{
	const char *s = line;
	char *to = line;
	bool more = true;

	while (more) {
		while (blank(*s))
			s++;
		if (!*s || *s == '#')
			break;
		*word++ = to;
		s = unquote(s, &to);
		if (!s) {
			*to = '\0';
			return fail(ST_USAGE, "\"%.32s\": a quote that is not closed",
				    word[-1]);
		}
		more = *s;
		s++;
		*to++ = '\0';
	}
	*word = NULL;
	return ST_DONE;
}

static enum status one_line(struct lines *file, char *line, size_t len,
			    line_fn fn, void *arg)
{
	struct args args = { .word = file->word };
	enum status st;

	if (memchr(line, '\0', len))
		return fail(ST_USAGE, "a NUL byte: it is no text");
	st = split(line, file->word);
	return st || !*args.word ? st : fn(&args, arg);
}

/**
 * lines_each - go through the lines, once
 * @file: the file, whose text becomes words
 * @fn: called for each; what it returns, but for ST_DONE, ends it
 * @arg: handed to @fn
 */
enum status lines_each(struct lines *file, line_fn fn, void *arg)
{
	char *line = file->text, *last = file->text + file->len, *end;
	enum status st = ST_DONE;

	/* There is a blank between two words. */
	file->word = calloc(file->len / 2 + 2, sizeof(*file->word));
	if (!file->word)
		return fail(ST_REFUSED, "%s", strerror(ENOMEM));
	for (ka.line = 1; line < last && !st; ka.line++, line = end + 1) {
		end = memchr(line, '\n', (size_t)(last - line));
		if (!end)
			end = last;
		*end = '\0';
		st = one_line(file, line, (size_t)(end - line), fn, arg);
	}
	ka.line = 0;
	return st;
}

void lines_free(struct lines *file)
{
	free(file->text);
	free(file->word);
}

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LINES_H
#define LINES_H

#include <stddef.h>

#include "kactl.h"

struct args;

/**
 * struct lines - a file of commands
 * @text: what is in it, which becomes its words
 * @len: length of @text
 * @word: words of the line that is read, ends with NULL
 */
struct lines {
	char *text;
	size_t len;
	char **word;
};

/* Called for each line that has words in it; ka.line is its number. */
typedef enum status (*line_fn)(struct args *a, void *arg);

enum status lines_read(struct lines *file, const char *path);
enum status lines_each(struct lines *file, line_fn fn, void *arg);
void lines_free(struct lines *file);

#endif /* LINES_H */

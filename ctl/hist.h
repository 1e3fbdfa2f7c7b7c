/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HIST_H
#define HIST_H

#include <stdbool.h>

struct nlattr;

/**
 * struct hist - a histogram among the attributes of a message
 * @attr: the attribute that each of its buckets is
 * @name: what it is called
 * @doc: what falls into it
 */
struct hist {
	int attr;
	const char *name;
	const char *doc;
};

void hist_out(const struct hist *h, const struct nlattr *attrs, int len,
	      bool all, bool explain);

#endif /* HIST_H */

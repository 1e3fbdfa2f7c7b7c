/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HIST_H
#define HIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#define HIST_BUCKETS	64

/* Those that are not empty, in rising order, and how many values in all. */
struct buckets {
	uint64_t total;
	size_t n;
	struct bucket {
		bool bounded;
		uint64_t le;
		uint64_t count;
	} bucket[HIST_BUCKETS];
};

void hist_take(const struct hist *h, const struct nlattr *attrs, int len,
	       struct buckets *to);
void hist_out(const struct hist *h, const struct nlattr *attrs, int len,
	      bool all, bool explain);

#endif /* HIST_H */

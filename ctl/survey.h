/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SURVEY_H
#define SURVEY_H

#include <stdint.h>

#include <linux/tcp_keepalive.h>

#include "kactl.h"

struct nlattr;

#define NR_STATUSES	(TCP_KEEPALIVE_STATUS_UNPROTECTED + 1)

/**
 * struct survey - a namespace's connections in numbers
 * @limit: seconds of idleness that something in between lets be, or 0; given
 * @status: how many of each; those of a newer module's status are in none
 * @watched: how many have keepalive on
 * @late: of these, how many are probed so late that @limit is reached first
 * @per_second: probes that those with keepalive cost if all are idle
 * @bytes_per_second: bytes of these probes at the IP layer
 */
struct survey {
	int64_t limit;
	uint64_t status[NR_STATUSES];
	uint64_t watched;
	uint64_t late;
	double per_second;
	double bytes_per_second;
};

bool survey_in_time(int64_t limit, int64_t time, int64_t intvl);
void survey_add(struct survey *s, const struct nlattr *attrs, int len);
enum status survey_now(struct survey *s);

#endif /* SURVEY_H */

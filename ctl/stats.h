/* SPDX-License-Identifier: GPL-2.0 */
#ifndef STATS_H
#define STATS_H

#include <stdint.h>

#include <linux/tcp_keepalive.h>

#include "hist.h"
#include "kactl.h"

struct nlattr;

#define NR_STATS	18
#define NR_HISTS	3

enum { STAT_GAUGE = 1, STAT_BASIC = 2 };	/* BASIC: shown in text even when 0 */

/**
 * struct stat_desc - a counter or a gauge
 * @attr: its attribute
 * @name: what it is called
 * @flags: STAT_...
 * @doc: what it counts
 */
struct stat_desc {
	int attr;
	const char *name;
	int flags;
	const char *doc;
};

extern const struct stat_desc stat_descs[NR_STATS];
extern const struct hist stat_hists[NR_HISTS];

/* Their places among the histograms. */
enum { HIST_RTT, HIST_LOST, HIST_DETECT };

/**
 * struct sample - a namespace's statistics at one time
 * @ino: of the namespace
 * @at: when they were read, in seconds of the monotonic clock
 * @has: a bit for each attribute that there is
 * @value: by attribute
 * @hist: in the order of stat_hists
 */
struct sample {
	uint32_t ino;
	double at;
	uint64_t has;
	uint64_t value[TCP_KEEPALIVE_A_STATS_MAX + 1];
	struct buckets hist[NR_HISTS];
};

double stats_clock(void);
void stats_take(struct sample *s, const struct nlattr *attrs, int len);
enum status stats_read_now(struct sample *s);

#endif /* STATS_H */

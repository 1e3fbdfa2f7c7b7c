/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_STATS_H
#define KA_STATS_H

#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/time64.h>
#include <linux/u64_stats_sync.h>

struct ka_net;

/*
 * Every statistic, in the order of enum tcp_keepalive_a_stats: the netlink
 * attributes and the sysfs files are made from this list.
 */
#define KA_STATS(X)					\
	X(PROBES_SENT, probes_sent)			\
	X(PROBES_ANSWERED, probes_answered)		\
	X(PROBES_LOST, probes_lost)			\
	X(PROBES_RESET, probes_reset)			\
	X(PROBES_ABANDONED, probes_abandoned)		\
	X(PROBES_FAILED, probes_failed)			\
	X(PROBES_UNSEEN, probes_unseen)			\
	X(PROBES_PENDING, probes_pending)		\
	X(PROBES_NOMEM, probes_nomem)			\
	X(PROBE_BYTES, probe_bytes)			\
	X(CONNS_DEAD, conns_dead)			\
	X(CONNS_UNREACHABLE, conns_unreachable)		\
	X(CONNS_RESET, conns_reset)			\
	X(CONNS_RECOVERED, conns_recovered)		\
	X(CONNS_ENFORCED, conns_enforced)		\
	X(CONNS_APPLIED, conns_applied)			\
	X(CONNS_TRACKED, conns_tracked)			\
	X(CONNS_UNTRACKED, conns_untracked)

#define X(id, name) KA_##id,
enum ka_stat {
	KA_STATS(X)
	KA_NSTATS
};

#undef X

/* Every histogram, in the order of the attributes. */
enum ka_hist {
	KA_RTT_US,
	KA_LOST_IN_ROW,
	KA_DETECT_MS,
	KA_NHISTS
};

/* Bucket i counts the values up to 2^i that fit no smaller one, the last all. */
#define KA_HIST_BUCKETS	34

/*
 * One CPU's share. The slot of PROBES_SENT holds the probes that the hook saw;
 * the true figure is the kernel's. The slots of the gauges and of
 * PROBES_UNSEEN stay 0. Written with BHs off by that CPU alone.
 */
struct ka_stats {
	u64_stats_t		v[KA_NSTATS];
	struct u64_stats_sync	syncp;
};

/* Milliseconds, in the 32 bits that an attribute has for them: 49 days, or more. */
static inline u32 ka_stats_ms(unsigned long ticks)
{
	return min_t(u64, jiffies64_to_msecs(ticks), U32_MAX);
}

int ka_stats_init(struct ka_net *kn);
void ka_stats_exit(struct ka_net *kn);
int ka_stats_start(void);
void ka_stats_add(struct ka_net *kn, enum ka_stat stat, unsigned int n);
void ka_stats_add_bh(struct ka_net *kn, enum ka_stat stat, unsigned int n);
void ka_stats_sample(struct ka_net *kn, enum ka_hist hist, u64 value);
void ka_stats_read(struct ka_net *kn, u64 v[KA_NSTATS]);
void ka_stats_hist(struct ka_net *kn, enum ka_hist hist,
		   u64 count[KA_HIST_BUCKETS]);

#endif

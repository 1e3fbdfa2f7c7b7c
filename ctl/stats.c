// SPDX-License-Identifier: GPL-2.0
/*
 * The statistics of a network namespace: what there is, and reading it.
 */
#include <string.h>
#include <time.h>

#include <linux/tcp_keepalive.h>

#include "attr.h"
#include "hist.h"
#include "kactl.h"
#include "nl.h"
#include "stats.h"

#define STAT(STATS_NAME, name_, flags_, doc_)				\
	{ TCP_KEEPALIVE_A_STATS_##STATS_NAME, name_, flags_, doc_ }

const struct stat_desc stat_descs[NR_STATS] = {
	STAT(PROBES_SENT, "probes_sent", STAT_BASIC,
	     "probes that TCP's keepalive timer built"),
	STAT(PROBES_ANSWERED, "probes_answered", STAT_BASIC,
	     "the peer was heard from before the next probe"),
	STAT(PROBES_LOST, "probes_lost", STAT_BASIC,
	     "no answer before the next probe or the end"),
	STAT(PROBES_RESET, "probes_reset", 0,
	     "the peer answered with RST"),
	STAT(PROBES_ABANDONED, "probes_abandoned", 0,
	     "the connection ended for another reason while the probe was out"),
	STAT(PROBES_PENDING, "probes_pending", STAT_GAUGE,
	     "out now, undecided"),
	STAT(PROBES_FAILED, "probes_failed", 0,
	     "refused by the local stack (congestion) and not counted as unanswered by TCP"),
	STAT(PROBES_UNSEEN, "probes_unseen", 0,
	     "sent while the module's hook was switched off"),
	STAT(PROBES_NOMEM, "probes_nomem", 0,
	     "never built for want of memory, and not in probes_sent"),
	STAT(PROBE_BYTES, "probe_bytes", 0,
	     "bytes of the probes at the IP layer"),
	STAT(CONNS_DEAD, "conns_dead", STAT_BASIC,
	     "connections closed by the keepalive timer"),
	STAT(CONNS_UNREACHABLE, "conns_unreachable", 0,
	     "those of conns_dead whose last word was an ICMP error"),
	STAT(CONNS_RESET, "conns_reset", 0,
	     "connections that ended by RST while a probe was out"),
	STAT(CONNS_RECOVERED, "conns_recovered", 0,
	     "connections that answered after at least one lost probe"),
	STAT(CONNS_ENFORCED, "conns_enforced", 0,
	     "new connections on which policy or a rule turned keepalive on"),
	STAT(CONNS_APPLIED, "conns_applied", 0,
	     "existing connections that an apply changed"),
	STAT(CONNS_TRACKED, "conns_tracked", STAT_GAUGE,
	     "connections with a record now"),
	STAT(CONNS_UNTRACKED, "conns_untracked", 0,
	     "probed without a record: max_conns, max_conns_total or memory was reached"),
};

const struct hist stat_hists[NR_HISTS] = {
	{ TCP_KEEPALIVE_A_STATS_RTT_US, "rtt_us",
	  "microseconds from a probe to its answer, where that can be told" },
	{ TCP_KEEPALIVE_A_STATS_LOST_IN_ROW, "lost_in_row",
	  "probes lost in a row when the peer was heard again" },
	{ TCP_KEEPALIVE_A_STATS_DETECT_MS, "detect_ms",
	  "milliseconds from when the peer was last heard to declared dead" },
};

double stats_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Take a message apart. */
void stats_take(struct sample *s, const struct nlattr *attrs, int len)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_STATS_MAX + 1];
	int type;
	size_t i;

	memset(s, 0, sizeof(*s));
	s->at = stats_clock();
	attr_table(tb, TCP_KEEPALIVE_A_STATS_MAX, attrs, len);
	for (type = 0; type <= TCP_KEEPALIVE_A_STATS_MAX; type++)
		if (attr_uint(tb[type], &s->value[type]))
			s->has |= UINT64_C(1) << type;
	for (i = 0; i < NR_HISTS; i++)
		hist_take(&stat_hists[i], attrs, len, &s->hist[i]);
	s->ino = (uint32_t)s->value[TCP_KEEPALIVE_A_STATS_NETNS_INO];
}

static enum status on_stats(struct nlattr *attrs, int len, void *arg)
{
	stats_take(arg, attrs, len);
	return ST_DONE;
}

/* Read those of the namespace that we are connected to; none if there is no answer. */
enum status stats_read_now(struct sample *s)
{
	struct request req;
	enum status st = request_init(&req, TCP_KEEPALIVE_CMD_STATS_GET);

	memset(s, 0, sizeof(*s));
	return st ? st : request_send(&req, on_stats, s);
}

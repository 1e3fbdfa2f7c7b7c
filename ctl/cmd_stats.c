// SPDX-License-Identifier: GPL-2.0
/*
 * kactl stats: what became of a network namespace's probes and connections.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <linux/tcp_keepalive.h>

#include "hist.h"
#include "intr.h"
#include "kactl.h"
#include "netns.h"
#include "nl.h"
#include "out.h"
#include "parse.h"
#include "stats.h"

#define WATCH_MIN	0.0001
#define WATCH_MAX	1e9	/* seconds, which any timespec can hold */

struct show {
	bool all;
	bool explain;
	double watch;		/* seconds, or 0 */
	struct sample *last;	/* of each namespace */
	size_t nr_last;
};

/* The namespace's sample of the round before, or one of no time at all. */
static struct sample *last_of(struct show *show, uint32_t ino)
{
	struct sample *more;
	size_t i;

	for (i = 0; i < show->nr_last; i++)
		if (show->last[i].ino == ino)
			return &show->last[i];
	more = realloc(show->last, (i + 1) * sizeof(*more));
	if (!more)
		return NULL;
	show->last = more;
	show->nr_last++;
	memset(&more[i], 0, sizeof(*more));
	more[i].ino = ino;
	return &more[i];
}

/* What follows a value in text: growth and rate, and what it means. */
static void stat_gloss(const struct show *show, const struct stat_desc *d,
		       const struct sample *s, const struct sample *last,
		       char *text, size_t size)
{
	int64_t growth = (int64_t)(s->value[d->attr] - last->value[d->attr]);

	*text = '\0';
	if (last->at > 0)
		snprintf(text, size, "%+-10" PRId64 " %10.1f/s%s", growth,
			 (double)growth / (s->at - last->at),
			 show->explain ? "  " : "");
	if (show->explain)
		snprintf(text + strlen(text), size - strlen(text), "%s%s",
			 d->doc, d->flags & STAT_GAUGE ? " (gauge)" : "");
}

static void counter_out(const struct show *show, const struct stat_desc *d,
			const struct sample *s, const struct sample *last)
{
	uint64_t value = s->value[d->attr];
	char gloss[160];

	if (!(s->has & UINT64_C(1) << d->attr))
		return;
	if (!ka.json && !show->all && !value && !(d->flags & STAT_BASIC))
		return;
	stat_gloss(show, d, s, last, gloss, sizeof(gloss));
	out_uint(d->name, value, gloss);
}

/* A namespace that is new may have the number of one that is gone: its counters began again. */
static bool began_again(const struct sample *s, const struct sample *last)
{
	size_t i;

	for (i = 0; i < NR_STATS; i++)
		if (!(stat_descs[i].flags & STAT_GAUGE) &&
		    s->value[stat_descs[i].attr] < last->value[stat_descs[i].attr])
			return true;
	return false;
}

static enum status stats_out(struct nlattr *attrs, int len, void *arg)
{
	struct show *show = arg;
	struct sample s, *last;
	uint64_t unseen;
	size_t i;

	stats_take(&s, attrs, len);
	last = last_of(show, s.ino);
	if (!last)
		return fail(ST_REFUSED, "%s", strerror(ENOMEM));
	if (began_again(&s, last))
		*last = (struct sample){ 0 };

	out_object();
	netns_out(s.ino);
	for (i = 0; i < NR_STATS; i++)
		counter_out(show, &stat_descs[i], &s, last);
	for (i = 0; i < NR_HISTS; i++)
		hist_out(&stat_hists[i], attrs, len, show->all, show->explain);
	out_unknown(attrs, len, TCP_KEEPALIVE_A_STATS_MAX);
	out_object_end();

	unseen = s.value[TCP_KEEPALIVE_A_STATS_PROBES_UNSEEN];
	if (unseen > last->value[TCP_KEEPALIVE_A_STATS_PROBES_UNSEEN])
		warn("warning: what became of %" PRIu64
		     " probes is not known (probes_unseen): kprobes or ftrace were switched off or busy, or memory was short",
		     unseen);
	*last = s;
	return ST_DONE;
}

static enum status stats_talk(void *arg)
{
	struct request req;
	enum status st = request_init(&req, TCP_KEEPALIVE_CMD_STATS_GET);

	return st ? st : request_send(&req, stats_out, arg);
}

/* Sleep up to @when, or until a signal comes: @mask lets it in. */
static void sleep_until(double when, const sigset_t *mask)
{
	double left;

	while (!intr_caught() && (left = when - stats_clock()) > 0) {
		struct timespec ts = { .tv_sec = (time_t)left };

		ts.tv_nsec = (long)((left - (double)ts.tv_sec) * 1e9);
		ppoll(NULL, 0, &ts, mask);
	}
}

/* A signal that comes during a round ends it, whatever keeps that waiting. */
static enum status stats_watch(struct show *show)
{
	sigset_t signals, mask;
	enum status st;
	double start;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	intr_catch();
	out_lines();
	while (!intr_caught()) {
		start = stats_clock();
		st = netns_each(false, stats_talk, show);
		if (st && !(ka.all_netns && st == ST_REFUSED))
			return st;
		if (out_flush())
			return ST_REFUSED;
		sigprocmask(SIG_BLOCK, &signals, &mask);
		sleep_until(start + show->watch, &mask);
		sigprocmask(SIG_SETMASK, &mask, NULL);
	}
	if (intr_caught() == SIGINT)
		intr_forget();
	return ST_DONE;
}

static enum status parse_watch(struct args *a, double *seconds)
{
	const char *word;
	enum status st = args_value(a, "--watch", &word);

	return st ? st : parse_seconds("--watch", word, WATCH_MIN, WATCH_MAX,
				       seconds);
}

static enum status stats_show(struct args *a)
{
	struct show show = { 0 };
	enum status st = ST_DONE;

	while (*a->word && !st) {
		if (args_take(a, "--all"))
			show.all = true;
		else if (args_take(a, "--explain"))
			show.explain = true;
		else if (args_take(a, "--watch"))
			st = parse_watch(a, &show.watch);
		else
			st = args_unknown(a);
	}
	if (st)
		return st;
	if (show.watch > 0)
		st = stats_watch(&show);
	else
		st = netns_each(false, stats_talk, &show);
	free(show.last);
	return st;
}

static const struct verb verbs[] = {
	{
		.name	= "show",
		.args	= "[--all] [--explain] [--watch SECONDS]",
		.run	= stats_show,
		.help	= "Show the statistics, which count from the loading of the module.\n"
			  "  --all            the counters that are 0 and empty histograms too\n"
			  "  --explain        what each of them means\n"
			  "  --watch SECONDS  again and again, with growth and rate, until Ctrl-C\n",
	}, { 0 }
};

const struct object object_stats = {
	.name		= "stats",
	.summary	= "what became of the probes and of the connections",
	.verbs		= verbs,
	.examples	= "  kactl stats --explain\n"
			  "  kactl stats --watch 2\n"
			  "  kactl -a -j stats\n",
};

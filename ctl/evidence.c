// SPDX-License-Identifier: GPL-2.0
/*
 * What there is to say about a namespace's keepalive: what it gives and costs,
 * and what may be done better. Each thing said comes with what it rests on;
 * where nothing speaks for a change, none is recommended.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/tcp_keepalive.h>

#include "advice.h"
#include "evidence.h"
#include "kactl.h"

/* Of the idle limit: when to probe first, and how soon again. */
#define TIME_PART	2
#define INTVL_PART	8

#define SAYS_MAX	400

/* What rests_on() completes, and hands on. */
static struct {
	const char *about;
	char says[SAYS_MAX];
	evidence_fn fn;
	void *arg;
} saying;

static void say(const char *about, const char *fmt, ...) __printf(2, 3);
static void rests_on(const char *fmt, ...) __printf(1, 2);

static void say(const char *about, const char *fmt, ...)
{
	va_list ap;

	saying.about = about;
	va_start(ap, fmt);
	vsnprintf(saying.says, sizeof(saying.says), fmt, ap);
	va_end(ap);
}

static void rests_on(const char *fmt, ...)
{
	char text[SAYS_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	saying.fn(saying.about, saying.says, text, saying.arg);
}

static uint64_t stat_of(const struct evidence *e, int attr)
{
	return e->stats.value[attr];
}

#define STAT(name)	stat_of(e, TCP_KEEPALIVE_A_STATS_##name)

/* The bucket that the value in the middle is in. */
static const struct bucket *median(const struct buckets *b)
{
	uint64_t seen = 0;
	size_t i;

	for (i = 0; i < b->n; i++) {
		seen += b->bucket[i].count;
		if (2 * seen >= b->total)
			return &b->bucket[i];
	}
	return NULL;
}

static void say_detection(const struct evidence *e)
{
	const struct buckets *b = &e->stats.hist[HIST_DETECT];
	const struct bucket *half = median(b);
	const int64_t *v = e->policy;
	int64_t s = policy_detection(v);

	say("detect", "a peer that is gone is noticed after %" PRId64
	    " s = %" PRId64 ":%02d:%02d", s, s / 3600, (int)(s / 60 % 60),
	    (int)(s % 60));
	rests_on("the policy: time %" PRId64 " + intvl %" PRId64 " * probes %" PRId64,
		 v[POLICY_TIME], v[POLICY_INTVL], v[POLICY_PROBES]);
	if (!half || !half->bounded)
		return;
	say("detect", "it took at most %.1f s for half of those that died",
	    (double)half->le / 1000);
	rests_on("detect_ms of %" PRIu64 " connections", b->total);
}

static void say_watched(const struct evidence *e)
{
	uint64_t bare = e->conns.status[TCP_KEEPALIVE_STATUS_UNPROTECTED];

	say("watched", "%" PRIu64 " connections have keepalive; %" PRIu64
	    " have not, and wait for ever for a peer that is gone",
	    e->conns.watched, bare);
	rests_on("the connections that there are now: "
		 "kactl conn status unprotected --processes");
}

/* What it has been good for. */
static void say_gains(const struct evidence *e)
{
	uint64_t sent = STAT(PROBES_SENT), answered = STAT(PROBES_ANSWERED);

	if (!sent)
		return;
	say("gives", "%" PRIu64 " connections found dead, %" PRIu64
	    " of them as unreachable; %" PRIu64 " whose peer knew them no more; "
	    "%" PRIu64 " times the network failed and came back",
	    STAT(CONNS_DEAD), STAT(CONNS_UNREACHABLE), STAT(CONNS_RESET),
	    STAT(CONNS_RECOVERED));
	rests_on("conns_dead, conns_unreachable, conns_reset, conns_recovered "
		 "since the module was loaded");
	say("gives", "%" PRIu64 " times an idle path was used, and so kept open",
	    answered);
	rests_on("probes_answered since the module was loaded");
}

static void say_costs(const struct evidence *e)
{
	uint64_t sent = STAT(PROBES_SENT);

	if (e->conns.watched) {
		say("costs", "at most %.2f probes and %.1f bytes a second, "
		    "and as much for the answers",
		    e->conns.per_second, e->conns.bytes_per_second);
		rests_on("%" PRIu64 " connections with keepalive, were all of them idle; "
			 "52 bytes a probe, 72 over IPv6",
			 e->conns.watched);
	}
	if (sent) {
		say("costs", "%" PRIu64 " probes of %" PRIu64 " bytes so far",
		    sent, STAT(PROBE_BYTES));
		rests_on("probes_sent and probe_bytes since the module was loaded");
	}
}

static void say_dangers(const struct evidence *e)
{
	const int64_t *v = e->policy;

	if (v[POLICY_TIME] < TIME_HASTY) {
		say("too-short", "under %d s every idle connection costs traffic, and a hiccup of %"
		    PRId64 " s closes it", TIME_HASTY, policy_detection(v));
		rests_on("the policy: time %" PRId64, v[POLICY_TIME]);
	}
	if (e->silent && 2 * e->silent > v[POLICY_PROBES]) {
		say("too-short", "peers that live lost up to %" PRId64
		    " probes in a row: %" PRId64 " would have closed them",
		    e->silent, v[POLICY_PROBES]);
		rests_on("lost_in_row of %" PRIu64 " recoveries, and the policy's probes",
			 e->stats.hist[HIST_LOST].total);
	}
	if (STAT(CONNS_RESET) && !e->behind) {
		say("too-long", "%" PRIu64 " connections were gone at the other end "
		    "when they were probed: it was started anew, or something in between had "
		    "forgotten them; --behind compares",
		    STAT(CONNS_RESET));
		rests_on("conns_reset since the module was loaded");
	}
}

/* Is there something in between, and the policy not in time for it? */
static bool behind_wrong(const struct evidence *e)
{
	return e->behind && e->behind->layer != MIDDLEBOX_HTTP &&
	       !survey_in_time(e->behind->idle, e->policy[POLICY_TIME],
			       e->policy[POLICY_INTVL]);
}

static void say_behind(const struct evidence *e)
{
	const struct middlebox *box = e->behind;
	const int64_t *v = e->policy;
	bool fits;

	if (!box)
		return;
	if (box->layer == MIDDLEBOX_HTTP) {
		say("behind", "%s: what counts for its %" PRId64
		    " s are requests and not segments, so that keepalive of TCP does not help; %s",
		    box->what, box->idle, box->then);
		rests_on("%s, looked up on %s", box->source, box->checked);
		return;
	}
	fits = !behind_wrong(e);
	say("behind", "time %" PRId64 " %s its %" PRId64 " s of idleness%s%s",
	    v[POLICY_TIME], fits ? "is in time for" :
	    v[POLICY_TIME] < box->idle ? "is too near" : "is not within",
	    box->idle, box->then ? "; after them " : "",
	    box->then ? box->then : "");
	if (box->source)
		rests_on("%s: %s, looked up on %s; room for a second probe, "
			 "and for timers late by an eighth",
			 box->what, box->source, box->checked);
	else
		rests_on("--behind; room for a second probe, and for timers late by an eighth");
	if (e->conns.late) {
		say("behind", "%" PRIu64 " connections are probed too late for that",
		    e->conns.late);
		rests_on("the values in effect on the connections that there are now");
	}
}

/* A part of the idle limit, as far as a policy takes it. */
static int64_t part(int64_t idle, int64_t part, int64_t max)
{
	int64_t n = idle / part;

	if (n < 1)
		return 1;
	return n < max ? n : max;
}

/* What speaks for a change is put into words that "policy set" takes. */
static void recommend(struct evidence *e)
{
	const int64_t *v = e->policy;
	size_t len, none, size = sizeof(e->recommend);
	int64_t time, intvl, probes;

	none = (size_t)snprintf(e->recommend, size, "kactl policy set");
	len = none;
	if (behind_wrong(e)) {
		time = part(e->behind->idle, TIME_PART, TCP_KEEPALIVE_TIME_MAX);
		intvl = part(e->behind->idle, INTVL_PART,
			     TCP_KEEPALIVE_INTVL_MAX);
		/* Within a second or two there is no room for two probes. */
		if (!survey_in_time(e->behind->idle, time, intvl))
			goto out;
		len += (size_t)snprintf(e->recommend + len, size - len,
					" time %" PRId64 " intvl %" PRId64,
					time, intvl);
	}
	if (e->behind && e->behind->layer != MIDDLEBOX_HTTP &&
	    !v[POLICY_ENFORCE] &&
	    e->conns.status[TCP_KEEPALIVE_STATUS_UNPROTECTED])
		len += (size_t)snprintf(e->recommend + len, size - len,
					" enforce on");
	probes = 2 * e->silent;
	if (probes > TCP_KEEPALIVE_PROBES_MAX)
		probes = TCP_KEEPALIVE_PROBES_MAX;
	if (probes > v[POLICY_PROBES])
		len += (size_t)snprintf(e->recommend + len, size - len,
					" probes %" PRId64, probes);
out:
	if (len == none)
		*e->recommend = '\0';
}

/* The largest bucket's bound, which is no more than what was survived. */
static int64_t most_silent(const struct evidence *e)
{
	const struct buckets *b = &e->stats.hist[HIST_LOST];
	const struct bucket *last = b->n ? &b->bucket[b->n - 1] : NULL;

	if (!last)
		return 0;
	if (!last->bounded || last->le > TCP_KEEPALIVE_PROBES_MAX)
		return TCP_KEEPALIVE_PROBES_MAX;
	return (int64_t)last->le;
}

/**
 * evidence_read - read what is known of the namespace that we are connected to
 * @e: what is known
 * @behind: what the connections go through, or NULL
 */
enum status evidence_read(struct evidence *e, const struct middlebox *behind)
{
	enum status st;

	*e = (struct evidence){ .behind = behind };
	st = policy_read_now(e->policy);
	if (!st)
		st = stats_read_now(&e->stats);
	if (behind && behind->layer != MIDDLEBOX_HTTP)
		e->conns.limit = behind->idle;
	if (!st)
		st = survey_now(&e->conns);
	if (st)
		return st;
	e->silent = most_silent(e);
	recommend(e);
	return ST_DONE;
}

/* Call @fn for each thing that there is to say. */
void evidence_each(const struct evidence *e, evidence_fn fn, void *arg)
{
	saying.fn = fn;
	saying.arg = arg;
	say_detection(e);
	say_watched(e);
	say_gains(e);
	say_costs(e);
	say_dangers(e);
	say_behind(e);
}

/* Why nothing is recommended. */
const char *evidence_none(const struct evidence *e)
{
	if (e->behind)
		return "the policy is right for that, or cannot help";
	return "nothing speaks for a change; --behind says what the connections go through";
}

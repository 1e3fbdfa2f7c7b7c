// SPDX-License-Identifier: GPL-2.0
/*
 * kactl apply: rules and policy onto the connections that there are.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include <linux/tcp_keepalive.h>

#include "attr.h"
#include "intr.h"
#include "kactl.h"
#include "match.h"
#include "netns.h"
#include "nl.h"
#include "out.h"
#include "parse.h"

/* What was done, in the order in which it is shown; and what was not, and why. */
enum {
	SEEN,
	MATCHED,
	CHANGED,
	OVERDUE,
	SKIPPED,
	SKIPPED_KERNEL = SKIPPED,
	SKIPPED_REPAIR,
	SKIPPED_OPTED_OUT,
	SKIPPED_CLOSED,
	SKIPPED_BUSY,
	NR_SUMS
};

/* The names in JSON, where those of SKIPPED are in an object, and in text. */
static const struct {
	const char *name;
	const char *text;
	int attr;
	const char *gloss;
} sums[NR_SUMS] = {
	[SEEN] = { "seen", "seen", TCP_KEEPALIVE_A_APPLY_SEEN,
		   "connections looked at" },
	[MATCHED] = { "matched", "matched", TCP_KEEPALIVE_A_APPLY_MATCHED,
		      "of those, the ones that are meant" },
	[CHANGED] = { "changed", "changed", TCP_KEEPALIVE_A_APPLY_CHANGED,
		      "of those, changed" },
	[OVERDUE] = { "overdue", "overdue", TCP_KEEPALIVE_A_APPLY_OVERDUE,
		      "of those, idle for longer than the time in effect" },
	[SKIPPED_KERNEL] = { "kernel", "skipped_kernel",
			     TCP_KEEPALIVE_A_APPLY_SKIPPED_KERNEL,
			     "of the kernel, or subflows of MPTCP" },
	[SKIPPED_REPAIR] = { "repair", "skipped_repair",
			     TCP_KEEPALIVE_A_APPLY_SKIPPED_REPAIR,
			     "in TCP_REPAIR" },
	[SKIPPED_OPTED_OUT] = { "opted_out", "skipped_opted_out",
				TCP_KEEPALIVE_A_APPLY_SKIPPED_OPTED_OUT,
				"the program turned keepalive off" },
	[SKIPPED_CLOSED] = { "closed", "skipped_closed",
			     TCP_KEEPALIVE_A_APPLY_SKIPPED_CLOSED,
			     "closed meanwhile, or its program has gone" },
	[SKIPPED_BUSY] = { "busy", "skipped_busy",
			   TCP_KEEPALIVE_A_APPLY_SKIPPED_BUSY,
			   "a program kept the socket locked for a second" },
};

/* What was asked for, and what was done in a namespace. */
struct apply {
	struct filter filter;
	bool dry_run;
	const char *spread_word;
	char spread_text[64];	/* as the kernel understands it */
	uint32_t spread_ms;
	uint64_t ino;
	uint64_t sum[NR_SUMS];
	uint64_t close_ms;
};

/* Each message is of some of the connections. */
static enum status apply_part(struct nlattr *attrs, int len, void *arg)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_APPLY_MAX + 1];
	struct apply *apply = arg;
	uint64_t n;
	int i;

	attr_table(tb, TCP_KEEPALIVE_A_APPLY_MAX, attrs, len);
	attr_uint(tb[TCP_KEEPALIVE_A_APPLY_NETNS_INO], &apply->ino);
	for (i = 0; i < NR_SUMS; i++)
		if (attr_uint(tb[sums[i].attr], &n))
			apply->sum[i] += n;
	if (attr_uint(tb[TCP_KEEPALIVE_A_APPLY_CLOSE_MS], &n) &&
	    n > apply->close_ms)
		apply->close_ms = n;
	return intr_caught() ? ST_ENOUGH : ST_DONE;
}

static void apply_out(const struct apply *apply)
{
	const char *gloss;
	int i;

	out_object();
	netns_out((uint32_t)apply->ino);
	for (i = 0; i < NR_SUMS; i++) {
		/* It hardly ever happens. */
		if (i == SKIPPED_BUSY && !apply->sum[i])
			continue;
		gloss = sums[i].gloss;
		if (i == CHANGED && apply->dry_run)
			gloss = "of those, would be changed";
		if (i == SKIPPED)
			out_nest("skipped");
		out_uint(ka.json ? sums[i].name : sums[i].text, apply->sum[i],
			 gloss);
	}
	out_nest_end();
	out_object_end();
}

static void apply_warn(const struct apply *apply)
{
	if (!apply->sum[OVERDUE] || !apply->close_ms)
		return;
	warn("warning: %" PRIu64 " overdue: those whose peer is dead %s closed within "
	     "%" PRIu64 " s",
	     apply->sum[OVERDUE], apply->dry_run ? "would be" : "will be",
	     (apply->close_ms + 999) / 1000);
}

static enum status apply_talk(void *arg)
{
	const struct apply *asked = arg;
	struct apply apply = *asked;
	struct request req;
	enum status st;

	st = request_init_size(&req, TCP_KEEPALIVE_CMD_APPLY,
			       REQUEST_WITH_PATH);
	if (st)
		return st;
	request_dump(&req);
	filter_put(&apply.filter, &req, TCP_KEEPALIVE_A_APPLY_MATCH,
		   TCP_KEEPALIVE_A_APPLY_IDLE_MIN);
	if (apply.dry_run)
		request_flag(&req, TCP_KEEPALIVE_A_APPLY_DRY_RUN, "--dry-run");
	if (apply.spread_word)
		request_put(&req, TCP_KEEPALIVE_A_APPLY_SPREAD_MS,
			    &apply.spread_ms, sizeof(apply.spread_ms),
			    "--spread", apply.spread_text);
	st = request_send(&req, apply_part, &apply);
	/* What was done before Ctrl-C, or before it failed, is done. */
	if (apply.ino)
		apply_out(&apply);
	apply_warn(&apply);
	return st;
}

static enum status parse_spread(struct args *a, struct apply *apply)
{
	enum status st = args_once(a, "--spread", &apply->spread_word);
	double seconds, ms;

	if (!st)
		st = parse_seconds("--spread", apply->spread_word, 0, HUGE_VAL, &seconds);
	if (st)
		return st;
	ms = seconds * 1000;
	/* What cannot be sent is the kernel's to refuse, as is the most that can. */
	apply->spread_ms = ms < UINT32_MAX ? (uint32_t)(ms + 0.5) : UINT32_MAX;
	snprintf(apply->spread_text, sizeof(apply->spread_text), "%.32s (%.0f ms)",
		 apply->spread_word, ms);
	return ST_DONE;
}

static enum status apply_run(struct args *a)
{
	struct apply apply = { 0 };
	enum status st = ST_DONE;

	while (*a->word && !st) {
		if (args_take(a, "--dry-run"))
			apply.dry_run = true;
		else if (args_take(a, "--spread"))
			st = parse_spread(a, &apply);
		else
			st = filter_parse(&apply.filter, a);
	}
	if (st)
		return st;
	intr_catch();
	return netns_each(!apply.dry_run, apply_talk, &apply);
}

static const struct verb verbs[] = {
	{
		.name	= "",
		.args	= "[--dry-run] [--spread SECONDS] " FILTER_ARGS,
		.run	= apply_run,
		.help	= "Do to existing connections what policy and rules do to new ones,\n"
			  "and set their timers by it: a connection that has been idle for\n"
			  "longer than its new time is due at once. Only those that meet every\n"
			  "condition that is given:\n"
			  FILTER_HELP
			  "  --dry-run           change nothing, and say what would be done\n"
			  "  --spread SECONDS    spread the first probes of those that are due at once\n"
			  "                      over so long, 0: not at all; if not given, over intvl\n"
			  "                      and at most 10 seconds\n",
	}, { 0 }
};

const struct object object_apply = {
	.name		= "apply",
	.summary	= "policy and rules onto the connections that there are",
	.verbs		= verbs,
	.examples	= "  kactl apply --dry-run\n"
			  "  kactl apply rport 5432 --spread 30\n",
};

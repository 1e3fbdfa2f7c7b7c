// SPDX-License-Identifier: GPL-2.0
/*
 * Warnings about values that are legal and hardly what was meant, given when
 * they are set. Each says what happens, in numbers.
 */
#include <inttypes.h>
#include <stdbool.h>

#include "advice.h"
#include "kactl.h"
#include "middlebox.h"
#include "policy.h"
#include "rule.h"

/* The one that forgets a flow soonest. */
static const struct middlebox *soonest(void)
{
	const struct middlebox *box = NULL, *found = NULL;

	while ((box = middlebox_next(box)))
		if (box->layer == MIDDLEBOX_TCP && (!found || box->idle < found->idle))
			found = box;
	return found;
}

/* The user set time, or something else of what detection is made of; @v is in effect. */
static void advise_values(bool time_set, const int64_t *v)
{
	int64_t time = v[POLICY_TIME], total = policy_detection(v);
	const struct middlebox *box = soonest();

	if (time_set && time < TIME_HASTY)
		warn("warning: time %" PRId64 ": under %d s every idle connection costs "
		     "traffic, and a hiccup of %" PRId64 " s closes it",
		     time, TIME_HASTY, total);
	if (time_set && time >= box->idle)
		warn("warning: time %" PRId64 ": %s forgets a flow that is idle for %" PRId64
		     " s; \"kactl http behind\" shows others",
		     time, box->what, box->idle);
	else if (time < box->idle && total >= box->idle)
		warn("warning: a dead peer is noticed after %" PRId64 " s (time + intvl * "
		     "probes): %s forgets a flow in %" PRId64 " s",
		     total, box->what, box->idle);
}

static void advise_user_timeout(int64_t ms, const int64_t *v)
{
	int64_t total = policy_detection(v), one;

	if (__builtin_add_overflow(v[POLICY_TIME], v[POLICY_INTVL], &one))
		one = INT64_MAX;
	if (ms <= 0 || (ms - 1) / 1000 < one)
		warn("warning: user-timeout %" PRId64 ": not above time + intvl, which is "
		     "%" PRId64 " s: one lost probe closes a connection", ms, one);
	else if (ms / 1000 < total)
		warn("warning: user-timeout %" PRId64 ": below time + intvl * probes, "
		     "which is %" PRId64 " s: it closes a connection before the probes "
		     "are used up", ms, total);
}

/**
 * advise_policy - what may be said about a policy that was set
 * @p: the fields that were given
 * @now: the policy that results
 */
void advise_policy(const struct policy *p, const int64_t *now)
{
	ka.line = p->line;
	if (p->word[POLICY_TIME] || p->word[POLICY_INTVL] || p->word[POLICY_PROBES])
		advise_values(p->word[POLICY_TIME], now);
	ka.line = 0;
}

/* What is in effect of a value where the program sets none. */
static int64_t effect(const struct rule *r, int i, int64_t of_netns)
{
	if (!r->value[i].word)
		return of_netns;
	if (of_netns < r->value[i].min || !r->value[i].span)
		return r->value[i].min;
	return of_netns > r->value[i].max ? r->value[i].max : of_netns;
}

/**
 * advise_rule - what may be said about a rule that was set
 * @r: the rule
 * @now: the policy in force
 */
void advise_rule(const struct rule *r, const int64_t *now)
{
	const int64_t v[] = {
		[POLICY_TIME] = effect(r, RULE_TIME, now[POLICY_TIME]),
		[POLICY_INTVL] = effect(r, RULE_INTVL, now[POLICY_INTVL]),
		[POLICY_PROBES] = effect(r, RULE_PROBES, now[POLICY_PROBES]),
	};

	ka.line = r->line;
	if (r->value[RULE_TIME].word || r->value[RULE_INTVL].word || r->value[RULE_PROBES].word)
		advise_values(r->value[RULE_TIME].word, v);
	if (r->value[RULE_USER_TIMEOUT].word)
		advise_user_timeout(r->value[RULE_USER_TIMEOUT].min, v);
	ka.line = 0;
}

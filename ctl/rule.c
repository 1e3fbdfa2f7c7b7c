// SPDX-License-Identifier: GPL-2.0
/*
 * A rule: the words for it, and the attributes.
 */
#include <inttypes.h>
#include <string.h>

#include <linux/tcp_keepalive.h>

#include "attr.h"
#include "kactl.h"
#include "nl.h"
#include "out.h"
#include "parse.h"
#include "rule.h"

#define VALUE_TEXT	32

static const char *const actions[] = {
	[TCP_KEEPALIVE_ACTION_OFF]	= "off",
	[TCP_KEEPALIVE_ACTION_ON]	= "on",
	[TCP_KEEPALIVE_ACTION_LEAVE]	= "leave",
};

/* The words, JSON's keys, and the attributes; no range where there is no min. */
static const struct {
	const char *name;
	const char *key;
	int attr;
	int min;
	int max;
} values[NR_RULE_VALUES] = {
	[RULE_TIME] = { "time", "time", TCP_KEEPALIVE_A_RULE_TIME,
			TCP_KEEPALIVE_A_RULE_TIME_MIN,
			TCP_KEEPALIVE_A_RULE_TIME_MAX },
	[RULE_INTVL] = { "intvl", "intvl", TCP_KEEPALIVE_A_RULE_INTVL,
			 TCP_KEEPALIVE_A_RULE_INTVL_MIN,
			 TCP_KEEPALIVE_A_RULE_INTVL_MAX },
	[RULE_PROBES] = { "probes", "probes", TCP_KEEPALIVE_A_RULE_PROBES,
			  TCP_KEEPALIVE_A_RULE_PROBES_MIN,
			  TCP_KEEPALIVE_A_RULE_PROBES_MAX },
	[RULE_USER_TIMEOUT] = { "user-timeout", "user_timeout_ms",
				TCP_KEEPALIVE_A_RULE_USER_TIMEOUT_MS, 0, 0 },
};

static enum status parse_action(struct rule *r)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(actions); i++) {
		r->keepalive = (uint32_t)i;
		if (!strcmp(r->keepalive_word, actions[i]))
			return ST_DONE;
	}
	return fail(ST_USAGE, "keepalive \"%s\": neither on, off nor leave",
		    r->keepalive_word);
}

static bool is_signed(int i)
{
	return i == RULE_TIME || i == RULE_INTVL;
}

/* The two that are signed attributes may be negative as far as grammar goes. */
static enum status parse_value(struct rule *r, int i)
{
	const char *word = r->value[i].word;
	enum status st;

	if (values[i].min)
		return parse_span(values[i].name, word,
				  is_signed(i) ? INT32_MIN : 0,
				  is_signed(i) ? INT32_MAX : UINT32_MAX,
				  &r->value[i].min, &r->value[i].max,
				  &r->value[i].span);
	st = parse_narrow(values[i].name, word, 0, UINT32_MAX, &r->value[i].min);
	r->value[i].max = r->value[i].min;
	return st;
}

static bool take_value(struct rule *r, struct args *a, enum status *st)
{
	int i;

	for (i = 0; i < NR_RULE_VALUES; i++) {
		if (!args_take(a, values[i].name))
			continue;
		*st = args_once(a, values[i].name, &r->value[i].word);
		if (!*st)
			*st = parse_value(r, i);
		return true;
	}
	return false;
}

static bool acts(const struct rule *r)
{
	int i;

	for (i = 0; i < NR_RULE_VALUES; i++)
		if (r->value[i].word)
			return true;
	return r->keepalive_word;
}

/* Read the value of pref. */
enum status rule_parse_pref(struct rule *r, struct args *a)
{
	enum status st = args_once(a, "pref", &r->pref_word);

	return st ? st : parse_narrow("pref", r->pref_word, 0, UINT32_MAX,
				      &r->pref);
}

/* Read all the words; there must be something that the rule does. */
enum status rule_parse(struct rule *r, struct args *a)
{
	enum status st = ST_DONE;

	r->match.use = MATCH_RULE;
	while (*a->word && !st) {
		if (args_take(a, "pref")) {
			st = rule_parse_pref(r, a);
		} else if (args_take(a, "keepalive")) {
			st = args_once(a, "keepalive", &r->keepalive_word);
			if (!st)
				st = parse_action(r);
		} else if (args_take(a, "override")) {
			if (r->override)
				st = fail(ST_USAGE, "\"override\" given twice");
			r->override = true;
		} else if (!take_value(r, a, &st)) {
			st = match_parse(&r->match, a);
		}
	}
	if (!st && !acts(r))
		st = fail(ST_USAGE,
			  "a rule does something: give one or more of keepalive, time, intvl, probes, user-timeout");
	return st;
}

static void put_value(const struct rule *r, struct request *req, int i)
{
	uint32_t min = (uint32_t)r->value[i].min;
	uint32_t max = (uint32_t)r->value[i].max;
	const char *word = r->value[i].word;

	if (!r->value[i].span) {
		request_put(req, values[i].attr, &min, sizeof(min),
			    values[i].name, word);
		return;
	}
	request_put(req, values[i].min, &min, sizeof(min), values[i].name,
		    word);
	request_put(req, values[i].max, &max, sizeof(max), values[i].name,
		    word);
}

/* Put what was given. */
void rule_put(const struct rule *r, struct request *req)
{
	uint32_t pref = (uint32_t)r->pref;
	int i;

	if (r->pref_word || r->pref)
		request_put(req, TCP_KEEPALIVE_A_RULE_PREF, &pref, sizeof(pref),
			    "pref", r->pref_word ? r->pref_word : "");
	match_put(&r->match, req, TCP_KEEPALIVE_A_RULE_MATCH);
	if (r->keepalive_word)
		request_put(req, TCP_KEEPALIVE_A_RULE_KEEPALIVE, &r->keepalive,
			    sizeof(r->keepalive), "keepalive",
			    r->keepalive_word);
	for (i = 0; i < NR_RULE_VALUES; i++)
		if (r->value[i].word)
			put_value(r, req, i);
	if (r->override)
		request_flag(req, TCP_KEEPALIVE_A_RULE_OVERRIDE, "override");
}

/* What "rule test" shows may come from a sysctl, and be negative. */
static bool value_attr(int i, const struct nlattr *attr, int64_t *value)
{
	uint64_t n;

	if (is_signed(i))
		return attr_int(attr, value);
	if (!attr_uint(attr, &n))
		return false;
	*value = (int64_t)n;
	return true;
}

/* A value, which is a range of one, or a range; false if there is neither. */
static bool value_read(int i, const struct nlattr *const *tb, int64_t *min,
		       int64_t *max, bool *span)
{
	*span = values[i].min && value_attr(i, tb[values[i].min], min) &&
		value_attr(i, tb[values[i].max], max);
	if (*span)
		return true;
	if (!value_attr(i, tb[values[i].attr], min))
		return false;
	*max = *min;
	return true;
}

static void value_text(int64_t min, int64_t max, bool span, char *text)
{
	int n = snprintf(text, VALUE_TEXT, "%" PRId64, min);

	if (span)
		snprintf(text + n, VALUE_TEXT - (size_t)n, "..%" PRId64, max);
}

static void value_out(int i, const struct nlattr *const *tb)
{
	char text[VALUE_TEXT];
	int64_t min, max;
	bool span;

	if (!value_read(i, tb, &min, &max, &span))
		return;
	value_text(min, max, span, text);
	if (!ka.json)
		out_name(values[i].name, text);
	else if (span)
		out_pair(values[i].key, (uint64_t)min, (uint64_t)max);
	else
		out_int(values[i].key, min, NULL);
}

/* Its name; a number if only a newer module knows it. */
static bool action_text(const struct nlattr *const *tb, char *text)
{
	uint64_t n;

	if (!attr_uint(tb[TCP_KEEPALIVE_A_RULE_KEEPALIVE], &n))
		return false;
	if (n < ARRAY_SIZE(actions))
		strcpy(text, actions[n]);
	else
		snprintf(text, VALUE_TEXT, "%" PRIu64, n);
	return true;
}

static void flag_out(const char *name, const char *key)
{
	if (ka.json)
		out_switch(key, 1);
	else
		out_word(name);
}

/* Show what is done, in a row; @tb is of enum tcp_keepalive_a_rule. */
void rule_action_out(const struct nlattr *const *tb)
{
	char text[VALUE_TEXT];
	uint64_t n = 0;
	int i;

	if (action_text(tb, text)) {
		attr_uint(tb[TCP_KEEPALIVE_A_RULE_KEEPALIVE], &n);
		if (n < ARRAY_SIZE(actions))
			out_name("keepalive", text);
		else
			out_uint("keepalive", n, NULL);
	}
	for (i = 0; i < NR_RULE_VALUES; i++)
		value_out(i, tb);
	if (tb[TCP_KEEPALIVE_A_RULE_OVERRIDE])
		flag_out("override", "override");
}

/* Show a rule, in a row; @tb is of enum tcp_keepalive_a_rule. */
void rule_out(const struct nlattr *const *tb)
{
	uint64_t n;

	if (attr_uint(tb[TCP_KEEPALIVE_A_RULE_PREF], &n))
		out_uint("pref", n, NULL);
	if (tb[TCP_KEEPALIVE_A_RULE_MATCH])
		match_out(tb[TCP_KEEPALIVE_A_RULE_MATCH]);
	rule_action_out(tb);
	if (tb[TCP_KEEPALIVE_A_RULE_CGROUP_GONE])
		flag_out("cgroup-gone", "cgroup_gone");
	if (attr_uint(tb[TCP_KEEPALIVE_A_RULE_HITS], &n))
		out_uint("hits", n, NULL);
}

/* Write the words that make it again. */
void rule_save(const struct nlattr *const *tb, FILE *f)
{
	char text[VALUE_TEXT];
	int64_t min, max;
	uint64_t pref;
	bool span;
	int i;

	if (attr_uint(tb[TCP_KEEPALIVE_A_RULE_PREF], &pref))
		fprintf(f, "pref %" PRIu64, pref);
	if (tb[TCP_KEEPALIVE_A_RULE_MATCH])
		match_save(tb[TCP_KEEPALIVE_A_RULE_MATCH], f);
	if (action_text(tb, text))
		fprintf(f, " keepalive %s", text);
	for (i = 0; i < NR_RULE_VALUES; i++) {
		if (!value_read(i, tb, &min, &max, &span))
			continue;
		value_text(min, max, span, text);
		fprintf(f, " %s %s", values[i].name, text);
	}
	if (tb[TCP_KEEPALIVE_A_RULE_OVERRIDE])
		fprintf(f, " override");
}

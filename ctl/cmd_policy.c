// SPDX-License-Identifier: GPL-2.0
/*
 * kactl policy: what a network namespace asks of its connections.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <linux/tcp_keepalive.h>

#include "advice.h"
#include "attr.h"
#include "kactl.h"
#include "netns.h"
#include "nl.h"
#include "out.h"
#include "parse.h"
#include "policy.h"

static const struct field {
	const char *name;
	int attr;
	enum { S32, U32, SWITCH } type;
	const char *gloss;
} fields[NR_POLICY_FIELDS] = {
	[POLICY_TIME] = { "time", TCP_KEEPALIVE_A_POLICY_TIME, S32,
		   "seconds idle before the first probe" },
	[POLICY_INTVL] = { "intvl", TCP_KEEPALIVE_A_POLICY_INTVL, S32,
		    "seconds between unanswered probes" },
	[POLICY_PROBES] = { "probes", TCP_KEEPALIVE_A_POLICY_PROBES, U32,
		     "unanswered before the connection is closed" },
	[POLICY_ENFORCE] = { "enforce", TCP_KEEPALIVE_A_POLICY_ENFORCE, SWITCH, NULL },
	[POLICY_INHERIT] = { "inherit", TCP_KEEPALIVE_A_POLICY_INHERIT, SWITCH, NULL },
};

/* A request in the making, and the policy that results. */
struct setting {
	uint8_t cmd;
	struct policy policy;
	bool show;
	int64_t now[NR_POLICY_FIELDS];
};

/**
 * policy_detection - seconds from the last that was heard of a peer to giving it up
 * @v: the policy; no value of it is taken on trust
 */
int64_t policy_detection(const int64_t *v)
{
	int64_t probing, total;

	if (__builtin_mul_overflow(v[POLICY_INTVL], v[POLICY_PROBES], &probing) ||
	    __builtin_add_overflow(v[POLICY_TIME], probing, &total))
		return INT64_MAX;
	return total;
}

static void detect_out(int64_t seconds)
{
	char text[64] = "";

	if (seconds >= 60)
		snprintf(text, sizeof(text),
			 "time + intvl * probes = %" PRId64 ":%02d:%02d",
			 seconds / 3600, (int)(seconds / 60 % 60),
			 (int)(seconds % 60));
	out_int("detect_seconds", seconds, text);
}

/* False if there is no such field. */
static bool field_read(const struct field *f, const struct nlattr *const *tb,
		       int64_t *v)
{
	if (!attr_int(tb[f->attr], v))
		return false;
	if (f->type == U32)
		*v = (uint32_t)*v;
	return true;
}

/* Show the fields; @tb is of enum tcp_keepalive_a_policy. */
void policy_out(const struct nlattr *const *tb)
{
	int64_t v[NR_POLICY_FIELDS] = { 0 };
	bool whole = true;
	int i;

	for (i = 0; i < NR_POLICY_FIELDS; i++) {
		const struct field *f = &fields[i];

		if (!field_read(f, tb, &v[i])) {
			whole = false;
			continue;
		}
		/* No sum of what is larger than today's module has it. */
		if (v[i] != (int32_t)v[i] && v[i] != (uint32_t)v[i])
			whole = false;
		if (f->type == SWITCH)
			out_switch(f->name, (uint64_t)v[i]);
		else
			out_int(f->name, v[i], f->gloss);
	}
	if (whole)
		detect_out(policy_detection(v));
}

static enum status policy_reply(struct nlattr *attrs, int len, void *arg)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_POLICY_MAX + 1];
	struct setting *s = arg;
	uint64_t ino;
	int i;

	attr_table(tb, TCP_KEEPALIVE_A_POLICY_MAX, attrs, len);
	for (i = 0; i < NR_POLICY_FIELDS; i++)
		field_read(&fields[i], tb, &s->now[i]);
	if (!s->show)
		return ST_DONE;
	out_object();
	if (attr_uint(tb[TCP_KEEPALIVE_A_POLICY_NETNS_INO], &ino))
		netns_out((uint32_t)ino);
	policy_out(tb);
	out_unknown(attrs, len, TCP_KEEPALIVE_A_POLICY_MAX);
	out_object_end();
	return ST_DONE;
}

/* Put the fields that were given. */
void policy_put(const struct policy *p, struct request *req)
{
	int i;

	for (i = 0; i < NR_POLICY_FIELDS; i++) {
		const struct field *f = &fields[i];
		uint32_t number = (uint32_t)p->value[i];
		uint8_t on = (uint8_t)p->value[i];

		if (!p->word[i])
			continue;
		if (f->type == SWITCH)
			request_put(req, f->attr, &on, sizeof(on), f->name,
				    p->word[i]);
		else
			request_put(req, f->attr, &number, sizeof(number),
				    f->name, p->word[i]);
	}
}

static enum status policy_talk(void *arg)
{
	struct setting *s = arg;
	struct request req;
	enum status st;

	st = request_init(&req, s->cmd);
	if (st)
		return st;
	policy_put(&s->policy, &req);
	st = request_send(&req, policy_reply, s);
	if (!st)
		advise_policy(&s->policy, s->now);
	return st;
}

static enum status policy_show(struct args *a)
{
	struct setting s = { .cmd = TCP_KEEPALIVE_CMD_POLICY_GET, .show = true };
	enum status st = args_end(a);

	return st ? st : netns_each(false, policy_talk, &s);
}

/* Show the policy of the namespace that we are connected to. */
enum status policy_show_now(void)
{
	struct setting s = { .cmd = TCP_KEEPALIVE_CMD_POLICY_GET, .show = true };

	return policy_talk(&s);
}

/* Read it: its NR_POLICY_FIELDS values. */
enum status policy_read_now(int64_t *v)
{
	struct setting s = { .cmd = TCP_KEEPALIVE_CMD_POLICY_GET };
	enum status st = policy_talk(&s);

	memcpy(v, s.now, sizeof(s.now));
	return st;
}

/* Could it be set? A sysctl may hold other values. */
static bool in_range(int i, int64_t v)
{
	switch (i) {
	case POLICY_TIME:
		return v >= 1 && v <= TCP_KEEPALIVE_TIME_MAX;
	case POLICY_INTVL:
		return v >= 1 && v <= TCP_KEEPALIVE_INTVL_MAX;
	case POLICY_PROBES:
		return v >= 1 && v <= TCP_KEEPALIVE_PROBES_MAX;
	default:
		return true;
	}
}

/* Write the command that makes it again. */
enum status policy_save(FILE *f)
{
	int64_t v[NR_POLICY_FIELDS];
	enum status st = policy_read_now(v);
	int i;

	if (st)
		return st;
	for (i = 0; i < NR_POLICY_FIELDS; i++) {
		if (in_range(i, v[i]))
			continue;
		warn("warning: %s %" PRId64 ": not saved: it is out of the range that can be set",
		     fields[i].name, v[i]);
		fprintf(f, "# %s %" PRId64 " is out of range, and will be reset\n",
			fields[i].name, v[i]);
	}
	fprintf(f, "policy set");
	for (i = 0; i < NR_POLICY_FIELDS; i++) {
		if (!in_range(i, v[i]))
			continue;
		if (fields[i].type == SWITCH)
			fprintf(f, " %s %s", fields[i].name,
				v[i] ? "on" : "off");
		else
			fprintf(f, " %s %" PRId64, fields[i].name, v[i]);
	}
	fprintf(f, "\n");
	return ST_DONE;
}

static enum status parse_field(const struct field *f, const char *word,
			       int64_t *value)
{
	enum status st;
	bool on;

	switch (f->type) {
	case S32:
		return parse_narrow(f->name, word, INT32_MIN, INT32_MAX, value);
	case U32:
		return parse_narrow(f->name, word, 0, UINT32_MAX, value);
	default:
		st = parse_switch(f->name, word, &on);
		*value = on;
		return st;
	}
}

/* Read all the words, which are to be fields and their values. */
enum status policy_parse(struct policy *p, struct args *a)
{
	enum status st;
	int i;

	if (!*a->word)
		return fail(ST_USAGE,
			    "give one or more of time, intvl, probes, enforce, inherit");
	while (*a->word) {
		for (i = 0; i < NR_POLICY_FIELDS; i++)
			if (args_take(a, fields[i].name))
				break;
		if (i == NR_POLICY_FIELDS)
			return args_unknown(a);
		st = args_once(a, fields[i].name, &p->word[i]);
		if (!st)
			st = parse_field(&fields[i], p->word[i], &p->value[i]);
		if (st)
			return st;
	}
	return ST_DONE;
}

/* What was set is shown to programs only. */
static enum status policy_set(struct args *a)
{
	struct setting s = { .cmd = TCP_KEEPALIVE_CMD_POLICY_SET,
			     .show = ka.json };
	enum status st = policy_parse(&s.policy, a);

	return st ? st : netns_each(true, policy_talk, &s);
}

static enum status policy_reset(struct args *a)
{
	struct setting s = { .cmd = TCP_KEEPALIVE_CMD_POLICY_RESET,
			     .show = ka.json };
	enum status st = args_end(a);

	return st ? st : netns_each(true, policy_talk, &s);
}

static const struct verb verbs[] = {
	{
		.name	= "show",
		.args	= "",
		.run	= policy_show,
		.help	= "Show the policy in force.\n",
	}, {
		.name	= "set",
		.args	= "[time N] [intvl N] [probes N] [enforce on|off] [inherit on|off]",
		.run	= policy_set,
		.help	= "Change the fields that are given, all of them or,\n"
			  "if one is refused, none.\n"
			  "  time     seconds idle before the first probe, 1 to 32767;\n"
			  "           the sysctl net.ipv4.tcp_keepalive_time\n"
			  "  intvl    seconds between unanswered probes, 1 to 32767;\n"
			  "           the sysctl net.ipv4.tcp_keepalive_intvl\n"
			  "  probes   unanswered probes before the connection is closed, 1 to 127;\n"
			  "           the sysctl net.ipv4.tcp_keepalive_probes\n"
			  "  enforce  on: every new TCP connection gets keepalive;\n"
			  "           off: those whose program asks for it\n"
			  "  inherit  on: network namespaces created from this one start with its\n"
			  "           policy and rules; off: with the kernel's defaults\n",
	}, {
		.name	= "reset",
		.args	= "",
		.run	= policy_reset,
		.help	= "Put time, intvl and probes back to what they were before\n"
			  "they were set, and enforce and inherit to off.\n",
	}, { 0 }
};

const struct object object_policy = {
	.name		= "policy",
	.summary	= "when to probe an idle connection, and when to give it up",
	.verbs		= verbs,
	.examples	= "  kactl policy set time 60 intvl 10 probes 6\n"
			  "  kactl policy set enforce on\n"
			  "  kactl -a -j policy\n",
};

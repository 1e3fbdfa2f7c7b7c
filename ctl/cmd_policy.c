// SPDX-License-Identifier: GPL-2.0
/*
 * kactl policy: what a network namespace asks of its connections.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include <linux/tcp_keepalive.h>

#include "attr.h"
#include "kactl.h"
#include "netns.h"
#include "nl.h"
#include "out.h"
#include "parse.h"
#include "policy.h"

/* The fields, in the order in which they are shown. */
enum { TIME, INTVL, PROBES, ENFORCE, INHERIT, NR_FIELDS };

static const struct field {
	const char *name;
	int attr;
	enum { S32, U32, SWITCH } type;
	const char *gloss;
} fields[NR_FIELDS] = {
	[TIME] = { "time", TCP_KEEPALIVE_A_POLICY_TIME, S32,
		   "seconds idle before the first probe" },
	[INTVL] = { "intvl", TCP_KEEPALIVE_A_POLICY_INTVL, S32,
		    "seconds between unanswered probes" },
	[PROBES] = { "probes", TCP_KEEPALIVE_A_POLICY_PROBES, U32,
		     "unanswered before the connection is closed" },
	[ENFORCE] = { "enforce", TCP_KEEPALIVE_A_POLICY_ENFORCE, SWITCH, NULL },
	[INHERIT] = { "inherit", TCP_KEEPALIVE_A_POLICY_INHERIT, SWITCH, NULL },
};

/* A request in the making: which fields it gives, and in which words. */
struct setting {
	uint8_t cmd;
	const char *word[NR_FIELDS];
	int64_t value[NR_FIELDS];
};

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

/* Show the fields; @tb is of enum tcp_keepalive_a_policy. */
void policy_out(const struct nlattr *const *tb)
{
	int64_t v[NR_FIELDS] = { 0 };
	bool whole = true;
	int i;

	for (i = 0; i < NR_FIELDS; i++) {
		const struct field *f = &fields[i];

		if (!attr_int(tb[f->attr], &v[i])) {
			whole = false;
			continue;
		}
		if (f->type == U32)
			v[i] = (uint32_t)v[i];
		/* No sum of what is larger than today's module has it. */
		if (v[i] != (int32_t)v[i] && v[i] != (uint32_t)v[i])
			whole = false;
		if (f->type == SWITCH)
			out_switch(f->name, (uint64_t)v[i]);
		else
			out_int(f->name, v[i], f->gloss);
	}
	if (whole)
		detect_out(v[TIME] + v[INTVL] * v[PROBES]);
}

static enum status policy_reply(struct nlattr *attrs, int len, void *arg)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_POLICY_MAX + 1];
	const bool *show = arg;
	uint64_t ino;

	if (!*show)
		return ST_DONE;
	attr_table(tb, TCP_KEEPALIVE_A_POLICY_MAX, attrs, len);
	out_object();
	if (attr_uint(tb[TCP_KEEPALIVE_A_POLICY_NETNS_INO], &ino))
		netns_out((uint32_t)ino);
	policy_out(tb);
	out_unknown(attrs, len, TCP_KEEPALIVE_A_POLICY_MAX);
	out_object_end();
	return ST_DONE;
}

static enum status policy_talk(void *arg)
{
	const struct setting *s = arg;
	/* What was set is shown to programs only. */
	bool show = s->cmd == TCP_KEEPALIVE_CMD_POLICY_GET || ka.json;
	struct request req;
	enum status st;
	int i;

	st = request_init(&req, s->cmd);
	if (st)
		return st;
	for (i = 0; i < NR_FIELDS; i++) {
		const struct field *f = &fields[i];
		uint32_t number = (uint32_t)s->value[i];
		uint8_t on = (uint8_t)s->value[i];

		if (!s->word[i])
			continue;
		if (f->type == SWITCH)
			request_put(&req, f->attr, &on, sizeof(on),
				    f->name, s->word[i]);
		else
			request_put(&req, f->attr, &number, sizeof(number),
				    f->name, s->word[i]);
	}
	return request_send(&req, policy_reply, &show);
}

static enum status policy_show(struct args *a)
{
	struct setting s = { .cmd = TCP_KEEPALIVE_CMD_POLICY_GET };
	enum status st = args_end(a);

	return st ? st : netns_each(false, policy_talk, &s);
}

static enum status parse_field(const struct field *f, const char *word,
			       int64_t *value)
{
	enum status st;
	bool on;

	switch (f->type) {
	case S32:
		return parse_int(f->name, word, INT32_MIN, INT32_MAX, value);
	case U32:
		return parse_int(f->name, word, 0, UINT32_MAX, value);
	default:
		st = parse_switch(f->name, word, &on);
		*value = on;
		return st;
	}
}

static enum status policy_set(struct args *a)
{
	struct setting s = { .cmd = TCP_KEEPALIVE_CMD_POLICY_SET };
	enum status st;
	int i;

	if (!*a->word)
		return fail(ST_USAGE,
			    "give one or more of time, intvl, probes, enforce, inherit");
	while (*a->word) {
		for (i = 0; i < NR_FIELDS; i++)
			if (args_take(a, fields[i].name))
				break;
		if (i == NR_FIELDS)
			return args_unknown(a);
		if (s.word[i])
			return fail(ST_USAGE, "\"%s\" given twice",
				    fields[i].name);
		st = args_value(a, fields[i].name, &s.word[i]);
		if (!st)
			st = parse_field(&fields[i], s.word[i], &s.value[i]);
		if (st)
			return st;
	}
	return netns_each(true, policy_talk, &s);
}

static enum status policy_reset(struct args *a)
{
	struct setting s = { .cmd = TCP_KEEPALIVE_CMD_POLICY_RESET };
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
			  "           policy; off: with the kernel's defaults\n",
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
};

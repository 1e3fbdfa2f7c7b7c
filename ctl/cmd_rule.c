// SPDX-License-Identifier: GPL-2.0
/*
 * kactl rule: which connections get which keepalive.
 */
#include <inttypes.h>

#include <linux/tcp_keepalive.h>

#include "advice.h"
#include "attr.h"
#include "kactl.h"
#include "match.h"
#include "netns.h"
#include "nl.h"
#include "out.h"
#include "parse.h"
#include "policy.h"
#include "rule.h"
#include "rules.h"

/**
 * struct change - a request that changes rules
 * @cmd: the command
 * @rule: the rule that it is about
 * @announce: which pref it got is not known beforehand
 */
struct change {
	uint8_t cmd;
	struct rule rule;
	bool announce;
};

static void rule_object(const struct nlattr *const *tb,
			const struct nlattr *attrs, int len)
{
	uint64_t ino;

	out_object();
	if (ka.json && attr_uint(tb[TCP_KEEPALIVE_A_RULE_NETNS_INO], &ino))
		netns_out((uint32_t)ino);
	rule_out(tb);
	out_unknown(attrs, len, TCP_KEEPALIVE_A_RULE_MAX);
	out_object_end();
}

/* Before the first line of a namespace where there may be several. */
static void heading(const struct nlattr *const *tb)
{
	uint64_t ino;

	if (ka.json || !ka.all_netns ||
	    !attr_uint(tb[TCP_KEEPALIVE_A_RULE_NETNS_INO], &ino))
		return;
	out_object();
	netns_out((uint32_t)ino);
	out_object_end();
}

static enum status rule_shown(struct nlattr *attrs, int len, void *arg)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_RULE_MAX + 1];
	bool *first = arg;

	attr_table(tb, TCP_KEEPALIVE_A_RULE_MAX, attrs, len);
	if (*first)
		heading(tb);
	*first = false;
	rule_object(tb, attrs, len);
	return out_failed() ? ST_ENOUGH : ST_DONE;
}

/**
 * rules_read - read the rules of the namespace that we are connected to
 * @reply: called for each, in rising order of pref
 * @arg: handed to @reply
 */
enum status rules_read(reply_fn reply, void *arg)
{
	struct request req;
	enum status st;

	st = request_init(&req, TCP_KEEPALIVE_CMD_RULE_GET);
	if (st)
		return st;
	request_dump(&req);
	return request_send(&req, reply, arg);
}

/* Show them. */
enum status rules_show_now(void)
{
	bool first = true;

	return rules_read(rule_shown, &first);
}

static enum status show_talk(void *arg)
{
	(void)arg;
	return rules_show_now();
}

static enum status rule_show(struct args *a)
{
	enum status st = args_end(a);

	if (st)
		return st;
	out_rows();
	return netns_each(false, show_talk, NULL);
}

/* What became of a request; to programs the rule, if there is one now. */
static enum status rule_changed(struct nlattr *attrs, int len, void *arg)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_RULE_MAX + 1];
	const struct change *c = arg;
	uint64_t pref;

	attr_table(tb, TCP_KEEPALIVE_A_RULE_MAX, attrs, len);
	if (ka.json && c->cmd != TCP_KEEPALIVE_CMD_RULE_DEL) {
		rule_object(tb, attrs, len);
	} else if (!ka.json && c->announce &&
		   attr_uint(tb[TCP_KEEPALIVE_A_RULE_PREF], &pref)) {
		heading(tb);
		out_object();
		out_uint("pref", pref, NULL);
		out_object_end();
	}
	return ST_DONE;
}

static enum status change_talk(void *arg)
{
	int64_t now[NR_POLICY_FIELDS];
	struct change *c = arg;
	struct request req;
	enum status st;

	st = request_init_size(&req, c->cmd, REQUEST_WITH_PATH);
	if (st)
		return st;
	rule_put(&c->rule, &req);
	st = request_send(&req, rule_changed, c);
	if (!st && !ka.quiet && !policy_read_now(now))
		advise_rule(&c->rule, now);
	return st;
}

static enum status rule_add(struct args *a)
{
	struct change c = { .cmd = TCP_KEEPALIVE_CMD_RULE_ADD };
	enum status st = rule_parse(&c.rule, a);

	if (st)
		return st;
	c.announce = !c.rule.pref_word;
	out_rows();
	return netns_each(true, change_talk, &c);
}

static enum status rule_replace(struct args *a)
{
	struct change c = { .cmd = TCP_KEEPALIVE_CMD_RULE_REPLACE };
	enum status st = rule_parse(&c.rule, a);

	if (!st && !c.rule.pref_word)
		st = fail(ST_USAGE, "which rule? give its pref");
	if (st)
		return st;
	out_rows();
	return netns_each(true, change_talk, &c);
}

static enum status rule_del(struct args *a)
{
	struct change c = { .cmd = TCP_KEEPALIVE_CMD_RULE_DEL };
	enum status st = ST_DONE;

	while (*a->word && !st)
		st = args_take(a, "pref") ? rule_parse_pref(&c.rule, a) :
					    args_unknown(a);
	if (!st && !c.rule.pref_word)
		st = fail(ST_USAGE, "which rule? give its pref");
	return st ? st : netns_each(true, change_talk, &c);
}

static enum status rule_flush(struct args *a)
{
	struct change c = { .cmd = TCP_KEEPALIVE_CMD_RULE_FLUSH };
	enum status st = args_end(a);

	return st ? st : netns_each(true, change_talk, &c);
}

static enum status rule_decided(struct nlattr *attrs, int len, void *arg)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_RULE_MAX + 1];
	uint64_t n;

	(void)arg;
	attr_table(tb, TCP_KEEPALIVE_A_RULE_MAX, attrs, len);
	heading(tb);
	out_object();
	if (ka.json && attr_uint(tb[TCP_KEEPALIVE_A_RULE_NETNS_INO], &n))
		netns_out((uint32_t)n);
	if (attr_uint(tb[TCP_KEEPALIVE_A_RULE_PREF], &n))
		out_uint("pref", n, NULL);
	else if (ka.json)
		out_null("pref");
	else
		out_name("pref", "none");
	rule_action_out(tb);
	out_unknown(attrs, len, TCP_KEEPALIVE_A_RULE_MAX);
	out_object_end();
	return ST_DONE;
}

static enum status test_talk(void *arg)
{
	const struct match *m = arg;
	struct request req;
	enum status st;

	st = request_init_size(&req, TCP_KEEPALIVE_CMD_RULE_TEST,
			       REQUEST_WITH_PATH);
	if (st)
		return st;
	match_put(m, &req, TCP_KEEPALIVE_A_RULE_MATCH);
	return request_send(&req, rule_decided, NULL);
}

static enum status rule_test(struct args *a)
{
	struct match m = { .use = MATCH_ONE };
	enum status st = ST_DONE;

	while (*a->word && !st)
		st = match_parse(&m, a);
	if (!st && !match_given(&m))
		st = fail(ST_USAGE,
			  "which connection? give one or more of dir, local, remote, lport, rport, cgroup, uid, mark");
	if (st)
		return st;
	out_rows();
	return netns_each(false, test_talk, &m);
}

static const struct verb verbs[] = {
	{
		.name	= "show",
		.args	= "",
		.run	= rule_show,
		.help	= "Show the rules, a line each, with how many connections each has\n"
			  "decided. The first that matches decides.\n",
	}, {
		.name	= "add",
		.args	= "[pref N] " MATCH_ARGS " " RULE_ACTION_ARGS,
		.run	= rule_add,
		.help	= "Add a rule at place pref, 1 to 32767, or 10 after the last one, and\n"
			  "then print which place that is. All that is given has to hold:\n"
			  MATCH_HELP
			  "What is done when such a connection becomes established:\n"
			  "  keepalive on        turn keepalive on\n"
			  "  keepalive off       turn it off\n"
			  "  keepalive leave     leave it to the program, as a rule without this does\n"
			  "  time N              seconds idle before the first probe, if the program set\n"
			  "                      none; 1 to 32767\n"
			  "  time N..M           whatever is in effect is kept within these\n"
			  "  intvl N[..M]        likewise seconds between unanswered probes; 1 to 32767\n"
			  "  probes N[..M]       likewise unanswered probes before it is closed; 1 to 127\n"
			  "  user-timeout MS     TCP_USER_TIMEOUT in milliseconds, if the program set none\n"
			  "  override            the program's own values are replaced, too\n",
	}, {
		.name	= "replace",
		.args	= "pref N " MATCH_ARGS " " RULE_ACTION_ARGS,
		.run	= rule_replace,
		.help	= "The same, in place of the rule that is there, if there is one.\n",
	}, {
		.name	= "del",
		.args	= "pref N",
		.run	= rule_del,
		.help	= "Remove a rule.\n",
	}, {
		.name	= "flush",
		.args	= "",
		.run	= rule_flush,
		.help	= "Remove all rules.\n",
	}, {
		.name	= "test",
		.args	= "[dir in|out] [local ADDRESS] [remote ADDRESS] [lport N] "
			  "[rport N] [cgroup PATH] [uid N] [mark VALUE]",
		.run	= rule_test,
		.help	= "Say which rule decides for such a connection, and what it would\n"
			  "get if its program set nothing itself.\n",
	}, { 0 }
};

const struct object object_rule = {
	.name		= "rule",
	.summary	= "which connections get keepalive, and with which values",
	.verbs		= verbs,
	.examples	= "  kactl rule add dir out rport 5432 keepalive on time 60 intvl 10\n"
			  "  kactl rule add pref 5 remote 127.0.0.0/8 keepalive leave\n"
			  "  kactl rule add time 10..300\n"
			  "  kactl rule test dir out remote 192.0.2.7 rport 5432\n",
};

// SPDX-License-Identifier: GPL-2.0
/*
 * kactl restore: policy and rules from a file of commands, in one transaction.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/tcp_keepalive.h>

#include "advice.h"
#include "kactl.h"
#include "lines.h"
#include "netns.h"
#include "nl.h"
#include "out.h"
#include "parse.h"
#include "policy.h"
#include "rule.h"
#include "rules.h"

#define PREF_STEP	10	/* as the kernel's from one rule to the next */

/* No word of a rule takes more than that many bytes of a message for each of its own. */
#define BYTES_PER_CHAR	4
#define BYTES_MORE	4096

/**
 * struct restore - what a file asks for
 * @file: the file's words, which the others point into
 * @policy: its policy; the line is 0 if it has none
 * @rule: its rules, as they come
 * @nr: how many
 * @pref: the highest pref so far
 */
struct restore {
	struct lines file;
	struct policy policy;
	struct rule *rule;
	size_t nr;
	int64_t pref;
};

static enum status read_policy(struct restore *r, struct args *a)
{
	if (r->policy.line)
		return fail(ST_USAGE, "a second policy: there is one in line %u",
			    r->policy.line);
	r->policy.line = ka.line;
	return policy_parse(&r->policy, a);
}

/* As "rule add" would do it, one after the other. */
static enum status place(struct restore *r, struct rule *rule)
{
	size_t i;

	if (!rule->pref_word) {
		rule->pref = r->pref + PREF_STEP;
		if (rule->pref > TCP_KEEPALIVE_PREF_MAX &&
		    r->pref <= TCP_KEEPALIVE_PREF_MAX)
			return fail(ST_REFUSED, "pref: none is left after the highest in use");
	}
	for (i = 0; i < r->nr; i++)
		if (r->rule[i].pref == rule->pref)
			return fail(ST_REFUSED,
				    "pref %s: there is a rule with this one in line %u",
				    rule->pref_word, r->rule[i].line);
	if (rule->pref > r->pref)
		r->pref = rule->pref;
	return ST_DONE;
}

static enum status read_rule(struct restore *r, struct args *a)
{
	struct rule *more, *rule;
	enum status st;

	if (r->nr == TCP_KEEPALIVE_RULES_MAX)
		return fail(ST_REFUSED,
			    "rule: there are %d before this one, which is all that a namespace may have",
			    TCP_KEEPALIVE_RULES_MAX);
	more = realloc(r->rule, (r->nr + 1) * sizeof(*more));
	if (!more)
		return fail(ST_REFUSED, "%s", strerror(ENOMEM));
	r->rule = more;
	rule = &more[r->nr];
	*rule = (struct rule){ .line = ka.line };
	st = rule_parse(rule, a);
	if (!st)
		st = place(r, rule);
	if (!st)
		r->nr++;
	return st;
}

/* A command, as on the command line. */
static enum status read_command(struct args *a, void *arg)
{
	struct restore *r = arg;

	args_take(a, "kactl");
	if (args_take(a, "policy")) {
		if (args_take(a, "set"))
			return read_policy(r, a);
	} else if (args_take(a, "rule")) {
		if (args_take(a, "add"))
			return read_rule(r, a);
	}
	if (!*a->word)
		return fail(ST_USAGE, "neither \"policy set\" nor \"rule add\"");
	return fail(ST_USAGE, "unknown word \"%s\": a line is \"policy set\" or \"rule add\"",
		    *a->word);
}

static enum status restore_send(const struct restore *r)
{
	struct nlattr *nest;
	struct request req;
	enum status st;
	size_t i;

	st = request_init_size(&req, TCP_KEEPALIVE_CMD_RESTORE,
			       BYTES_PER_CHAR * r->file.len + BYTES_MORE);
	if (st)
		return st;
	if (r->policy.line) {
		ka.line = r->policy.line;
		nest = request_nest(&req, TCP_KEEPALIVE_A_RESTORE_POLICY);
		policy_put(&r->policy, &req);
		request_nest_end(&req, nest);
	}
	for (i = 0; i < r->nr; i++) {
		ka.line = r->rule[i].line;
		nest = request_nest(&req, TCP_KEEPALIVE_A_RESTORE_RULE);
		rule_put(&r->rule[i], &req);
		request_nest_end(&req, nest);
	}
	ka.line = 0;
	return request_send(&req, NULL, NULL);
}

static enum status restore_talk(void *arg)
{
	int64_t now[NR_POLICY_FIELDS];
	const struct restore *r = arg;
	enum status st = restore_send(r);
	size_t i;

	if (st)
		return st;
	if (!ka.quiet && !policy_read_now(now)) {
		advise_policy(&r->policy, now);
		for (i = 0; i < r->nr; i++)
			advise_rule(&r->rule[i], now);
	}
	if (!ka.json)
		return ST_DONE;
	st = policy_show_now();
	return st ? st : rules_show_now();
}

/* Without the module there are no rules, and nobody has set a policy. */
static bool nothing_to_do(const struct restore *r)
{
	return !r->policy.line && !r->nr && !ka_present();
}

static enum status restore(struct args *a)
{
	struct restore r = { 0 };
	const char *path;
	enum status st = args_file(a, &path);

	if (st)
		return st;
	ka.file = path ? path : "standard input";
	st = lines_read(&r.file, path);
	if (!st)
		st = lines_each(&r.file, read_command, &r);
	if (!st && !nothing_to_do(&r))
		st = netns_each(true, restore_talk, &r);
	free(r.rule);
	lines_free(&r.file);
	return st;
}

static const struct verb verbs[] = {
	{
		.name	= "",
		.args	= "[FILE]",
		.run	= restore,
		.help	= "Read commands from FILE or standard input and put them into force,\n"
			  "all of them or, if anything is wrong, none. A line is one of\n"
			  "  [kactl] policy set ...  sets the fields that are named and resets the\n"
			  "                          others; without it the policy stays as it is\n"
			  "  [kactl] rule add ...    the rules become these and no others\n"
			  "or empty. A # begins a comment; quotes are as in the shell.\n",
	}, { 0 }
};

const struct object object_restore = {
	.name		= "restore",
	.summary	= "policy and rules from such a file, all or nothing",
	.verbs		= verbs,
	.examples	= "  kactl restore /etc/kactl.conf\n"
			  "  kactl -n 1 save | kactl restore\n",
};

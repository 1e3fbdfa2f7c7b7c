// SPDX-License-Identifier: GPL-2.0
/*
 * kactl advise: what keepalive gives and costs here, and what to set.
 */
#include <stdio.h>

#include "evidence.h"
#include "kactl.h"
#include "middlebox.h"
#include "netns.h"
#include "out.h"
#include "parse.h"

#define NAME_WIDTH	18

static void line_out(const char *about, const char *says, const char *rests_on,
		     void *arg)
{
	(void)arg;
	if (!ka.json) {
		out_text("%-*s %s\n%*s  - %s\n", NAME_WIDTH, about, says,
			 NAME_WIDTH, "", rests_on);
		return;
	}
	out_object();
	out_str("about", about);
	out_str("says", says);
	out_str("rests_on", rests_on);
	out_object_end();
}

static enum status advise_netns(void *arg)
{
	struct evidence e;
	enum status st = evidence_read(&e, arg);

	if (st)
		return st;
	out_object();
	netns_out(e.stats.ino);
	if (ka.json)
		out_array("advice");
	evidence_each(&e, line_out, NULL);
	if (ka.json)
		out_array_end();
	if (*e.recommend)
		out_str("recommend", e.recommend);
	else if (ka.json)
		out_null("recommend");
	else
		out_text("%-*s nothing: %s\n", NAME_WIDTH, "recommend",
			 evidence_none(&e));
	out_object_end();
	return ST_DONE;
}

static enum status advise(struct args *a)
{
	const char *word = NULL;
	struct middlebox box;
	enum status st = ST_DONE;

	while (*a->word && !st) {
		if (args_take(a, "--behind"))
			st = args_once(a, "--behind", &word);
		else
			st = args_unknown(a);
	}
	if (!st && word)
		st = middlebox_parse("--behind", word, &box);
	return st ? st : netns_each(false, advise_netns, word ? &box : NULL);
}

static const struct verb verbs[] = {
	{
		.name	= "",
		.args	= "[--behind WHAT]",
		.run	= advise,
		.help	= "Say what keepalive gives and costs here, what is dangerous about the\n"
			  "policy, and what each of that rests on; and, where something speaks for a\n"
			  "change, the command that makes it.\n"
			  "  --behind WHAT  what the connections go through: how many seconds of\n"
			  "                 idleness it lets be, or a name: see\n"
			  "                 \"kactl http behind\"\n",
	}, { 0 }
};

const struct object object_advise = {
	.name		= "advise",
	.summary	= "what keepalive gives and costs here, and what to set",
	.verbs		= verbs,
	.examples	= "  kactl advise --behind nlb\n"
			  "  kactl advise --behind 300\n",
};

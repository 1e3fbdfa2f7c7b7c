// SPDX-License-Identifier: GPL-2.0
/*
 * kactl save: policy and rules as a file of commands.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/tcp_keepalive.h>

#include "attr.h"
#include "file.h"
#include "kactl.h"
#include "netns.h"
#include "nl.h"
#include "out.h"
#include "parse.h"
#include "policy.h"
#include "rule.h"
#include "rules.h"

static const char header[] =
	"# TCP keepalive of a network namespace, as commands of kactl(8).\n"
	"#\n"
	"#   kactl restore FILE\n"
	"#\n"
	"# puts it into force, all of it or, if anything is wrong, nothing: the fields\n"
	"# of \"policy set\" are set and the others reset, and the rules become those\n"
	"# below and no others. Without a \"policy set\" the policy stays as it is.\n";

static enum status save_rule(struct nlattr *attrs, int len, void *arg)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_RULE_MAX + 1];
	FILE *f = arg;

	attr_table(tb, TCP_KEEPALIVE_A_RULE_MAX, attrs, len);
	/* One that could not be restored would keep the others from it. */
	if (tb[TCP_KEEPALIVE_A_RULE_CGROUP_GONE])
		fprintf(f, "# its cgroup is gone: ");
	fprintf(f, "rule add ");
	rule_save(tb, f);
	fprintf(f, "\n");
	return ST_DONE;
}

/* The text that there is to save. */
static enum status save_text(FILE *f)
{
	enum status st;

	fputs(header, f);
	fputc('\n', f);
	st = policy_save(f);
	fputc('\n', f);
	return st ? st : rules_read(save_rule, f);
}

static enum status save_talk(void *arg)
{
	const char *path = arg;
	enum status st;
	char *text = NULL;
	size_t len = 0;
	FILE *f;

	f = open_memstream(&text, &len);
	if (!f)
		return fail(ST_REFUSED, "%s", strerror(errno));
	if (ka.all_netns)
		fprintf(f, "# netns %s\n", ka.netns ? ka.netns : "of kactl");
	st = save_text(f);
	if (fclose(f) && !st)
		st = fail(ST_REFUSED, "%s", strerror(ENOMEM));
	if (!st && path)
		st = file_replace(path, text, len);
	else if (!st)
		out_bytes(text, len);
	free(text);
	return st;
}

static enum status save(struct args *a)
{
	const char *path;
	enum status st = args_file(a, &path);

	if (st)
		return st;
	if (path && ka.all_netns)
		return fail(ST_USAGE, "\"%s\": a file holds one network namespace, not --all-netns",
			    path);
	if (!path && ka.json)
		return fail(ST_USAGE, "a file of commands is not JSON: give a FILE with --json");
	return netns_each(false, save_talk, (void *)path);
}

static const struct verb verbs[] = {
	{
		.name	= "",
		.args	= "[FILE]",
		.run	= save,
		.help	= "Write the policy and the rules as commands that \"kactl restore\"\n"
			  "takes, to FILE, which is replaced as a whole, or to standard output.\n",
	}, { 0 }
};

const struct object object_save = {
	.name		= "save",
	.summary	= "policy and rules to a file of commands",
	.verbs		= verbs,
	.examples	= "  kactl save\n"
			  "  kactl save /etc/kactl.conf\n",
};

// SPDX-License-Identifier: GPL-2.0
/*
 * kactl: TCP keepalive policy, statistics and connections of network namespaces.
 */
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "intr.h"
#include "kactl.h"
#include "netns.h"
#include "out.h"
#include "parse.h"

struct kactl ka;

static const struct object *const objects[] = {
	&object_policy,
	&object_rule,
	&object_apply,
	&object_stats,
	&object_conn,
	&object_monitor,
	&object_save,
	&object_restore,
	&object_http,
	&object_metrics,
	&object_advise,
	&object_top,
	&object_report,
};

static const char options_help[] =
	"Options, before the object:\n"
	"  -n, --netns NAME|PID|PATH  in that network namespace; tried in that order\n"
	"  -a, --all-netns            in every network namespace that can be reached\n"
	"  -j, --json                 one JSON document on standard output\n"
	"  -p, --pretty               with -j: indented\n"
	"  -c, --color[=WHEN]         always (if WHEN is not given), auto or never\n"
	"  -q, --quiet                no warnings\n"
	"  -V, --version              the version\n"
	"  -h, --help                 this text\n";

static const char examples[] =
	"Examples:\n"
	"  kactl policy set time 60 intvl 10 probes 6 enforce on\n"
	"  kactl -a stats\n"
	"  kactl conn status unprotected --processes\n";

static const struct option long_options[] = {
	{ "netns",	required_argument,	NULL, 'n' },
	{ "all-netns",	no_argument,		NULL, 'a' },
	{ "json",	no_argument,		NULL, 'j' },
	{ "pretty",	no_argument,		NULL, 'p' },
	{ "color",	optional_argument,	NULL, 'c' },
	{ "quiet",	no_argument,		NULL, 'q' },
	{ "version",	no_argument,		NULL, 'V' },
	{ "help",	no_argument,		NULL, 'h' },
	{ NULL,		0,			NULL, 0 }
};

/* What the options ask for beside what is kept in ka. */
struct asked {
	const char *netns;
	bool help;
	bool version;
};

/* The object that comes next; NULL if there is none of that name, which it says. */
static const struct object *take_object(struct args *a)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(objects); i++)
		if (args_take(a, objects[i]->name))
			return objects[i];
	fail(ST_USAGE, "unknown object \"%s\": see \"kactl help\"", *a->word);
	return NULL;
}

/* Whether the word of an object's first command may be left out. */
static bool may_omit(const struct verb *first)
{
	return !*first->name || !strcmp(first->name, "show");
}

/* For programs, such as the shell's completion, a command is an object. */
static void usage(const struct object *o, const struct verb *v)
{
	bool first = v == o->verbs;

	if (ka.json) {
		out_object();
		out_str("object", o->name);
		out_str("command", v->name);
		out_str("args", v->args);
		out_object_end();
		return;
	}
	out_text("%s kactl %s", first ? "Usage:" : "      ", o->name);
	if (*v->name)
		out_text(first && may_omit(v) ? " [%s]" : " %s", v->name);
	out_text("%s%s\n", *v->args ? " " : "", v->args);
}

static void help_object(const struct object *o)
{
	const struct verb *v;

	for (v = o->verbs; v->name; v++)
		usage(o, v);
	for (v = o->verbs; v->name && !ka.json; v++)
		out_text("\n%s%s%s", v->name, *v->name ? ": " : "", v->help);
	if (!ka.json)
		out_text("\nExamples:\n%s", o->examples);
}

static enum status help_named(struct args *a)
{
	const struct object *o = take_object(a);
	enum status st = o ? args_end(a) : ST_USAGE;

	if (!st)
		help_object(o);
	return st;
}

static void help(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(objects) && ka.json; i++)
		help_object(objects[i]);
	if (ka.json)
		return;
	out_text("Usage: kactl [OPTIONS] OBJECT [COMMAND [ARGS]]\n"
		 "       kactl OBJECT help, kactl help OBJECT\n"
		 "\n"
		 "TCP keepalive policy, statistics and connections of network namespaces.\n"
		 "\n"
		 "Objects:\n");
	for (i = 0; i < ARRAY_SIZE(objects); i++)
		out_text("  %-8s %s\n", objects[i]->name, objects[i]->summary);
	out_text("\n%s\n%s", options_help, examples);
}

static enum status parse_color(const char *when)
{
	/* "-c=auto" comes with its equals sign, "--color=auto" without. */
	if (when && *when == '=')
		when++;
	if (!when || !strcmp(when, "always"))
		ka.color = true;
	else if (!strcmp(when, "auto"))
		ka.color = isatty(STDOUT_FILENO);
	else if (!strcmp(when, "never"))
		ka.color = false;
	else
		return fail(ST_USAGE, "--color \"%s\": neither always, auto nor never",
			    when);
	return ST_DONE;
}

/* getopt_long() takes abbreviations; this tool does not. */
static bool abbreviated(const char *word, int index)
{
	const char *name = long_options[index].name;

	return strncmp(word + strlen("--"), name, strlen(name)) != 0;
}

/* Reads all the options even past a bad one: a -j after it counts. */
static enum status parse_options(int argc, char **argv, struct asked *asked)
{
	enum status st = ST_DONE;
	int c, index, at;

	opterr = 0;
	for (;;) {
		index = -1;
		at = optind;
		c = getopt_long(argc, argv, "+:n:ajpc::qVh", long_options,
				&index);
		if (c == -1)
			return st;
		if (index >= 0 && abbreviated(argv[at], index))
			c = '?';
		switch (c) {
		case 'n':
			asked->netns = optarg;
			break;
		case 'a':
			ka.all_netns = true;
			break;
		case 'j':
			ka.json = true;
			break;
		case 'p':
			ka.pretty = true;
			break;
		case 'c':
			if (!st)
				st = parse_color(optarg);
			break;
		case 'q':
			ka.quiet = true;
			break;
		case 'V':
			asked->version = true;
			break;
		case 'h':
			asked->help = true;
			break;
		case ':':
			if (!st)
				st = fail(ST_USAGE, "missing value after \"%s\"",
					  argv[optind - 1]);
			break;
		default:
			if (!st)
				st = fail(ST_USAGE, "unknown option \"%s\"",
					  argv[at]);
		}
	}
}

static bool wants_help(struct args *a)
{
	return args_take(a, "help") || args_take(a, "--help") ||
	       args_take(a, "-h");
}

static enum status run(const struct object *o, struct args *a)
{
	static char where[64];
	const struct verb *v;

	ka.command = o->name;
	if (wants_help(a)) {
		help_object(o);
		return ST_DONE;
	}
	for (v = o->verbs; v->name; v++)
		if (*v->name && args_take(a, v->name))
			break;
	if (!v->name) {
		if (may_omit(o->verbs))
			return o->verbs->run(a);
		return *a->word ? args_unknown(a) :
		       fail(ST_USAGE, "no command given: see \"kactl %s help\"", o->name);
	}

	snprintf(where, sizeof(where), "%s %s", o->name, v->name);
	ka.command = where;
	if (wants_help(a)) {
		help_object(o);
		return ST_DONE;
	}
	return v->run(a);
}

static enum status dispatch(const struct asked *asked, struct args *a)
{
	const struct object *o;
	enum status st;

	if (asked->version) {
		if (ka.json) {
			out_object();
			out_str("version", VERSION);
			out_object_end();
		} else {
			out_text("kactl " VERSION "\n");
		}
		return ST_DONE;
	}
	if (asked->help || wants_help(a)) {
		/* "help help" is no object's. */
		while (wants_help(a))
			continue;
		if (*a->word)
			return help_named(a);
		help();
		return ST_DONE;
	}
	if (!*a->word)
		return fail(ST_USAGE, "no object given: see \"kactl help\"");
	o = take_object(a);
	if (!o)
		return ST_USAGE;
	if (asked->netns && ka.all_netns)
		return fail(ST_USAGE, "--netns and --all-netns exclude each other");
	if (asked->netns) {
		st = netns_enter(asked->netns);
		if (st)
			return st;
	}
	return run(o, a);
}

/*
 * Else a socket could become standard output, and be written the text. What is
 * closed stays an error: standard input cannot be read, nor the others written.
 */
static void occupy_std_fds(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", O_CLOEXEC |
			     (fd == STDIN_FILENO ? O_WRONLY : O_RDONLY));
}

int main(int argc, char **argv)
{
	struct asked asked = { 0 };
	struct args args;
	enum status st;

	occupy_std_fds();
	signal(SIGPIPE, SIG_IGN);
	setlocale(LC_CTYPE, "C.UTF-8");

	st = parse_options(argc, argv, &asked);
	args.word = argv + optind;
	if (!st)
		st = dispatch(&asked, &args);
	st = out_end(st);
	intr_die();
	return (int)st;
}

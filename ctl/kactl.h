/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KACTL_H
#define KACTL_H

#include <stdbool.h>

struct args;

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define __printf(fmt, va)	__attribute__((format(printf, fmt, va)))
#define __aligned(n)		__attribute__((aligned(n)))

/* Exit statuses, which every function that can fail hands up. */
enum status {
	ST_DONE,
	ST_REFUSED,		/* by the kernel; no such namespace, file or peer */
	ST_USAGE,
	ST_NO_MODULE,
	ST_NOT_PERMITTED,
	ST_ENOUGH,		/* not one: nothing is wrong, and no more is wanted */
};

/* What the command line said, and where in it we are: see fail(). */
struct kactl {
	bool all_netns;
	bool json;
	bool pretty;
	bool color;
	bool quiet;
	const char *command;	/* "policy set" */
	const char *netns;	/* set while --all-netns visits one */
	const char *file;	/* set while one is read that has commands in it */
	unsigned int line;	/* of the file; 0: none in particular */
};

extern struct kactl ka;

/**
 * struct verb - a command of an object
 * @name: the word, or "" where the object is its only command
 * @args: what may follow it, as the usage line shows it
 * @run: parses the arguments and does it
 * @help: text of "kactl OBJECT COMMAND help", each line ends with a newline
 */
struct verb {
	const char *name;
	const char *args;
	enum status (*run)(struct args *a);
	const char *help;
};

/**
 * struct object - what commands are about
 * @name: the word
 * @summary: one line for "kactl help"
 * @verbs: its commands, up to one whose name is NULL; if the first is "show" that
 *	may be left out on the command line
 * @examples: command lines, each ends with a newline
 */
struct object {
	const char *name;
	const char *summary;
	const struct verb *verbs;
	const char *examples;
};

extern const struct object object_policy;
extern const struct object object_rule;
extern const struct object object_apply;
extern const struct object object_stats;
extern const struct object object_conn;
extern const struct object object_monitor;
extern const struct object object_save;
extern const struct object object_restore;
extern const struct object object_http;
extern const struct object object_metrics;
extern const struct object object_advise;
extern const struct object object_top;
extern const struct object object_report;

/* One line on stderr, "kactl: WHERE: ..."; returns @status. */
enum status fail(enum status status, const char *fmt, ...)
	__printf(2, 3);

/* The same without a failure; --quiet silences it. */
void warn(const char *fmt, ...) __printf(1, 2);

#endif /* KACTL_H */

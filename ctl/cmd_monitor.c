// SPDX-License-Identifier: GPL-2.0
/*
 * kactl monitor: what happens to connections, policies and rules, as it happens.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <linux/tcp_keepalive.h>

#include "addr.h"
#include "attr.h"
#include "intr.h"
#include "kactl.h"
#include "netns.h"
#include "nl.h"
#include "out.h"
#include "parse.h"
#include "policy.h"
#include "rule.h"

#define TIMEOUT_MAX	1e9	/* seconds, which any timespec can hold */
#define NS_PER_SEC	1000000000
#define LATE_MAX	1		/* seconds after the end, for what is waiting by then */

/* The kinds; those of connections have the numbers of the protocol. */
enum { POLICY = TCP_KEEPALIVE_EVENT_LOST + 1, NR_KINDS };

static const char *const kinds[NR_KINDS] = {
	[TCP_KEEPALIVE_EVENT_DEAD]	= "dead",
	[TCP_KEEPALIVE_EVENT_RESET]	= "reset",
	[TCP_KEEPALIVE_EVENT_RECOVERED]	= "recovered",
	[TCP_KEEPALIVE_EVENT_LOST]	= "lost",
	[POLICY]			= "policy",
};

/* The multicast groups, each of which numbers its events. */
enum { EVENTS, POLICIES, NR_GROUPS };

/**
 * struct netns - a network namespace that is listened to
 * @fd: the socket
 * @overrun: events were lost, and none came since that would tell how many
 * @heard: an event of the group has come
 * @seq: number of the last one
 */
struct netns {
	int fd;
	bool overrun;
	bool heard[NR_GROUPS];
	uint32_t seq[NR_GROUPS];
};

struct monitor {
	bool kind[NR_KINDS];
	bool all;		/* none was named */
	int64_t count;		/* still to be shown; 0: any number */
	double timeout;		/* seconds; negative: none */
	struct netns *netns;
	struct netns *now;	/* of which an event is being read */
	size_t nr;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / NS_PER_SEC;
}

/* How many were lost before the one that has the number @seq. */
static void count_gap(struct netns *ns, int group, const struct nlattr *attr)
{
	uint32_t missing;
	uint64_t seq;

	if (!attr_uint(attr, &seq))
		return;
	missing = (uint32_t)seq - ns->seq[group] - 1;
	if (ns->heard[group] && missing && missing <= INT32_MAX) {
		warn("warning: %" PRIu32 " events lost", missing);
		ns->overrun = false;
	}
	ns->heard[group] = true;
	ns->seq[group] = (uint32_t)seq;
}

/* RFC 3339, to the microsecond. */
static void when(const struct nlattr *attr, char *text, size_t size)
{
	char second[32];
	struct tm tm;
	uint64_t ns;
	time_t t;

	*text = '\0';
	if (!attr_uint(attr, &ns))
		return;
	t = (time_t)(ns / NS_PER_SEC);
	if (gmtime_r(&t, &tm) &&
	    strftime(second, sizeof(second), "%Y-%m-%dT%H:%M:%S", &tm))
		snprintf(text, size, "%s.%06" PRIu64 "Z", second,
			 ns % NS_PER_SEC / 1000);
}

static void uint_out(const char *name, const struct nlattr *attr)
{
	uint64_t value;

	if (attr_uint(attr, &value))
		out_uint(name, value, NULL);
	else
		out_null(name);
}

/*
 * What all events begin with. An event of a kind that only a newer module
 * knows is shown as its number.
 */
static void head_out(const char *kind, uint64_t number, const struct nlattr *at,
		     const struct nlattr *ino)
{
	char text[48], digits[24];
	uint64_t n;

	when(at, text, sizeof(text));
	out_object();
	if (ka.json) {
		if (kind)
			out_name("event", kind);
		else
			out_uint("event", number, NULL);
		if (*text)
			out_name("at", text);
		else
			out_null("at");
		uint_out("netns_ino", ino);
		return;
	}
	snprintf(digits, sizeof(digits), "%" PRIu64, number);
	out_word(*text ? text : "-");
	out_word(kind ? kind : digits);
	if (ka.all_netns && attr_uint(ino, &n))
		netns_out((uint32_t)n);
}

static void policy_event(const struct nlattr *const *tb,
			 struct nlattr *attrs, int len)
{
	head_out(kinds[POLICY], 0, tb[TCP_KEEPALIVE_A_POLICY_AT],
		 tb[TCP_KEEPALIVE_A_POLICY_NETNS_INO]);
	if (ka.json)
		uint_out("seq", tb[TCP_KEEPALIVE_A_POLICY_SEQ]);
	policy_out(tb);
	if (!ka.json)
		uint_out("seq", tb[TCP_KEEPALIVE_A_POLICY_SEQ]);
	out_unknown(attrs, len, TCP_KEEPALIVE_A_POLICY_MAX);
	out_object_end();
}

static void rule_event(const struct nlattr *const *tb, struct nlattr *attrs,
		       int len)
{
	head_out(kinds[POLICY], 0, tb[TCP_KEEPALIVE_A_RULE_AT],
		 tb[TCP_KEEPALIVE_A_RULE_NETNS_INO]);
	if (ka.json)
		uint_out("seq", tb[TCP_KEEPALIVE_A_RULE_SEQ]);
	rule_out(tb);
	if (tb[TCP_KEEPALIVE_A_RULE_REMOVED]) {
		if (ka.json)
			out_switch("removed", 1);
		else
			out_word("removed");
	}
	if (!ka.json)
		uint_out("seq", tb[TCP_KEEPALIVE_A_RULE_SEQ]);
	out_unknown(attrs, len, TCP_KEEPALIVE_A_RULE_MAX);
	out_object_end();
}

static void conn_event(const char *kind, uint64_t number,
		       const struct nlattr *const *tb,
		       struct nlattr *attrs, int len)
{
	const struct nlattr *local = tb[TCP_KEEPALIVE_A_EVENT_LOCAL];
	const struct nlattr *remote = tb[TCP_KEEPALIVE_A_EVENT_REMOTE];
	const char *family = addr_family(local);

	head_out(kind, number, tb[TCP_KEEPALIVE_A_EVENT_AT],
		 tb[TCP_KEEPALIVE_A_EVENT_NETNS_INO]);
	if (!ka.json) {
		addr_word(local, tb[TCP_KEEPALIVE_A_EVENT_LPORT]);
		addr_word(remote, tb[TCP_KEEPALIVE_A_EVENT_RPORT]);
	} else {
		if (family)
			out_name("family", family);
		else
			out_null("family");
		addr_out("local", local);
		uint_out("lport", tb[TCP_KEEPALIVE_A_EVENT_LPORT]);
		addr_out("remote", remote);
		uint_out("rport", tb[TCP_KEEPALIVE_A_EVENT_RPORT]);
	}
	uint_out("uid", tb[TCP_KEEPALIVE_A_EVENT_UID]);
	uint_out("inode", tb[TCP_KEEPALIVE_A_EVENT_INODE]);
	uint_out("lost", tb[TCP_KEEPALIVE_A_EVENT_LOST]);
	uint_out("idle_ms", tb[TCP_KEEPALIVE_A_EVENT_IDLE_MS]);
	uint_out("seq", tb[TCP_KEEPALIVE_A_EVENT_SEQ]);
	out_unknown(attrs, len, TCP_KEEPALIVE_A_EVENT_MAX);
	out_object_end();
}

/* After an event was shown: is that all? */
static enum status shown(struct monitor *m)
{
	if (out_flush())
		return ST_REFUSED;
	return m->count && !--m->count ? ST_ENOUGH : ST_DONE;
}

/* Gaps are looked for before the kinds: what is not shown was not lost. */
static enum status on_policy(struct monitor *m, struct nlattr *attrs, int len)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_POLICY_MAX + 1];

	attr_table(tb, TCP_KEEPALIVE_A_POLICY_MAX, attrs, len);
	count_gap(m->now, POLICIES, tb[TCP_KEEPALIVE_A_POLICY_SEQ]);
	if (!m->kind[POLICY])
		return ST_DONE;
	policy_event(tb, attrs, len);
	return shown(m);
}

static enum status on_rule(struct monitor *m, struct nlattr *attrs, int len)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_RULE_MAX + 1];

	attr_table(tb, TCP_KEEPALIVE_A_RULE_MAX, attrs, len);
	count_gap(m->now, POLICIES, tb[TCP_KEEPALIVE_A_RULE_SEQ]);
	if (!m->kind[POLICY])
		return ST_DONE;
	rule_event(tb, attrs, len);
	return shown(m);
}

static enum status on_event(uint8_t cmd, struct nlattr *attrs, int len,
			    void *arg)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_EVENT_MAX + 1];
	struct monitor *m = arg;
	uint64_t event;

	if (cmd == TCP_KEEPALIVE_CMD_POLICY_NTF)
		return on_policy(m, attrs, len);
	if (cmd == TCP_KEEPALIVE_CMD_RULE_NTF)
		return on_rule(m, attrs, len);
	if (cmd != TCP_KEEPALIVE_CMD_EVENT_NTF)
		return ST_DONE;

	attr_table(tb, TCP_KEEPALIVE_A_EVENT_MAX, attrs, len);
	count_gap(m->now, EVENTS, tb[TCP_KEEPALIVE_A_EVENT_SEQ]);
	if (!attr_uint(tb[TCP_KEEPALIVE_A_EVENT_EVENT], &event))
		return ST_DONE;
	if (event < POLICY ? !m->kind[event] : !m->all)
		return ST_DONE;
	conn_event(event < POLICY ? kinds[event] : NULL, event, tb, attrs, len);
	return shown(m);
}

/* Is one of the first @n kinds asked for? */
static bool any(const struct monitor *m, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (m->kind[i])
			return true;
	return false;
}

/* Listen in the namespace that we are in. */
static enum status monitor_netns(void *arg)
{
	const char *groups[NR_GROUPS + 1];
	struct monitor *m = arg;
	struct netns *more;
	enum status st;
	int n = 0;

	if (any(m, POLICY))
		groups[n++] = TCP_KEEPALIVE_MCGRP_EVENTS;
	if (m->kind[POLICY])
		groups[n++] = TCP_KEEPALIVE_MCGRP_POLICY;
	groups[n] = NULL;

	more = realloc(m->netns, (m->nr + 1) * sizeof(*more));
	if (!more)
		return fail(ST_REFUSED, "%s", strerror(ENOMEM));
	m->netns = more;
	more[m->nr] = (struct netns){ 0 };
	st = ka_listen(groups, &more[m->nr].fd);
	if (!st)
		m->nr++;
	return st;
}

/* Read from those that have something to say. */
static enum status monitor_read(struct monitor *m, const struct pollfd *fds)
{
	enum status st = ST_DONE;
	size_t i;

	for (i = 0; i < m->nr && !st && !intr_caught(); i++) {
		if (!fds[i].revents)
			continue;
		m->now = &m->netns[i];
		st = ka_hear(m->now->fd, on_event, m, &m->now->overrun);
	}
	return st;
}

/* Wait for an event; ST_ENOUGH when nothing more is to be waited for. */
static enum status monitor_wait(const struct monitor *m, struct pollfd *fds,
				double end, const sigset_t *mask)
{
	double left = m->timeout < 0 ? 0 : end - now();
	struct timespec ts = { 0 };
	size_t i;
	int n;

	/* What had come by then is shown, but there may always be more. */
	if (intr_caught() || left < -LATE_MAX)
		return ST_ENOUGH;
	if (left > 0) {
		ts.tv_sec = (time_t)left;
		ts.tv_nsec = (long)((left - (double)ts.tv_sec) * NS_PER_SEC);
	}
	n = ppoll(fds, m->nr + 1, m->timeout < 0 ? NULL : &ts, mask);
	if (!n)
		return ST_ENOUGH;
	if (n < 0 && errno != EINTR)
		return fail(ST_REFUSED, "poll: %s", strerror(errno));
	for (i = 0; i <= m->nr && n < 0; i++)
		fds[i].revents = 0;
	/* Nobody reads any more, and no event may come to find that out by. */
	return fds[m->nr].revents ? ST_REFUSED : ST_DONE;
}

/*
 * Signals are let in while we wait, or one that comes just before would not
 * end it, and while we read, as writing may take long.
 */
static enum status monitor_loop(struct monitor *m, struct pollfd *fds)
{
	double end = now() + m->timeout;
	enum status st = ST_DONE;
	sigset_t signals, mask;
	size_t i;

	for (i = 0; i < m->nr; i++)
		fds[i] = (struct pollfd){ .fd = m->netns[i].fd,
					  .events = POLLIN };
	fds[m->nr] = (struct pollfd){ .fd = STDOUT_FILENO };

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, &mask);
	while (!st) {
		st = monitor_wait(m, fds, end, &mask);
		sigprocmask(SIG_SETMASK, &mask, NULL);
		if (!st)
			st = monitor_read(m, fds);
		sigprocmask(SIG_BLOCK, &signals, NULL);
	}
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return st;
}

static enum status monitor_run(struct monitor *m)
{
	struct pollfd *fds;
	enum status st;
	size_t i;

	fds = calloc(m->nr + 1, sizeof(*fds));
	if (!fds)
		return fail(ST_REFUSED, "%s", strerror(ENOMEM));
	st = monitor_loop(m, fds);
	free(fds);
	for (i = 0; i < m->nr; i++)
		if (m->netns[i].overrun)
			warn("warning: events lost, and it is not known how many");
	return st == ST_ENOUGH ? ST_DONE : st;
}

/* A socket for each namespace may be more than what a shell allows. */
static void allow_many_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static enum status monitor(struct monitor *m)
{
	enum status reached, st;

	out_lines();
	out_rows();
	intr_catch();
	if (ka.all_netns)
		allow_many_files();
	reached = netns_each(false, monitor_netns, m);
	if (!m->nr || reached == ST_NO_MODULE)
		return reached;
	st = monitor_run(m);
	return st ? st : reached;
}

static bool take_kind(struct monitor *m, struct args *a)
{
	int i;

	for (i = 0; i < NR_KINDS; i++)
		if (args_take(a, kinds[i]))
			break;
	if (i == NR_KINDS)
		return false;
	m->kind[i] = true;
	return true;
}

static enum status parse_timeout(struct args *a, struct monitor *m)
{
	const char *word;
	enum status st = args_value(a, "--timeout", &word);

	return st ? st : parse_seconds("--timeout", word, 0, TIMEOUT_MAX,
				       &m->timeout);
}

static enum status parse_events(struct args *a, struct monitor *m)
{
	const char *word;
	enum status st = args_value(a, "--count", &word);

	return st ? st : parse_count("--count", word, INT32_MAX, &m->count);
}

static enum status monitor_show(struct args *a)
{
	struct monitor m = { .timeout = -1 };
	enum status st = ST_DONE;
	size_t i;

	while (*a->word && !st) {
		if (args_take(a, "--count"))
			st = parse_events(a, &m);
		else if (args_take(a, "--timeout"))
			st = parse_timeout(a, &m);
		else if (!take_kind(&m, a))
			st = args_unknown(a);
	}
	if (st)
		return st;
	m.all = !any(&m, NR_KINDS);
	for (i = 0; i < NR_KINDS && m.all; i++)
		m.kind[i] = true;
	st = monitor(&m);
	for (i = 0; i < m.nr; i++)
		close(m.netns[i].fd);
	free(m.netns);
	/* It is how this command is meant to end. */
	if (intr_caught() == SIGINT)
		intr_forget();
	return st;
}

static const struct verb verbs[] = {
	{
		.name	= "",
		.args	= "[dead] [reset] [recovered] [lost] [policy] "
			  "[--count N] [--timeout SECONDS]",
		.run	= monitor_show,
		.help	= "Show events as they happen, until Ctrl-C; of the kinds that\n"
			  "are named, or of all.\n"
			  "  dead               the keepalive timer closed a connection\n"
			  "  reset              the peer answered a probe with RST\n"
			  "  recovered          the peer was heard again after probes were lost\n"
			  "  lost               a probe was lost\n"
			  "  policy             the policy or a rule was changed\n"
			  "  --count N          until so many were shown\n"
			  "  --timeout SECONDS  no longer than that; may have a fraction\n",
	}, { 0 }
};

const struct object object_monitor = {
	.name		= "monitor",
	.summary	= "what happens to connections, as it happens",
	.verbs		= verbs,
	.examples	= "  kactl monitor dead lost\n"
			  "  kactl -j monitor dead --count 1 --timeout 600\n",
};

// SPDX-License-Identifier: GPL-2.0
/*
 * kactl report: a namespace's keepalive on one page, to be read and sent on.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/tcp_keepalive.h>

#include "attr.h"
#include "file.h"
#include "intr.h"
#include "kactl.h"
#include "netns.h"
#include "nl.h"
#include "out.h"
#include "parse.h"
#include "proc.h"
#include "report.h"
#include "rule.h"
#include "rules.h"

#define SECONDS_MAX	86400
#define NOBODY		"no program that can be seen"

/* What was asked for. */
struct asked {
	const char *path;
	const struct middlebox *behind;
	double seconds;
};

static enum status on_event(uint8_t cmd, struct nlattr *attrs, int len, void *arg)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_EVENT_MAX + 1];
	struct report_event *more, *e;
	struct report *r = arg;

	if (cmd != TCP_KEEPALIVE_CMD_EVENT_NTF)
		return ST_DONE;
	r->events++;
	if (r->nr_events == REPORT_EVENTS)
		return ST_DONE;
	more = realloc(r->event, (r->nr_events + 1) * sizeof(*more));
	if (!more)
		return fail(ST_REFUSED, "%s", strerror(ENOMEM));
	r->event = more;
	e = &more[r->nr_events++];
	*e = (struct report_event){ .kind = UINT64_MAX };
	attr_table(tb, TCP_KEEPALIVE_A_EVENT_MAX, attrs, len);
	attr_uint(tb[TCP_KEEPALIVE_A_EVENT_AT], &e->at);
	attr_uint(tb[TCP_KEEPALIVE_A_EVENT_EVENT], &e->kind);
	attr_uint(tb[TCP_KEEPALIVE_A_EVENT_LOST], &e->lost);
	attr_uint(tb[TCP_KEEPALIVE_A_EVENT_IDLE_MS], &e->idle_ms);
	addr_port(tb[TCP_KEEPALIVE_A_EVENT_LOCAL], tb[TCP_KEEPALIVE_A_EVENT_LPORT],
		  e->local);
	addr_port(tb[TCP_KEEPALIVE_A_EVENT_REMOTE], tb[TCP_KEEPALIVE_A_EVENT_RPORT],
		  e->remote);
	return ST_DONE;
}

/* Ctrl-C ends the listening, and the page is made of what there is. */
static enum status listen_for(struct report *r, double seconds)
{
	static const char *const groups[] = { TCP_KEEPALIVE_MCGRP_EVENTS, NULL };
	double begin = stats_clock(), left;
	struct pollfd pfd = { .events = POLLIN };
	enum status st = ka_listen(groups, &pfd.fd);
	struct timespec ts;

	if (st)
		return st;
	clock_gettime(CLOCK_REALTIME, &ts);
	r->from = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	intr_catch();
	while (!st && !intr_caught() && (left = begin + seconds - stats_clock()) > 0) {
		if (poll(&pfd, 1, left < 1 ? (int)(left * 1000) + 1 : 1000) > 0)
			st = ka_hear(pfd.fd, on_event, r, &r->missed);
	}
	r->seconds = stats_clock() - begin;
	close(pfd.fd);
	if (intr_caught() == SIGINT)
		intr_forget();
	if (!st && intr_caught())
		st = ST_ENOUGH;
	return st;
}

static enum status program_add(struct report *r, const char *comm)
{
	struct program *more;
	size_t i;

	for (i = 0; i < r->nr_programs; i++) {
		if (!strcmp(r->program[i].comm, comm)) {
			r->program[i].count++;
			return ST_DONE;
		}
	}
	more = realloc(r->program, (r->nr_programs + 1) * sizeof(*more));
	if (more) {
		r->program = more;
		more[i].comm = strdup(comm);
		more[i].count = 1;
	}
	if (!more || !more[i].comm)
		return fail(ST_REFUSED, "%s", strerror(ENOMEM));
	r->nr_programs++;
	return ST_DONE;
}

static enum status on_conn(struct nlattr *attrs, int len, void *arg)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_CONN_MAX + 1];
	uint64_t status = UINT64_MAX, inode = 0;
	const char *comm;

	attr_table(tb, TCP_KEEPALIVE_A_CONN_MAX, attrs, len);
	attr_uint(tb[TCP_KEEPALIVE_A_CONN_STATUS], &status);
	attr_uint(tb[TCP_KEEPALIVE_A_CONN_INODE], &inode);
	if (status != TCP_KEEPALIVE_STATUS_UNPROTECTED)
		return ST_DONE;
	comm = proc_comm(inode);
	return program_add(arg, comm ? comm : NOBODY);
}

static int by_count(const void *one, const void *other)
{
	const struct program *a = one, *b = other;

	if (a->count != b->count)
		return a->count > b->count ? -1 : 1;
	return strcmp(a->comm, b->comm);
}

static enum status programs_read(struct report *r)
{
	struct request req;
	enum status st = proc_read();

	if (!st)
		st = request_init(&req, TCP_KEEPALIVE_CMD_CONN_GET);
	if (st)
		return st;
	request_dump(&req);
	st = request_send(&req, on_conn, r);
	if (r->nr_programs)
		qsort(r->program, r->nr_programs, sizeof(*r->program), by_count);
	return st;
}

static enum status on_rule(struct nlattr *attrs, int len, void *arg)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_RULE_MAX + 1];
	FILE *f = arg;

	attr_table(tb, TCP_KEEPALIVE_A_RULE_MAX, attrs, len);
	rule_save(tb, f);
	fputc('\n', f);
	return ST_DONE;
}

static enum status rules_text(struct report *r)
{
	enum status st;
	size_t len;
	FILE *f;

	f = open_memstream(&r->rules, &len);
	if (!f)
		return fail(ST_REFUSED, "%s", strerror(errno));
	st = rules_read(on_rule, f);
	if (fclose(f) && !st)
		st = fail(ST_REFUSED, "%s", strerror(ENOMEM));
	return st;
}

/* Events first: the numbers are to be those after them. */
static enum status report_read(struct report *r, const struct asked *asked)
{
	enum status st = ST_DONE;

	if (asked->seconds > 0)
		st = listen_for(r, asked->seconds);
	if (!st)
		st = evidence_read(&r->evidence, asked->behind);
	if (!st)
		st = rules_text(r);
	return st ? st : programs_read(r);
}

static enum status report_write(const struct report *r, const char *path)
{
	enum status st = ST_DONE;
	char *text = NULL;
	size_t len;
	FILE *f;

	f = open_memstream(&text, &len);
	if (f)
		report_html(r, f);
	if (!f || fclose(f))
		st = fail(ST_REFUSED, "%s", strerror(ENOMEM));
	else if (!strcmp(path, "-"))
		out_bytes(text, len);
	else
		st = file_replace(path, text, len);
	free(text);
	return st;
}

static enum status report_netns(void *arg)
{
	const struct asked *asked = arg;
	struct report r = { .rules = NULL };
	enum status st = report_read(&r, asked);

	if (!st)
		st = report_write(&r, asked->path);
	while (r.nr_programs)
		free(r.program[--r.nr_programs].comm);
	free(r.program);
	free(r.event);
	free(r.rules);
	return st;
}

static enum status parse_for(struct args *a, struct asked *asked)
{
	const char *word;
	enum status st = args_value(a, "--for", &word);

	return st ? st : parse_seconds("--for", word, 0, SECONDS_MAX, &asked->seconds);
}

static enum status report(struct args *a)
{
	struct asked asked = { .path = NULL };
	const char *behind = NULL;
	struct middlebox box;
	enum status st = ST_DONE;

	while (*a->word && !st) {
		if (args_take(a, "-o"))
			st = args_once(a, "-o", &asked.path);
		else if (args_take(a, "--behind"))
			st = args_once(a, "--behind", &behind);
		else if (args_take(a, "--for"))
			st = parse_for(a, &asked);
		else
			st = args_unknown(a);
	}
	if (!st && behind)
		st = middlebox_parse("--behind", behind, &box);
	if (st)
		return st;
	asked.behind = behind ? &box : NULL;
	if (asked.path && !*asked.path)
		return fail(ST_USAGE, "-o \"\": not a file");
	if (!asked.path)
		return fail(ST_USAGE, "give a file for the page: -o FILE.html");
	if (ka.all_netns)
		return fail(ST_USAGE, "--all-netns: a page is about one network namespace");
	if (ka.json)
		return fail(ST_USAGE, "--json: a page is not JSON");
	return netns_each(false, report_netns, &asked);
}

static const struct verb verbs[] = {
	{
		.name	= "",
		.args	= "[--for SECONDS] [--behind WHAT] -o FILE.html",
		.run	= report,
		.help	= "Write a page about the namespace: the policy, counters, histograms,\n"
			  "events, connections that nothing watches by program, and advice. It\n"
			  "stands alone: nothing is loaded from anywhere.\n"
			  "  -o FILE.html   where to; - is standard output\n"
			  "  --for SECONDS  listen for events first; Ctrl-C ends that sooner\n"
			  "  --behind WHAT  for the advice, as in \"kactl advise\"\n",
	}, { 0 }
};

const struct object object_report = {
	.name		= "report",
	.summary	= "all of it on a page for the browser",
	.verbs		= verbs,
	.examples	= "  kactl report -o keepalive.html --for 600\n",
};

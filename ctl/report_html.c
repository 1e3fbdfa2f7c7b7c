// SPDX-License-Identifier: GPL-2.0
/*
 * kactl report: the page. It loads nothing and runs nothing, which its policy
 * tells the browser too; all that others have named is escaped.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include <linux/tcp_keepalive.h>

#include "netns.h"
#include "report.h"

#define NS_PER_SEC	1000000000
#define STRIP_WIDTH	1000	/* of the timeline, in its own units */

static const char top[] =
	"<!DOCTYPE html>\n"
	"<html lang=\"en\">\n"
	"<head>\n"
	"<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<meta name=\"color-scheme\" content=\"light dark\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" "
	"content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
	"<title>TCP keepalive</title>\n"
	"<style>\n"
	":root { --paper: #ffffff; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de;\n"
	"  --bar: #0b62a8; --bad: #b3261e; --good: #1a7f37; --panel: #f6f8fa; }\n"
	"@media (prefers-color-scheme: dark) {\n"
	":root { --paper: #14171a; --ink: #e6e8ea; --soft: #a4acb5; --line: #3a4149;\n"
	"  --bar: #6cb6ff; --bad: #ff8a80; --good: #6fdc8c; --panel: #1d2126; } }\n"
	"* { box-sizing: border-box; }\n"
	"body { margin: 0 auto; padding: 1rem; max-width: 70rem; background: var(--paper);\n"
	"  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }\n"
	"h1 { font-size: 1.5rem; margin: .5rem 0; }\n"
	"h3 { font-size: 1rem; margin: .5rem 0; }\n"
	"h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--line); }\n"
	"p, ul { margin: .5rem 0; } .soft { color: var(--soft); }\n"
	"table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }\n"
	"th, td { text-align: left; padding: .15rem .5rem .15rem 0; vertical-align: top; }\n"
	"th { font-weight: 600; } td.n, th.n { text-align: right; } td.n, td.k { white-space: nowrap; }\n"
	"tr + tr td { border-top: 1px solid var(--line); }\n"
	".grid { display: grid; gap: 1rem 2rem; grid-template-columns:\n"
	"  repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }\n"
	".bar { background: var(--bar); height: .9rem; min-width: 2px; margin-top: .3rem; }\n"
	"td.wide { width: 50%; } svg { width: 100%; height: 5rem; display: block; }\n"
	".bad { color: var(--bad); } .good { color: var(--good); }\n"
	"svg .bad { fill: var(--bad); } svg .good { fill: var(--good); }\n"
	"svg rect.lane { fill: var(--panel); }\n"
	"pre { background: var(--panel); padding: .5rem; white-space: pre-wrap; margin: .5rem 0; }\n"
	"li { margin-bottom: .5rem; }\n"
	"</style>\n"
	"</head>\n"
	"<body>\n";

/* Names of namespaces and programs are other people's. */
static void text(FILE *f, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '&':
			fputs("&amp;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		case '\'':
			fputs("&#39;", f);
			break;
		default:
			fputc((unsigned char)*s < ' ' && *s != '\n' ? '?' : *s, f);
		}
	}
}

static void head(const struct report *r, FILE *f)
{
	const char *name = netns_name(r->evidence.stats.ino);
	struct utsname uts = { .nodename = "" };
	time_t now = time(NULL);
	char when[40] = "";
	struct tm tm;

	if (gmtime_r(&now, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm);
	uname(&uts);
	fputs(top, f);
	fputs("<h1>TCP keepalive of ", f);
	if (name)
		text(f, name);
	else
		fprintf(f, "network namespace %" PRIu32, r->evidence.stats.ino);
	fputs("</h1>\n<p class=\"soft\">", f);
	text(f, uts.nodename);
	fputs(", Linux ", f);
	text(f, uts.release);
	fprintf(f, ", %s; kactl " VERSION "</p>\n", when);
}

static void row_of(FILE *f, const char *name, const char *value, const char *gloss)
{
	fprintf(f, "<tr><td class=\"k\">%s</td><td class=\"n\">%s</td>"
		"<td class=\"soft\">%s</td></tr>\n",
		name, value, gloss);
}

static void row(FILE *f, const char *name, int64_t value, const char *gloss)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRId64, value);
	row_of(f, name, digits, gloss);
}

static void policy(const struct report *r, FILE *f)
{
	const int64_t *v = r->evidence.policy;

	fputs("<section>\n<h2>Policy in force</h2>\n<table>\n", f);
	row(f, "time", v[POLICY_TIME], "seconds idle before the first probe");
	row(f, "intvl", v[POLICY_INTVL], "seconds between unanswered probes");
	row(f, "probes", v[POLICY_PROBES], "unanswered before the connection is closed");
	row_of(f, "enforce", v[POLICY_ENFORCE] ? "on" : "off",
	       "keepalive for new connections that did not ask");
	row_of(f, "inherit", v[POLICY_INHERIT] ? "on" : "off",
	       "for namespaces made from this one");
	fputs("</table>\n", f);
	if (r->rules && *r->rules) {
		fputs("<p>Rules, of which the first that matches decides:</p>\n<pre>", f);
		text(f, r->rules);
		fputs("</pre>\n", f);
	} else {
		fputs("<p class=\"soft\">No rules.</p>\n", f);
	}
	fputs("</section>\n", f);
}

static void counters(const struct report *r, FILE *f)
{
	const struct sample *s = &r->evidence.stats;
	size_t i;

	fputs("<section>\n<h2>Counters since the module was loaded</h2>\n<table>\n", f);
	for (i = 0; i < NR_STATS; i++) {
		const struct stat_desc *d = &stat_descs[i];

		if (s->value[d->attr] || d->flags & STAT_BASIC)
			row(f, d->name, (int64_t)s->value[d->attr], d->doc);
	}
	fputs("</table>\n</section>\n", f);
}

/* In the unit that suits it, of one that is so many to the second; 0: a plain number. */
static void bound(FILE *f, const struct bucket *b, double per_second)
{
	double v = (double)b->le / per_second;

	if (!b->bounded)
		fputs("more", f);
	else if (per_second == 0)
		fprintf(f, "%" PRIu64, b->le);
	else if (v < 0.001)
		fprintf(f, "%.0f \302\265s", v * 1e6);
	else if (v < 1)
		fprintf(f, "%.3g ms", v * 1e3);
	else
		fprintf(f, "%.4g s", v);
}

static void hist(FILE *f, const struct buckets *h, const char *title, double per_second)
{
	uint64_t widest = 1;
	size_t i;

	fprintf(f, "<div>\n<h3>%s</h3>\n", title);
	for (i = 0; i < h->n; i++)
		if (h->bucket[i].count > widest)
			widest = h->bucket[i].count;
	if (!h->n)
		fputs("<p class=\"soft\">None yet.</p>\n", f);
	else
		fputs("<table>\n<tr><th class=\"n\">up to</th>"
		      "<th class=\"n\">how many</th><th></th></tr>\n", f);
	for (i = 0; i < h->n; i++) {
		fputs("<tr><td class=\"n\">", f);
		bound(f, &h->bucket[i], per_second);
		fprintf(f, "</td><td class=\"n\">%" PRIu64 "</td><td class=\"wide\">"
			"<div class=\"bar\" style=\"width: %.1f%%\"></div></td></tr>\n",
			h->bucket[i].count,
			100 * (double)h->bucket[i].count / (double)widest);
	}
	fprintf(f, "%s</div>\n", h->n ? "</table>\n" : "");
}

static void hists(const struct report *r, FILE *f)
{
	const struct buckets *h = r->evidence.stats.hist;

	fputs("<section>\n<h2>Histograms</h2>\n<div class=\"grid\">\n", f);
	hist(f, &h[HIST_RTT], "Time from a probe to its answer", 1e6);
	hist(f, &h[HIST_LOST], "Probes lost in a row before the peer was heard again", 0);
	hist(f, &h[HIST_DETECT], "Time to find a peer dead", 1e3);
	fputs("</div>\n</section>\n", f);
}

static const char *const kinds[] = {
	[TCP_KEEPALIVE_EVENT_DEAD]	= "dead",
	[TCP_KEEPALIVE_EVENT_RESET]	= "reset",
	[TCP_KEEPALIVE_EVENT_RECOVERED]	= "recovered",
	[TCP_KEEPALIVE_EVENT_LOST]	= "lost",
};

static const char *mood(uint64_t kind)
{
	return kind == TCP_KEEPALIVE_EVENT_RECOVERED ? "good" : "bad";
}

/* A lane for each kind, and a mark where one happened. */
static void strip(const struct report *r, FILE *f)
{
	double length = r->seconds * NS_PER_SEC;
	size_t i;

	fprintf(f, "<svg viewBox=\"0 0 %d 80\" role=\"img\" "
		"aria-label=\"when it happened\" preserveAspectRatio=\"none\">\n",
		STRIP_WIDTH);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		fprintf(f, "<rect class=\"lane\" x=\"0\" y=\"%zu\" width=\"%d\" height=\"16\"/>\n",
			20 * i, STRIP_WIDTH);
	for (i = 0; i < r->nr_events; i++) {
		const struct report_event *e = &r->event[i];
		double x = ((double)e->at - (double)r->from) / length;

		if (e->kind >= ARRAY_SIZE(kinds))
			continue;
		x = x < 0 ? 0 : x > 1 ? 1 : x;
		fprintf(f, "<rect class=\"%s\" x=\"%.1f\" y=\"%d\" width=\"4\" height=\"16\"/>\n",
			mood(e->kind), x * (STRIP_WIDTH - 4), 20 * (int)e->kind);
	}
	fprintf(f, "</svg>\n<p class=\"soft\">From above: dead, reset, recovered, lost; "
		"from left to right %.3g s.</p>\n", r->seconds);
}

static void event(FILE *f, const struct report_event *e)
{
	time_t s = (time_t)(e->at / NS_PER_SEC);
	char at[16] = "";
	struct tm tm;

	if (gmtime_r(&s, &tm))
		strftime(at, sizeof(at), "%H:%M:%S", &tm);
	fprintf(f, "<tr><td class=\"k\">%s</td><td class=\"k %s\">%s</td>"
		"<td>%s \342\206\222 %s</td>"
		"<td class=\"n\">%" PRIu64 "</td><td class=\"n\">%.1f</td></tr>\n",
		at, mood(e->kind), e->kind < ARRAY_SIZE(kinds) ? kinds[e->kind] : "?",
		e->local, e->remote, e->lost, (double)e->idle_ms / 1000);
}

static void timeline(const struct report *r, FILE *f)
{
	size_t i, first = r->nr_events > REPORT_ROWS ? r->nr_events - REPORT_ROWS : 0;

	fputs("<section>\n<h2>Timeline of events</h2>\n", f);
	if (!(r->seconds > 0))
		fputs("<p class=\"soft\">The kernel keeps none: --for SECONDS listens "
		      "for them.</p>\n", f);
	else if (!r->nr_events)
		fprintf(f, "<p>Nothing happened in %.3g s.</p>\n", r->seconds);
	else
		strip(r, f);
	if (r->missed || r->events > r->nr_events)
		fputs("<p class=\"bad\">There were more events than could be kept.</p>\n", f);
	if (first)
		fprintf(f, "<p class=\"soft\">The last %d of %zu:</p>\n", REPORT_ROWS,
			r->nr_events);
	if (r->nr_events)
		fputs("<table>\n<tr><th>UTC</th><th>what</th><th>connection</th>"
		      "<th class=\"n\">lost</th><th class=\"n\">silent, s</th></tr>\n", f);
	for (i = first; i < r->nr_events; i++)
		event(f, &r->event[i]);
	fprintf(f, "%s</section>\n", r->nr_events ? "</table>\n" : "");
}

static void programs(const struct report *r, FILE *f)
{
	size_t i;

	fputs("<section>\n<h2>Unprotected connections, by program</h2>\n", f);
	if (r->nr_programs)
		fputs("<p>Nobody will notice when their peers are gone.</p>\n<table>\n"
		      "<tr><th>program</th><th class=\"n\">connections</th></tr>\n", f);
	else
		fputs("<p class=\"good\">None: all connections have keepalive, or there are "
		      "none.</p>\n", f);
	for (i = 0; i < r->nr_programs; i++) {
		fputs("<tr><td>", f);
		text(f, r->program[i].comm);
		fprintf(f, "</td><td class=\"n\">%" PRIu64 "</td></tr>\n", r->program[i].count);
	}
	fprintf(f, "%s</section>\n", r->nr_programs ? "</table>\n" : "");
}

static void advice_line(const char *about, const char *says, const char *rests_on, void *arg)
{
	FILE *f = arg;

	(void)about;
	fputs("<li>", f);
	text(f, says);
	fputs("<br><span class=\"soft\">", f);
	text(f, rests_on);
	fputs("</span></li>\n", f);
}

static void advice(const struct report *r, FILE *f)
{
	fputs("<section>\n<h2>Advice</h2>\n<ul>\n", f);
	evidence_each(&r->evidence, advice_line, f);
	fputs("</ul>\n", f);
	if (*r->evidence.recommend) {
		fputs("<p>Recommended:</p>\n<pre>", f);
		text(f, r->evidence.recommend);
		fputs("</pre>\n", f);
	} else {
		fputs("<p>Nothing is recommended: ", f);
		text(f, evidence_none(&r->evidence));
		fputs(".</p>\n", f);
	}
	fputs("</section>\n", f);
}

/* Write the page. */
void report_html(const struct report *r, FILE *f)
{
	head(r, f);
	policy(r, f);
	counters(r, f);
	hists(r, f);
	timeline(r, f);
	programs(r, f);
	advice(r, f);
	fputs("</body>\n</html>\n", f);
}

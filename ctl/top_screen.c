// SPDX-License-Identifier: GPL-2.0
/*
 * kactl top: the screen. What does not fit is left out, the least of it last.
 */
#include <curses.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <term.h>
#include <time.h>
#include <unistd.h>

#include "kactl.h"
#include "netns.h"
#include "top.h"

#define LINE_MAX_	512
#define HIST_ROWS	6
#define BAR_MAX		16
#define NS_PER_SEC	1000000000

enum { PLAIN, HEAD, GOOD, BAD, NR_COLORS };

static SCREEN *screen;
static bool colors;

/* False if there is no terminal that can do it: the reason is on stderr. */
bool screen_open(void)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");
	int err;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		fail(ST_REFUSED, "standard input and output are not a terminal");
		return false;
	}
	if (!term || !*term) {
		fail(ST_REFUSED, "TERM is not set: what kind of terminal is it?");
		return false;
	}
	if (setupterm(NULL, STDOUT_FILENO, &err) != OK) {
		fail(ST_REFUSED, "TERM \"%s\": no such kind of terminal is known here", term);
		return false;
	}
	if (!tigetstr("cup") || !tigetstr("clear")) {
		fail(ST_REFUSED, "TERM \"%s\": a terminal without a movable cursor; "
		     "\"kactl stats --watch 2\" does with less", term);
		return false;
	}
	screen = newterm(NULL, stdout, stdin);
	if (!screen) {
		fail(ST_REFUSED, "TERM \"%s\": curses cannot use it", term);
		return false;
	}
	set_escdelay(25);
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	colors = has_colors() && !(no && *no) && start_color() == OK;
	if (colors) {
		use_default_colors();
		init_pair(HEAD, COLOR_CYAN, -1);
		init_pair(GOOD, COLOR_GREEN, -1);
		init_pair(BAD, COLOR_RED, -1);
	}
	return true;
}

void screen_close(void)
{
	endwin();
	delscreen(screen);
}

static void pen(int color, bool on)
{
	attr_t attrs = (color == HEAD ? A_BOLD : 0) |
		       (colors && color ? COLOR_PAIR(color) : 0);

	if (on)
		attron((int)attrs);
	else
		attroff((int)attrs);
}

static void put(int y, int x, int color, const char *fmt, ...) __printf(4, 5);

static void put(int y, int x, int color, const char *fmt, ...)
{
	char text[LINE_MAX_];
	va_list ap;

	if (y >= LINES || x >= COLS)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pen(color, true);
	mvaddnstr(y, x, text, COLS - x);
	pen(color, false);
}

static void head_draw(const struct top *t)
{
	const char *name = netns_name(t->now.ino);
	const int64_t *v = t->policy;
	char clock[16] = "", ino[16];
	time_t now = time(NULL);
	struct tm tm;

	if (localtime_r(&now, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	snprintf(ino, sizeof(ino), "%" PRIu32, t->now.ino);
	put(0, 0, HEAD, "kactl top - %s  netns %.32s  every %g s%s", clock,
	    name ? name : ino, t->delay, t->paused ? "  PAUSED" : "");
	put(1, 0, PLAIN, "policy: time %" PRId64 " intvl %" PRId64 " probes %" PRId64
	    " enforce %s; dead peers are found in %" PRId64 " s",
	    v[POLICY_TIME], v[POLICY_INTVL], v[POLICY_PROBES],
	    v[POLICY_ENFORCE] ? "on" : "off", policy_detection(v));
}

static double rate(const struct top *t, int attr)
{
	if (t->before.at <= 0)
		return 0;
	return (double)(t->now.value[attr] - t->before.value[attr]) /
	       (t->now.at - t->before.at);
}

static void counters_draw(const struct top *t, int y)
{
	static const struct {
		const char *name;
		int attr;
		int color;
	} cells[] = {
		{ "sent", TCP_KEEPALIVE_A_STATS_PROBES_SENT, PLAIN },
		{ "answered", TCP_KEEPALIVE_A_STATS_PROBES_ANSWERED, GOOD },
		{ "lost", TCP_KEEPALIVE_A_STATS_PROBES_LOST, BAD },
		{ "reset", TCP_KEEPALIVE_A_STATS_PROBES_RESET, BAD },
		{ "dead", TCP_KEEPALIVE_A_STATS_CONNS_DEAD, BAD },
		{ "recovered", TCP_KEEPALIVE_A_STATS_CONNS_RECOVERED, GOOD },
	};
	size_t i;
	int x;

	put(y, 0, HEAD, "%10s", "");
	put(y + 1, 0, HEAD, "a second");
	put(y + 2, 0, HEAD, "in all");
	for (i = 0; i < ARRAY_SIZE(cells); i++) {
		uint64_t value = t->now.value[cells[i].attr];
		double growth = rate(t, cells[i].attr);

		x = 10 + 11 * (int)i;
		put(y, x, HEAD, "%10s", cells[i].name);
		put(y + 1, x, growth > 0 ? cells[i].color : PLAIN, "%10.1f",
		    growth);
		put(y + 2, x, PLAIN, "%10" PRIu64, value);
	}
}

static void conns_draw(const struct top *t, int y)
{
	const uint64_t *n = t->conns.status;

	put(y, 0, HEAD, "connections");
	put(y, 12, PLAIN, "%" PRIu64 " alive, %" PRIu64 " probing, %" PRIu64
	    " unprotected; %" PRIu64 " probes out",
	    n[TCP_KEEPALIVE_STATUS_ALIVE], n[TCP_KEEPALIVE_STATUS_PROBING],
	    n[TCP_KEEPALIVE_STATUS_UNPROTECTED],
	    t->now.value[TCP_KEEPALIVE_A_STATS_PROBES_PENDING]);
}

/* A bound in the unit that suits it, from one of so many to the second. */
static void bound(const struct bucket *b, double per_second, char *text, size_t size)
{
	double s = (double)b->le / per_second;

	if (!b->bounded)
		snprintf(text, size, "more");
	else if (s < 0.001)
		snprintf(text, size, "%.0f us", s * 1e6);
	else if (s < 1)
		snprintf(text, size, "%.3g ms", s * 1e3);
	else
		snprintf(text, size, "%.4g s", s);
}

/* The buckets with most in them are at the end or near: the last rows. */
static void hist_draw(const struct buckets *h, int y, int x, const char *name,
		      double per_second)
{
	static const char bar[] = "################";
	size_t i, first = h->n > HIST_ROWS ? h->n - HIST_ROWS : 0;
	uint64_t widest = 1;
	char le[24];
	int width;

	put(y, x, HEAD, "%s (%" PRIu64 ")", name, h->total);
	for (i = first; i < h->n; i++)
		if (h->bucket[i].count > widest)
			widest = h->bucket[i].count;
	for (i = first; i < h->n; i++) {
		const struct bucket *b = &h->bucket[i];

		bound(b, per_second, le, sizeof(le));
		width = (int)((double)b->count / (double)widest * BAR_MAX);
		put(++y, x, PLAIN, "%8s %8" PRIu64 " %.*s", le, b->count,
		    width ? width : 1, bar);
	}
	if (!h->n)
		put(y + 1, x, PLAIN, "   none yet");
}

static void worst_draw(const struct top *t, int y, int rows)
{
	unsigned int i;

	put(y, 0, HEAD, "%-47s %7s %7s %4s %10s", "worst peers", "lost", "sent",
	    "out", "idle");
	for (i = 0; i < t->nr_worst && (int)i < rows; i++) {
		const struct worst *w = &t->worst[i];

		put(y + 1 + (int)i, 0, w->out ? BAD : PLAIN,
		    "%-47s %7" PRIu64 " %7" PRIu64 " %4" PRIu64 " %8" PRIu64 " s",
		    w->remote, w->lost, w->sent, w->out, w->idle_ms / 1000);
	}
	if (!t->nr_worst)
		put(y + 1, 0, PLAIN, "   none has lost a probe");
}

static const char *kind_name(uint64_t kind)
{
	static const char *const kinds[] = {
		[TCP_KEEPALIVE_EVENT_DEAD]	= "dead",
		[TCP_KEEPALIVE_EVENT_RESET]	= "reset",
		[TCP_KEEPALIVE_EVENT_RECOVERED]	= "recovered",
		[TCP_KEEPALIVE_EVENT_LOST]	= "lost",
	};

	return kind < ARRAY_SIZE(kinds) ? kinds[kind] : "?";
}

static void events_draw(const struct top *t, int y, int rows)
{
	uint64_t i, n = t->nr_events < TOP_EVENTS ? t->nr_events : TOP_EVENTS;
	char at[16];
	struct tm tm;
	time_t s;

	put(y, 0, HEAD, "newest events (%" PRIu64 ")%s", t->nr_events,
	    t->missed ? ", some were lost" : "");
	for (i = 0; i < n && (int)i < rows; i++) {
		const struct top_event *e =
			&t->event[(t->nr_events - 1 - i) % TOP_EVENTS];

		*at = '\0';
		s = (time_t)(e->at / NS_PER_SEC);
		if (localtime_r(&s, &tm))
			strftime(at, sizeof(at), "%H:%M:%S", &tm);
		put(y + 1 + (int)i, 0,
		    e->kind == TCP_KEEPALIVE_EVENT_RECOVERED ? GOOD : BAD,
		    "%s %-9s %s > %s  lost %" PRIu64 ", silent %" PRIu64 " s", at,
		    kind_name(e->kind), e->local, e->remote, e->lost,
		    e->idle_ms / 1000);
	}
}

/**
 * screen_draw - draw it all
 * @t: what there is to show
 * @line: for the last line
 */
void screen_draw(const struct top *t, const char *line)
{
	int hist = 7, worst = hist + HIST_ROWS + 2, left, rows;

	erase();
	head_draw(t);
	counters_draw(t, 2);
	conns_draw(t, 5);
	hist_draw(&t->now.hist[HIST_RTT], hist, 0, "time to an answer", 1e6);
	hist_draw(&t->now.hist[HIST_DETECT], hist, 40, "time to find a peer dead",
		  1e3);
	left = LINES - worst - 3;
	rows = left > 1 ? left / 2 : 1;
	worst_draw(t, worst, rows);
	events_draw(t, worst + rows + 1, left - rows);
	move(LINES - 1, 0);
	clrtoeol();
	put(LINES - 1, 0, HEAD, "%s", line);
	refresh();
}

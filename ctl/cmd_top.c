// SPDX-License-Identifier: GPL-2.0
/*
 * kactl top: a network namespace at a glance, until q.
 */
#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/tcp_keepalive.h>

#include "intr.h"
#include "kactl.h"
#include "netns.h"
#include "nl.h"
#include "parse.h"
#include "top.h"

#define DELAY_MIN	0.1
#define DELAY_MAX	3600
#define KEYS		"q quit  space now  p pause  + slower  - faster  l redraw"

/* What is said to stderr meanwhile would spoil the screen: it is kept. */
struct kept {
	int real;
	int memory;
};

static void kept_begin(struct kept *k)
{
	k->real = dup(STDERR_FILENO);
	k->memory = memfd_create("stderr", MFD_CLOEXEC);
	if (k->real >= 0 && k->memory >= 0)
		dup2(k->memory, STDERR_FILENO);
}

static void kept_end(struct kept *k)
{
	char text[1024];
	ssize_t n;

	if (k->real >= 0 && k->memory >= 0) {
		dup2(k->real, STDERR_FILENO);
		lseek(k->memory, 0, SEEK_SET);
		while ((n = read(k->memory, text, sizeof(text))) > 0)
			if (write(STDERR_FILENO, text, (size_t)n) < 0)
				break;
	}
	close(k->real);
	close(k->memory);
}

static void delay_set(struct top *t, double delay)
{
	if (delay >= DELAY_MIN && delay <= DELAY_MAX)
		t->delay = delay;
}

/* ST_ENOUGH for the key that ends it. @due: when the next round is. */
static enum status on_key(struct top *t, int key, double *due)
{
	switch (key) {
	case 'q':
	case 'Q':
	case KEY_F(10):
		return ST_ENOUGH;
	case ' ':
		*due = 0;
		break;
	case 'p':
	case 'Z':
		t->paused = !t->paused;
		*due = 0;
		break;
	case '+':
		delay_set(t, t->delay * 2);
		break;
	case '-':
		delay_set(t, t->delay / 2);
		*due = 0;
		break;
	case 'l':
	case 'L' - '@':
		clearok(curscr, TRUE);
		break;
	}
	return ST_DONE;
}

/* Wait for a key, an event, or the next round. */
static enum status wait_for(struct pollfd *fds, double seconds, const sigset_t *mask)
{
	struct timespec ts = { .tv_sec = DELAY_MAX };
	int n;

	if (seconds < DELAY_MAX) {
		seconds = seconds > 0 ? seconds : 0;
		ts.tv_sec = (time_t)seconds;
		ts.tv_nsec = (long)((seconds - (double)ts.tv_sec) * 1e9);
	}
	n = ppoll(fds, 2, &ts, mask);
	if (n < 0 && errno != EINTR)
		return fail(ST_REFUSED, "poll: %s", strerror(errno));
	if (n <= 0) {
		fds[0].revents = 0;
		fds[1].revents = 0;
	}
	/* The terminal has gone. */
	return fds[0].revents & (POLLHUP | POLLERR | POLLNVAL) ? ST_ENOUGH : ST_DONE;
}

static enum status loop(struct top *t, int events, const sigset_t *mask)
{
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
				{ .fd = events, .events = POLLIN } };
	enum status st = ST_DONE;
	double due = 0, now;
	int key;

	while (!st && !intr_caught()) {
		now = stats_clock();
		if (now >= due && !(t->paused && t->now.at > 0 && due > 0)) {
			st = top_read(t);
			due = now + t->delay;
		}
		if (st)
			break;
		screen_draw(t, KEYS);
		st = wait_for(fds, t->paused ? DELAY_MAX : due - stats_clock(),
			      mask);
		if (!st && fds[1].revents)
			st = top_hear(t, events);
		while (!st && (key = getch()) != ERR)
			st = on_key(t, key, &due);
	}
	return st;
}

/* Signals are let in while we wait alone. */
static enum status top_screen(struct top *t, int events)
{
	sigset_t signals, mask;
	struct kept kept;
	enum status st;

	if (!screen_open())
		return ST_REFUSED;
	intr_catch();
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, &mask);
	kept_begin(&kept);
	st = loop(t, events, &mask);
	screen_close();
	kept_end(&kept);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	/* It is how this command is meant to end. */
	if (intr_caught() == SIGINT)
		intr_forget();
	return st == ST_ENOUGH ? ST_DONE : st;
}

static enum status top_netns(void *arg)
{
	static const char *const groups[] = { TCP_KEEPALIVE_MCGRP_EVENTS, NULL };
	enum status st;
	int events;

	st = ka_listen(groups, &events);
	if (st)
		return st;
	st = top_screen(arg, events);
	close(events);
	return st;
}

static enum status parse_delay(struct args *a, struct top *t)
{
	const char *word;
	enum status st = args_value(a, "--delay", &word);

	return st ? st : parse_seconds("--delay", word, DELAY_MIN, DELAY_MAX, &t->delay);
}

static enum status top(struct args *a)
{
	struct top t = { .delay = 2 };
	enum status st = ST_DONE;

	while (*a->word && !st) {
		if (args_take(a, "--delay"))
			st = parse_delay(a, &t);
		else
			st = args_unknown(a);
	}
	if (st)
		return st;
	if (ka.json)
		return fail(ST_USAGE, "--json: top is a screen; \"kactl -j stats --watch 2\" is "
			    "for programs");
	if (ka.all_netns)
		return fail(ST_USAGE, "--all-netns: top shows one network namespace: see --netns");
	return netns_each(false, top_netns, &t);
}

static const struct verb verbs[] = {
	{
		.name	= "",
		.args	= "[--delay SECONDS]",
		.run	= top,
		.help	= "Show it all on one screen, again and again: rates, connections, worst\n"
			  "peers, histograms, and the newest events as they happen.\n"
			  "  --delay SECONDS  from one round to the next; 2 if not given\n"
			  "Keys: " KEYS "\n",
	}, { 0 }
};

const struct object object_top = {
	.name		= "top",
	.summary	= "the namespace at a glance, refreshed",
	.verbs		= verbs,
	.examples	= "  kactl top\n"
			  "  kactl -n 1 top --delay 5\n",
};

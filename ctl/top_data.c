// SPDX-License-Identifier: GPL-2.0
/*
 * kactl top: what it shows, as it is read.
 */
#include <linux/tcp_keepalive.h>

#include "attr.h"
#include "kactl.h"
#include "nl.h"
#include "top.h"

/* Looking at the connections takes this part of the time at most. */
#define CONNS_SHARE	20

static bool worse(const struct worst *a, const struct worst *b)
{
	return a->lost != b->lost ? a->lost > b->lost : a->out > b->out;
}

/* Put one among the worst, if it belongs there. */
static void worst_add(struct top *t, const struct worst *w)
{
	unsigned int i = t->nr_worst;

	if (!w->lost && !w->out)
		return;
	if (i == TOP_WORST && !worse(w, &t->worst[i - 1]))
		return;
	if (i == TOP_WORST)
		i--;
	else
		t->nr_worst++;
	for (; i && worse(w, &t->worst[i - 1]); i--)
		t->worst[i] = t->worst[i - 1];
	t->worst[i] = *w;
}

static enum status on_conn(struct nlattr *attrs, int len, void *arg)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_CONN_MAX + 1];
	struct worst w = { .lost = 0 };
	struct top *t = arg;

	survey_add(&t->conns, attrs, len);
	attr_table(tb, TCP_KEEPALIVE_A_CONN_MAX, attrs, len);
	attr_uint(tb[TCP_KEEPALIVE_A_CONN_LOST], &w.lost);
	attr_uint(tb[TCP_KEEPALIVE_A_CONN_OUT], &w.out);
	attr_uint(tb[TCP_KEEPALIVE_A_CONN_SENT], &w.sent);
	attr_uint(tb[TCP_KEEPALIVE_A_CONN_IDLE_MS], &w.idle_ms);
	if (w.lost || w.out)
		addr_port(tb[TCP_KEEPALIVE_A_CONN_REMOTE],
			  tb[TCP_KEEPALIVE_A_CONN_RPORT], w.remote);
	worst_add(t, &w);
	return ST_DONE;
}

static enum status conns_read(struct top *t)
{
	double start = stats_clock();
	struct request req;
	enum status st;

	t->nr_worst = 0;
	t->conns = (struct survey){ 0 };
	st = request_init(&req, TCP_KEEPALIVE_CMD_CONN_GET);
	if (st)
		return st;
	request_dump(&req);
	st = request_send(&req, on_conn, t);
	t->conns_due = stats_clock() + CONNS_SHARE * (stats_clock() - start);
	return st;
}

/* The next round; the one that was becomes the one before. */
enum status top_read(struct top *t)
{
	enum status st;

	t->before = t->now;
	st = stats_read_now(&t->now);
	if (!st)
		st = policy_read_now(t->policy);
	if (!st && stats_clock() >= t->conns_due)
		st = conns_read(t);
	return st;
}

static enum status on_event(uint8_t cmd, struct nlattr *attrs, int len, void *arg)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_EVENT_MAX + 1];
	struct top *t = arg;
	struct top_event *e = &t->event[t->nr_events % TOP_EVENTS];

	if (cmd != TCP_KEEPALIVE_CMD_EVENT_NTF)
		return ST_DONE;
	*e = (struct top_event){ .kind = UINT64_MAX };
	attr_table(tb, TCP_KEEPALIVE_A_EVENT_MAX, attrs, len);
	attr_uint(tb[TCP_KEEPALIVE_A_EVENT_AT], &e->at);
	attr_uint(tb[TCP_KEEPALIVE_A_EVENT_EVENT], &e->kind);
	attr_uint(tb[TCP_KEEPALIVE_A_EVENT_LOST], &e->lost);
	attr_uint(tb[TCP_KEEPALIVE_A_EVENT_IDLE_MS], &e->idle_ms);
	addr_port(tb[TCP_KEEPALIVE_A_EVENT_LOCAL],
		  tb[TCP_KEEPALIVE_A_EVENT_LPORT], e->local);
	addr_port(tb[TCP_KEEPALIVE_A_EVENT_REMOTE],
		  tb[TCP_KEEPALIVE_A_EVENT_RPORT], e->remote);
	t->nr_events++;
	return ST_DONE;
}

/* Take the events that have come. */
enum status top_hear(struct top *t, int fd)
{
	return ka_hear(fd, on_event, t, &t->missed);
}

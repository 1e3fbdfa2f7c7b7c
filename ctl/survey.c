// SPDX-License-Identifier: GPL-2.0
/*
 * The connections of a network namespace, counted.
 */
#include <linux/tcp_keepalive.h>

#include "attr.h"
#include "intr.h"
#include "kactl.h"
#include "nl.h"
#include "survey.h"

/* An acknowledgment with timestamps, as probes are, at the IP layer. */
#define BYTES_INET	52
#define BYTES_INET6	72

/* The kernel's timers for long times may be late by an eighth. */
#define SLACK		8

/* Is a second probe, should the first be lost, under way before the limit? */
bool survey_in_time(int64_t limit, int64_t time, int64_t intvl)
{
	int64_t second;

	return !__builtin_add_overflow(time, intvl, &second) &&
	       !__builtin_add_overflow(second, second / SLACK, &second) && second < limit;
}

/* Count a connection in, by its message. */
void survey_add(struct survey *s, const struct nlattr *attrs, int len)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_CONN_MAX + 1], *local;
	int64_t time = 0, intvl = 0;
	uint64_t status, on = 0;
	double rate;

	attr_table(tb, TCP_KEEPALIVE_A_CONN_MAX, attrs, len);
	if (attr_uint(tb[TCP_KEEPALIVE_A_CONN_STATUS], &status) &&
	    status < NR_STATUSES)
		s->status[status]++;
	attr_uint(tb[TCP_KEEPALIVE_A_CONN_KEEPALIVE], &on);
	attr_int(tb[TCP_KEEPALIVE_A_CONN_TIME], &time);
	attr_int(tb[TCP_KEEPALIVE_A_CONN_INTVL], &intvl);
	if (!on)
		return;
	s->watched++;
	if (s->limit && !survey_in_time(s->limit, time, intvl))
		s->late++;
	rate = time > 0 ? 1 / (double)time : 1;
	local = tb[TCP_KEEPALIVE_A_CONN_LOCAL];
	s->per_second += rate;
	s->bytes_per_second += rate * (local && attr_len(local) == 4 ?
				       BYTES_INET : BYTES_INET6);
}

static enum status on_conn(struct nlattr *attrs, int len, void *arg)
{
	survey_add(arg, attrs, len);
	return intr_caught() ? ST_ENOUGH : ST_DONE;
}

/* Look at those of the namespace that we are connected to. */
enum status survey_now(struct survey *s)
{
	struct request req;
	enum status st;

	*s = (struct survey){ .limit = s->limit };
	st = request_init(&req, TCP_KEEPALIVE_CMD_CONN_GET);
	if (st)
		return st;
	request_dump(&req);
	return request_send(&req, on_conn, s);
}

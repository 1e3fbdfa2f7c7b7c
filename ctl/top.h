/* SPDX-License-Identifier: GPL-2.0 */
#ifndef TOP_H
#define TOP_H

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"
#include "policy.h"
#include "stats.h"
#include "survey.h"

#define TOP_WORST	16
#define TOP_EVENTS	64

/**
 * struct top - what the screen shows
 * @delay: seconds from one round to the next
 * @paused: no round until a key says so
 * @policy: in force
 * @now: the statistics
 * @before: those of the round before; @at is 0 in the first one
 * @conns: the connections, counted
 * @worst: those with the most probes lost or out, in falling order
 * @nr_worst: how many there are, of those that have any
 * @event: the newest, in a ring
 * @nr_events: how many there were
 * @missed: events were lost
 * @conns_due: when to look at the connections again
 */
struct top {
	double delay;
	bool paused;
	int64_t policy[NR_POLICY_FIELDS];
	struct sample now, before;
	struct survey conns;
	struct worst {
		char remote[ADDR_TEXT];
		uint64_t lost, out, sent, idle_ms;
	} worst[TOP_WORST];
	unsigned int nr_worst;
	struct top_event {
		uint64_t at;
		uint64_t kind;
		uint64_t lost;
		uint64_t idle_ms;
		char local[ADDR_TEXT];
		char remote[ADDR_TEXT];
	} event[TOP_EVENTS];
	uint64_t nr_events;
	bool missed;
	double conns_due;
};

enum status top_read(struct top *t);
enum status top_hear(struct top *t, int fd);

bool screen_open(void);
void screen_close(void);
void screen_draw(const struct top *t, const char *line);

#endif /* TOP_H */

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "addr.h"
#include "evidence.h"

#define REPORT_EVENTS	10000	/* kept; of more, the first */
#define REPORT_ROWS	100	/* shown in the table; of more, the last */

/**
 * struct report - all that the page says
 * @evidence: policy, statistics, connections, advice
 * @rules: commands that make them, a line each
 * @seconds: for how long events were listened for
 * @from: when that began, nanoseconds of CLOCK_REALTIME
 * @event: what happened then
 * @nr_events: how many there are of them
 * @events: how many there were
 * @missed: some were lost on the way
 * @program: those that have connections without keepalive, and how many
 * @nr_programs: how many programs
 */
struct report {
	struct evidence evidence;
	char *rules;
	double seconds;
	uint64_t from;
	struct report_event {
		uint64_t at;
		uint64_t kind;
		uint64_t lost;
		uint64_t idle_ms;
		char local[ADDR_TEXT];
		char remote[ADDR_TEXT];
	} *event;
	size_t nr_events;
	uint64_t events;
	bool missed;
	struct program {
		char *comm;
		uint64_t count;
	} *program;
	size_t nr_programs;
};

void report_html(const struct report *r, FILE *f);

#endif /* REPORT_H */

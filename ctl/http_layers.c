// SPDX-License-Identifier: GPL-2.0
/*
 * The two keep-alives side by side, of one connection: the same name, and
 * nothing else in common.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <linux/tcp_keepalive.h>

#include "http.h"
#include "out.h"

#define CELL	44
#define TEXT_MAX	192

static void line(const char *what, const char *http, const char *tcp)
{
	out_text("%-14s %-*s %s\n", what, CELL, http, tcp);
}

static const char *absent(const struct http_report *r)
{
	if (!r->on_tcp)
		return "(no TCP: a unix socket)";
	return r->loaded ? "(the module does not show this connection)" :
	       "(not known: module not loaded)";
}

static const char *source(uint64_t n)
{
	static char number[24];

	switch (n) {
	case TCP_KEEPALIVE_SOURCE_NETNS:
		return "the network namespace's policy";
	case TCP_KEEPALIVE_SOURCE_RULE:
		return "a rule";
	case TCP_KEEPALIVE_SOURCE_PROGRAM:
		return "the program";
	default:
		snprintf(number, sizeof(number), "%" PRIu64, n);
		return number;
	}
}

static void layer(const struct http_report *r)
{
	char http[TEXT_MAX], tcp[TEXT_MAX];

	snprintf(http, sizeof(http), "7, between client and server: HTTP/%s",
		 http_version_name(r->first.version));
	snprintf(tcp, sizeof(tcp), "4, between their kernels: %s", r->on_tcp ? r->ends : absent(r));
	line("layer", http, tcp);
}

static void purpose(const struct http_report *r)
{
	char http[TEXT_MAX] = "", tcp[TEXT_MAX] = "to find out whether the peer is there";

	line("purpose", "to use a connection for many requests", tcp);
	if (r->nr_requests)
		snprintf(http, sizeof(http), "(%" PRId64 " on one here)", r->nr_requests);
	snprintf(tcp, sizeof(tcp), "and to keep the path between open");
	if (r->row_there)
		snprintf(tcp, sizeof(tcp), "and to keep the path between open (%" PRIu64
			 " times here)", r->row.answered);
	line("", http, tcp);
}

static void sends(const struct http_report *r)
{
	char tcp[TEXT_MAX];

	line("sends", r->idle_data ? "nothing while idle (here the server did)" :
	     "nothing while idle", "probes while idle, which the peer's kernel");
	if (r->row_there)
		snprintf(tcp, sizeof(tcp), "answers (%" PRIu64 " of %" PRIu64 " here): its program "
			 "does not notice", r->row.answered, r->row.sent);
	else
		snprintf(tcp, sizeof(tcp), "answers: its program does not notice");
	line("", "", tcp);
}

static void controlled(const struct http_report *r)
{
	char http[TEXT_MAX] = "the server", tcp[TEXT_MAX];
	size_t used = strlen(http);

	if (r->first.timeout >= 0)
		used += (size_t)snprintf(http + used, sizeof(http) - used, ", timeout=%" PRId64,
					 r->first.timeout);
	if (r->first.max >= 0)
		used += (size_t)snprintf(http + used, sizeof(http) - used, ", max=%" PRId64,
					 r->first.max);
	snprintf(http + used, sizeof(http) - used, ", and the client");
	if (r->row_there)
		snprintf(tcp, sizeof(tcp), "%s: time %" PRId64 ", intvl %" PRId64 ", probes %"
			 PRIu64, source(r->row.source), r->row.time, r->row.intvl, r->row.probes);
	else
		snprintf(tcp, sizeof(tcp), "%s", absent(r));
	line("controlled by", http, tcp);
}

static void asked(const struct http_report *r)
{
	line("asked for by",
	     r->first.version >= 11 ? "nobody: it is HTTP/1.1's default" :
	     r->first.stay ? "Connection: keep-alive, granted" :
	     "Connection: keep-alive, not granted",
	     !r->row_there ? absent(r) : r->row.keepalive ?
	     "SO_KEEPALIVE, which this check set" : "off: a rule has it so");
}

static void limit(const struct http_report *r)
{
	char http[TEXT_MAX], tcp[TEXT_MAX];

	if (!http_persistent(r))
		snprintf(http, sizeof(http), "none: it does not stay");
	else if (!http_server_ended(r))
		snprintf(http, sizeof(http), "more than %.1f s", (double)r->idle_ms / 1000);
	else
		snprintf(http, sizeof(http), "%.1f s, then the server ends it",
			 (double)r->idle_ms / 1000);
	if (r->row_there)
		snprintf(tcp, sizeof(tcp), "none; a probe after %" PRId64 " s, and if there is no "
			 "answer every %" PRId64 " s", r->row.time, r->row.intvl);
	else
		snprintf(tcp, sizeof(tcp), "%s", absent(r));
	line("idle limit", http, tcp);
}

static void ended(const struct http_report *r)
{
	static const char *const ends[] = {
		[HTTP_OPEN]	= "the timeout, max, or close (none so far)",
		[HTTP_CLOSE]	= "the timeout, max, or close (here close)",
		[HTTP_FIN]	= "the timeout, max, or close (here a FIN)",
		[HTTP_RST]	= "the timeout, max, or close (here a RST)",
		[HTTP_LOST]	= "the timeout, max, or close (here by none)",
	};
	char tcp[TEXT_MAX];

	if (r->row_there)
		snprintf(tcp, sizeof(tcp), "%" PRIu64 " unanswered probes in a row (%s)",
			 r->row.probes, r->idle_end == HTTP_LOST ? "as here" : "not here");
	else
		snprintf(tcp, sizeof(tcp), "%s", absent(r));
	line("is ended by", ends[r->idle_end], tcp);
}

static void seen(const struct http_report *r)
{
	char http[TEXT_MAX], tcp[TEXT_MAX];

	snprintf(http, sizeof(http), "idle for %.1f s, %s sent", (double)r->idle_ms / 1000,
		 r->idle_data ? "something" : "nothing");
	if (r->row_there)
		snprintf(tcp, sizeof(tcp),
			 "%" PRIu64 " probes sent, %" PRIu64 " answered, %" PRIu64 " lost",
			 r->row.sent, r->row.answered, r->row.lost);
	else
		snprintf(tcp, sizeof(tcp), "%s", absent(r));
	line("seen here", http, tcp);
}

/* In text alone; JSON has the values in "tcp" and "measured". */
void http_layers_out(const struct http_report *r)
{
	out_text("\n");
	line("", "HTTP keep-alive", "TCP keepalive");
	layer(r);
	purpose(r);
	sends(r);
	controlled(r);
	asked(r);
	limit(r);
	ended(r);
	seen(r);
}

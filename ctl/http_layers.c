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

#define CELL	40

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
	switch (n) {
	case TCP_KEEPALIVE_SOURCE_NETNS:
		return "the network namespace's policy";
	case TCP_KEEPALIVE_SOURCE_RULE:
		return "a rule";
	case TCP_KEEPALIVE_SOURCE_PROGRAM:
		return "the program";
	default:
		return "unknown";
	}
}

static void asked(const struct http_report *r)
{
	char http[64];

	snprintf(http, sizeof(http), "%s",
		 r->first.version >= 11 ? "nobody: it is HTTP/1.1's default" :
		 r->first.stay ? "Connection: keep-alive, granted" :
		 "Connection: keep-alive, not granted");
	line("asked for by", http, !r->row_there ? absent(r) : r->row.keepalive ?
	     "SO_KEEPALIVE, which this check set" : "off: a rule has it so");
}

static void limits(const struct http_report *r)
{
	char http[64], tcp[128];

	if (!http_persistent(r))
		snprintf(http, sizeof(http), "none: it does not stay");
	else if (!http_server_ended(r))
		snprintf(http, sizeof(http), "more than %.1f s", (double)r->idle_ms / 1000);
	else
		snprintf(http, sizeof(http), "%.1f s, then the server ends it",
			 (double)r->idle_ms / 1000);
	if (!r->row_there)
		snprintf(tcp, sizeof(tcp), "%s", absent(r));
	else
		snprintf(tcp, sizeof(tcp),
			 "none; a probe after %" PRId64 " s, and every %" PRId64 " s",
			 r->row.time, r->row.intvl);
	line("idle limit", http, tcp);
	if (r->row_there)
		snprintf(tcp, sizeof(tcp), "%" PRIu64 " unanswered probes in a row", r->row.probes);
	line("is ended by", "the timeout, max, or close", tcp);
}

static void seen(const struct http_report *r)
{
	char http[64], tcp[128];

	snprintf(http, sizeof(http), "idle for %.1f s, nothing sent", (double)r->idle_ms / 1000);
	if (!r->row_there)
		snprintf(tcp, sizeof(tcp), "%s", absent(r));
	else
		snprintf(tcp, sizeof(tcp),
			 "%" PRIu64 " probes sent, %" PRIu64 " answered, %" PRIu64 " lost",
			 r->row.sent, r->row.answered, r->row.lost);
	line("seen here", http, tcp);
}

/* In text alone; JSON has the values in "tcp" and "measured". */
void http_layers_out(const struct http_report *r)
{
	out_text("\n");
	line("", "HTTP keep-alive", "TCP keepalive");
	line("layer", "7, between client and server", "4, between their kernels");
	line("purpose", "to use a connection for many requests", "to find out whether the peer "
	     "is there, and");
	line("", "", "to keep the path between open");
	line("sends", "nothing while idle", "probes while idle, which the peer's kernel");
	line("", "", "answers: its program does not notice");
	line("controlled by", "the server, and the client",
	     r->row_there ? source(r->row.source) : absent(r));
	asked(r);
	limits(r);
	seen(r);
}

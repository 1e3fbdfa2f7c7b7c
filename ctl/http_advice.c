// SPDX-License-Identifier: GPL-2.0
/*
 * The verdict: what the server says against what it does, for how long its
 * connections may be reused, and what that means behind something else.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "http.h"
#include "middlebox.h"
#include "out.h"
#include "survey.h"

/* Milliseconds: a request on its way, and a server's coarse timer. */
#define MARGIN		1000
#define EARLY		500	/* sooner than said by more than that is no rounding */
#define LATE		2000	/* as much later it is no coarse timer */
/* Microseconds: delayed ACKs are of 40 ms (Linux) to 200; less and more is the server's own. */
#define DELAYED_ACK_MIN	30000
#define DELAYED_ACK_MAX	300000
#define ADVICE_MAX	512

static void say(const char *fmt, ...) __printf(1, 2);

static void say(const char *fmt, ...)
{
	char line[ADVICE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (ka.json)
		out_item(line);
	else
		out_str("advice", line);
}

static double seconds(int64_t ms)
{
	return (double)ms / 1000;
}

static double millis(int64_t us)
{
	return (double)us / 1000;
}

/* It was seen that the connection stays; or, if Ctrl-C came before, it is said. */
bool http_persistent(const struct http_report *r)
{
	if (r->first.version >= 20 || r->nr_requests > 1)
		return true;
	if (r->requests_done && r->nr_requests == 1 && r->requests_end != HTTP_OPEN)
		return false;
	return http_header_persistent(&r->first) &&
	       (r->idle_end == HTTP_OPEN || r->idle_ms > 0);
}

/* Not by the path, and not by us. */
bool http_server_ended(const struct http_report *r)
{
	return r->idle_end != HTTP_OPEN && r->idle_end != HTTP_LOST;
}

/* What of the idle time may be relied on, or -1; an idle time not ended is a lower bound. */
static int64_t idle_ms(const struct http_report *r)
{
	int64_t said = r->first.timeout < 0 ? INT64_MAX : r->first.timeout * 1000;

	if (!http_persistent(r) || r->first.version >= 20)
		return -1;
	return r->idle_ms < said ? r->idle_ms : said;
}

/* For how long a connection may have been idle that is to be used again, or -1. */
int64_t http_safe_ms(const struct http_report *r)
{
	int64_t ms = idle_ms(r);

	/* What the path ended says nothing of the server. */
	if (ms < 0 || r->idle_end == HTTP_LOST)
		return -1;
	return ms < 2 * MARGIN ? ms / 2 : ms - MARGIN;
}

static const char *how(enum http_end end)
{
	switch (end) {
	case HTTP_CLOSE:
		return "the server closed it, as it had said";
	case HTTP_FIN:
		return "the server closed it";
	case HTTP_RST:
		return "the server reset it";
	case HTTP_LOST:
		return "TCP here gave it up: the path, not the server, ended it";
	default:
		return "it stayed open";
	}
}

static void say_timeout(const struct http_report *r)
{
	int64_t said = r->first.timeout * 1000;
	double was = seconds(r->idle_ms);

	if (r->idle_end == HTTP_LOST)
		say("after %.1f s of idleness %s", was, how(r->idle_end));
	else if (r->first.timeout < 0 && r->idle_end == HTTP_OPEN)
		say("the server says no timeout, and leaves a connection open that is idle for "
		    "%.1f s", was);
	else if (r->first.timeout < 0)
		say("the server does not say its timeout, which is %.1f s: clients have to know "
		    "it or to guess", was);
	else if (r->idle_end == HTTP_OPEN && r->idle_ms < said)
		say("timeout=%" PRId64 " was not reached: the connection was idle for %.1f s "
		    "only (--idle-max)",
		    r->first.timeout, was);
	else if (r->idle_end == HTTP_OPEN)
		say("timeout=%" PRId64 " is said, but the connection is still open after %.1f s: "
		    "the server keeps it for longer",
		    r->first.timeout, was);
	else if (r->idle_ms + EARLY < said)
		say("timeout=%" PRId64 " is not true: after %.1f s %s; clients that rely on it "
		    "lose requests",
		    r->first.timeout, was, how(r->idle_end));
	else if (r->idle_ms > said + LATE)
		say("timeout=%" PRId64 " is said, but the server keeps the connection for "
		    "longer: after %.1f s %s",
		    r->first.timeout, was, how(r->idle_end));
	else
		say("timeout=%" PRId64 " is true: after %.1f s %s", r->first.timeout, was,
		    how(r->idle_end));
}

static void say_max(const struct http_report *r)
{
	int64_t max = r->first.max, n = r->nr_requests;

	if (r->requests_error[0])
		say("request %" PRId64 " on one connection failed: %s", n + 1, r->requests_error);
	else if (r->requests_end == HTTP_OPEN || !r->requests_done)
		say("a connection takes at least %" PRId64 " requests%s", n,
		    max >= 0 && max < n - 1 ? ", more than the server says" : "");
	else if (r->requests_end == HTTP_CLOSE)
		say("a connection takes %" PRId64 " requests: the last response says Connection: "
		    "close", n);
	else
		say("after request %" PRId64 " on one connection %s, without a word in the "
		    "response: the next one may be lost",
		    n, how(r->requests_end));
	/* Some count the requests still to come, and so take one more. */
	if (max >= 0 && r->requests_end != HTTP_OPEN && n != max && n != max + 1)
		say("max=%" PRId64 " is not true", max);
	if (r->other_status)
		say("from request %" PRId64 " on one connection the status was %d instead of %d",
		    r->other_at, r->other_status, r->first.status);
}

static void say_stay(const struct http_report *r)
{
	if (r->first.close && !http_server_ended(r))
		say("the server says Connection: close, and does not close: the connection was "
		    "still open after %.1f s; a client that heeds the word pays for a new one with "
		    "every request",
		    seconds(r->idle_ms));
	else if (r->first.close)
		say("the server closes the connection after each response, and says so: every "
		    "request pays for a new one");
	else if (r->first.version < 11 && !r->first.stay)
		say("the server grants no Connection: keep-alive to HTTP/1.0: every request pays "
		    "for a new connection");
	else
		say("the server does not say that it closes, but after one response %s: a second "
		    "request is lost",
		    how(r->idle_end == HTTP_OPEN ? r->requests_end : r->idle_end));
}

static void say_cost(const struct http_report *r)
{
	int64_t more = r->reused_us - r->fresh_us;

	if (more >= DELAYED_ACK_MIN && more <= DELAYED_ACK_MAX && !r->other_status)
		say("reuse costs %.3f ms: the server seems to write a response in pieces without "
		    "TCP_NODELAY, and waits for a delayed ACK between them",
		    millis(more));
	else if (more >= DELAYED_ACK_MIN)
		say("reuse costs %.3f ms: the server takes longer for a request on a connection "
		    "that is there",
		    millis(more));
	else if (more >= 0)
		say("reuse saves nothing that can be measured here");
	else if (r->tls_us > 0)
		say("reuse saves %.3f ms of %.3f: the connection's set-up takes %.3f, TLS %.3f",
		    millis(-more), millis(r->fresh_us), millis(r->connect_us),
		    millis(r->tls_us));
	else
		say("reuse saves %.3f ms of %.3f: the connection's set-up takes %.3f",
		    millis(-more), millis(r->fresh_us), millis(r->connect_us));
}

static void say_reuse(const struct http_report *r)
{
	int64_t ms = http_safe_ms(r);

	if (r->idle_end == HTTP_RST)
		say("the idle connection ended by RST: a request that is on its way then is "
		    "lost, and so is what was not read");
	if (ms >= 0)
		say("a connection may be reused if it was idle for less than %.1f s", seconds(ms));
	if (r->fresh_us >= 0 && r->reused_us >= 0)
		say_cost(r);
}

/* It was not idle for long enough, and how long that would be. */
static void say_unknown(const struct middlebox *box, const char *name,
			const struct http_report *r)
{
	char word[64] = "", option[64] = "";

	if (r->idle_end == HTTP_LOST) {
		say("behind %s (%" PRId64 " s): not known, as the path ended the connection after "
		    "%.1f s",
		    name, box->idle, seconds(r->idle_ms));
		return;
	}
	if (r->first.timeout >= 0)
		snprintf(word, sizeof(word), "; the server says timeout=%" PRId64,
			 r->first.timeout);
	if (box->idle + 2 <= HTTP_SECONDS_MAX)
		snprintf(option, sizeof(option), ": --idle-max %" PRId64, box->idle + 2);
	say("behind %s (%" PRId64 " s): not known, the connection was idle for %.1f s only%s%s",
	    name, box->idle, seconds(r->idle_ms), word, option);
}

/* It has connections of its own to the server, and closes them when they are idle. */
static void say_proxy(const struct middlebox *box, const char *name, const struct http_report *r)
{
	int64_t said = r->first.timeout * 1000, limit = box->idle * 1000 + MARGIN;

	if (!http_persistent(r))
		say("behind %s: nothing to fear, as no connection stays", name);
	else if (http_server_ended(r) && r->idle_ms < limit)
		say("behind %s (%" PRId64 " s): some requests will end as 502s; the server "
		    "closes after %.1f s, when one may be on its way: make the server's timeout "
		    "longer than %" PRId64 " s, or the other's shorter than %.1f s",
		    name, box->idle, seconds(r->idle_ms), box->idle, seconds(http_safe_ms(r)));
	else if (r->idle_end == HTTP_LOST ||
		 (r->idle_ms < limit && (said < 0 || r->idle_ms < said)))
		say_unknown(box, name, r);
	else if (said >= 0 && said < limit)
		say("behind %s (%" PRId64 " s): some requests may end as 502s; the server says "
		    "that it closes after %" PRId64 " s, though it kept the connection for %.1f s: "
		    "make the server's timeout longer than %" PRId64 " s, or the other's shorter "
		    "than %.1f s",
		    name, box->idle, r->first.timeout, seconds(r->idle_ms), box->idle,
		    seconds(http_safe_ms(r)));
	else
		say("behind %s (%" PRId64 " s): right; the server keeps a connection for longer "
		    "(%.1f s), so it is not the one that closes",
		    name, box->idle, seconds(r->idle_ms));
}

/* It forgets connections that are idle; TCP's keepalive is what keeps it from that. */
static void say_path(const struct middlebox *box, const char *name, const struct http_report *r)
{
	const struct http_tcp *row = &r->row;
	bool longer = r->idle_ms >= box->idle * 1000;
	bool probed = r->row_there && row->keepalive;

	if (!http_persistent(r) || (http_server_ended(r) && !longer))
		say("behind %s (%" PRId64 " s): right; the server ends idle connections before",
		    name, box->idle);
	else if (probed && survey_in_time(box->idle, row->time, row->intvl))
		say("behind %s (%" PRId64 " s): right; TCP probes every %" PRId64 " s of silence "
		    "keep the path open",
		    name, box->idle, row->time);
	else if (!longer)
		say_unknown(box, name, r);
	else if (probed && row->time < box->idle)
		say("behind %s (%" PRId64 " s): idle connections may be lost; TCP probes after %"
		    PRId64 " s of silence leave no room for a timer that is late and for a second "
		    "probe: \"kactl advise --behind %s\" says what is in time",
		    name, box->idle, row->time, name);
	else
		say("behind %s (%" PRId64 " s): idle connections are lost; %s: have the server's "
		    "timeout shorter than %" PRId64 " s, or TCP's keepalive (kactl policy set "
		    "time) on either side",
		    name, box->idle, box->then, box->idle);
}

static void say_behind(const struct http_want *want, const struct http_report *r)
{
	const struct middlebox *box = &want->behind;
	const char *name = box->name ? box->name : "a proxy";

	if (box->layer == MIDDLEBOX_TCP)
		say_path(box, name, r);
	else
		say_proxy(box, name, r);
	if (box->name)
		say("%s: %s, idle limit %" PRId64 " s: %s (%s, %s)", box->name, box->what,
		    box->idle, box->then, box->source, box->checked);
}

static void say_tcp(const struct http_report *r)
{
	const struct http_tcp *row = &r->row;

	if (r->row_there && row->sent && http_server_ended(r))
		say("%" PRIu64 " TCP probes, %" PRIu64 " of them answered, kept the path open "
		    "and did not keep the server from ending the connection",
		    row->sent, row->answered);
}

/**
 * http_advise - say what follows from what was found out
 * @want: what was asked for
 * @r: what was found out
 */
void http_advise(const struct http_want *want, const struct http_report *r)
{
	if (r->first.version >= 20) {
		say("HTTP/2 has neither Connection nor Keep-Alive (RFC 9113 8.2.2): a connection "
		    "stays until one side says GOAWAY or closes it; --http1.1 checks the "
		    "server's HTTP/1.1");
		return;
	}
	if (r->proxied)
		say("the proxy's keep-alive is what was checked: it answers, and has connections "
		    "of its own to the server");
	if (r->tunnelled)
		say("a proxy passes the connection on: either side of it may have ended it");
	if (r->first.status >= 300 && r->first.status < 400 && r->first.status != 304)
		say("the status is %d: --location follows redirects", r->first.status);
	if (r->first.shown_cut)
		say("Connection is too long to be shown: it is cut off, but all of it was read");
	if (r->first.silly[0])
		say("Keep-Alive: %s: not a number that can be meant", r->first.silly);
	if (r->first.stay && r->first.close)
		say("Connection has both keep-alive and close: close counts (RFC 9112 9.3)");
	if (!http_persistent(r)) {
		say_stay(r);
	} else {
		say_timeout(r);
		if (r->nr_requests)
			say_max(r);
		say_reuse(r);
	}
	if (!r->nr_requests && r->requests_error[0])
		say("another connection failed: %s", r->requests_error);
	if (r->idle_data)
		say("the server sent something while the connection was idle: no client expects "
		    "that");
	if (r->in_turn)
		say("others were answered only when the idle connection had ended: the server "
		    "has one connection at a time");
	say_tcp(r);
	if (want->behind_word)
		say_behind(want, r);
}

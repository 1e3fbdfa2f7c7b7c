// SPDX-License-Identifier: GPL-2.0
/*
 * The measurements, side by side: one connection is left idle until the server
 * ends it, while others take the time of a request on a new connection and on
 * one that is there, and see how many requests one connection takes.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#include "http.h"
#include "http_conn.h"
#include "http_curl.h"
#include "intr.h"
#include "kactl.h"
#include "nl.h"

#define NR_FRESH	5	/* new connections, of whose times the median counts */
#define NR_REUSED	101	/* and requests on one that is there */
#define WAIT_MAX	1000	/* milliseconds between looks at TCP's row */
#define WAIT_RESOLVER	50	/* where libcurl has nothing to poll */
#define PROGRESS	250
#define REQUEST_TIMEOUT	408
/* Milliseconds: longer than that an answer had to wait for something. */
#define SLOW		1000

/**
 * struct check - the measurements
 * @want: what is to be measured
 * @r: what is known
 * @idle: the connection that is left idle
 * @others: the other ones
 * @idle_began: when, in milliseconds
 * @idle_ended: when, or 0
 * @nr_fresh: requests on new connections so far
 * @nr_reused: requests whose time was taken on one that was there
 * @fresh_us: times
 * @connect_us: until TCP was connected
 * @tls_us: from then until TLS was ready
 * @reused_us: times
 * @looked: when TCP's row was last read
 * @progress: it is shown
 * @shown: when it last was
 * @mask: of signals, while we wait
 */
struct check {
	struct http_want *want;
	struct http_report *r;
	struct http_conn idle;
	struct http_conn others;
	int64_t idle_began;
	int64_t idle_ended;
	size_t nr_fresh;
	size_t nr_reused;
	int64_t fresh_us[NR_FRESH];
	int64_t connect_us[NR_FRESH];
	int64_t tls_us[NR_FRESH];
	int64_t reused_us[NR_REUSED];
	int64_t looked;
	bool progress;
	int64_t shown;
	sigset_t mask;
};

static int cmp(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static int64_t median(int64_t *us, size_t n)
{
	if (!n)
		return -1;
	qsort(us, n, sizeof(*us), cmp);
	return us[n / 2];
}

static void progress_show(struct check *k, int64_t now)
{
	if (!k->progress || now - k->shown < PROGRESS)
		return;
	k->shown = now;
	fprintf(stderr, "\ridle for %.1f s of at most %" PRId64 ", %" PRId64 " requests of at "
		"most %" PRId64 " \033[K",
		(double)((k->idle_ended ?: now) - k->idle_began) / 1000,
		k->want->idle_max, k->r->nr_requests, k->want->requests);
}

static void progress_end(struct check *k)
{
	if (k->progress && k->shown)
		fputs("\r\033[K", stderr);
}

/* What libcurl waits for, into @p; returns how many, and at most how long. */
static nfds_t poll_conn(const struct http_conn *c, struct pollfd *p, nfds_t room,
			int64_t *timeout)
{
	fd_set in, out, err;
	nfds_t n = 0;
	int fd, max = -1;
	long ms = -1;

	if (!c->busy)
		return 0;
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&err);
	curl.multi_fdset(c->multi, &in, &out, &err, &max);
	for (fd = 0; fd <= max && n < room; fd++) {
		short events = (short)((FD_ISSET(fd, &in) ? POLLIN : 0) |
				       (FD_ISSET(fd, &out) ? POLLOUT : 0));

		if (events)
			p[n++] = (struct pollfd){ .fd = fd, .events = events };
	}
	curl.multi_timeout(c->multi, &ms);
	if (ms < 0 || (max < 0 && ms > WAIT_RESOLVER))
		ms = max < 0 ? WAIT_RESOLVER : WAIT_MAX;
	if (ms < *timeout)
		*timeout = ms;
	return n;
}

/* Wait for something to happen. Signals are let in here and nowhere else. */
static void wait_any(struct check *k, int64_t until)
{
	int64_t ms = until - http_now_ms();
	struct pollfd p[16];
	struct timespec ts;
	nfds_t n = 0;

	if (ms > (k->progress ? PROGRESS : WAIT_MAX))
		ms = k->progress ? PROGRESS : WAIT_MAX;
	n = poll_conn(&k->idle, p, ARRAY_SIZE(p) - 1, &ms);
	n += poll_conn(&k->others, p + n, ARRAY_SIZE(p) - 1 - n, &ms);
	if (k->idle_began && !k->idle_ended)
		p[n++] = (struct pollfd){ .fd = k->idle.fd, .events = POLLRDHUP };
	if (ms < 0)
		ms = 0;
	ts.tv_sec = (time_t)(ms / 1000);
	ts.tv_nsec = (long)(ms % 1000) * 1000000;
	ppoll(p, n, &ts, &k->mask);
}

/* What the module has of the idle connection. One that is reset it has no more. */
static void row_look(struct check *k, int64_t now)
{
	k->looked = now;
	k->r->loaded = k->r->loaded && ka_present();
	if (k->r->loaded && http_tcp_read(k->idle.fd, &k->r->row))
		k->r->row_there = true;
}

/* One request, whose end is all that is waited for. */
static enum status first_request(struct check *k)
{
	struct http_conn *c = &k->idle;
	int64_t end;

	http_conn_begin(c);
	end = c->began + k->want->max_time * 1000;
	while (!http_conn_step(c)) {
		if (intr_caught())
			return ST_ENOUGH;
		wait_any(k, end);
		if (c->busy && http_now_ms() >= end)
			http_conn_give_up(c, k->want->max_time);
	}
	if (!c->result)
		return ST_DONE;
	return fail(ST_REFUSED, "%s: %s%s", k->want->shown, c->error,
		    c->result == CURLE_PEER_FAILED_VERIFICATION ?
		    " (--cacert names a file of certificates to trust, --insecure takes any)" : "");
}

/* Go where the redirects have led to. */
static enum status follow(struct check *k)
{
	char *url = NULL;
	enum status st;

	curl.easy_getinfo(k->idle.easy, CURLINFO_EFFECTIVE_URL, &url);
	st = url ? http_url_follow(k->want, url) : ST_DONE;
	http_conn_free(&k->idle);
	return st;
}

/* The first request of all, or where there may be redirects the second. */
static enum status idle_request(struct check *k, bool follow_redirects)
{
	struct http_conn *c = &k->idle;
	enum status st = http_conn_init(c, k->want);

	if (st)
		return st;
	http_conn_watch(c);
	c->keep = !follow_redirects;
	curl.easy_setopt(c->easy, CURLOPT_FOLLOWLOCATION, (long)follow_redirects);
	return first_request(k);
}

static enum status idle_begin(struct check *k)
{
	struct http_report *r = k->r;
	struct http_conn *c = &k->idle;
	long connect = 0, redirects = 0;
	enum status st = ST_DONE;

	if (k->want->location) {
		st = idle_request(k, true);
		if (st)
			return st;
		curl.easy_getinfo(c->easy, CURLINFO_REDIRECT_COUNT, &redirects);
		r->redirected = redirects > 0;
		st = follow(k);
	}
	if (!st)
		st = idle_request(k, false);
	if (st)
		return st;
	curl.easy_getinfo(c->easy, CURLINFO_HTTP_CONNECTCODE, &connect);
	r->tunnelled = connect || c->socks;
	r->proxied = c->absolute && !connect;
	r->first = c->header;
	if (c->fd < 0)
		return fail(ST_REFUSED, "%s: no socket: %s", k->want->shown, strerror(errno));
	r->on_tcp = http_socket_is_tcp(c->fd);
	http_tcp_ends(c->fd, r->ends, sizeof(r->ends));
	k->idle_began = http_now_ms();
	row_look(k, k->idle_began);
	return ST_DONE;
}

/* Something came while it was idle. In TLS that need not be meant for us. */
static bool spoke(const struct check *k)
{
	struct pollfd p = { .fd = k->idle.fd, .events = POLLIN | POLLRDHUP };

	return !strncmp(k->want->url, "http:", strlen("http:")) &&
	       poll(&p, 1, 0) == 1 && p.revents == POLLIN;
}

static void idle_look(struct check *k)
{
	struct http_report *r = k->r;
	int64_t now = http_now_ms();

	if (k->idle_ended)
		return;
	r->idle_ms = now - k->idle_began;
	r->idle_end = http_socket_end(k->idle.fd);
	if (r->idle_end == HTTP_OPEN && !r->idle_data)
		r->idle_data = spoke(k);
	r->idle_done = r->idle_end != HTTP_OPEN ||
		       r->idle_ms >= k->want->idle_max * 1000;
	if (r->idle_done || now - k->looked >= WAIT_MAX)
		row_look(k, now);
	if (!r->idle_done)
		return;
	k->idle_ended = now;
	if (r->first.close && r->idle_end == HTTP_FIN)
		r->idle_end = HTTP_CLOSE;
}

/* New connections first, then requests on one that stays. */
static void others_begin(struct check *k)
{
	CURL *easy = k->others.easy;
	long fresh = k->nr_fresh < NR_FRESH;

	curl.easy_setopt(easy, CURLOPT_FRESH_CONNECT, fresh);
	curl.easy_setopt(easy, CURLOPT_FORBID_REUSE, fresh);
	curl.easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	k->others.sealed = k->r->nr_requests > 0;
	http_conn_begin(&k->others);
}

static void others_end(struct check *k)
{
	struct http_report *r = k->r;
	struct http_conn *c = &k->others;

	r->requests_done = true;
	r->requests_end = c->header.close && !c->result ? HTTP_CLOSE : c->end;
	/* A second socket was refused it, as the server had closed the first. */
	if (c->sealed && c->result == CURLE_COULDNT_CONNECT && c->end != HTTP_OPEN)
		return;
	if (c->sealed && c->result == CURLE_COULDNT_CONNECT)
		snprintf(c->error, sizeof(c->error), "libcurl does not use the connection again, "
			 "which is open: most likely the server sent more than it said");
	if (c->result)
		snprintf(r->requests_error, sizeof(r->requests_error), "%s", c->error);
}

static void fresh_done(struct check *k)
{
	int64_t connect = http_conn_us(&k->others, CURLINFO_CONNECT_TIME_T);
	int64_t tls = http_conn_us(&k->others, CURLINFO_APPCONNECT_TIME_T);
	size_t n = k->nr_fresh++;

	k->fresh_us[n] = http_conn_us(&k->others, CURLINFO_TOTAL_TIME_T);
	k->connect_us[n] = connect;
	k->tls_us[n] = tls ? tls - connect : 0;
}

static void reused_done(struct check *k)
{
	struct http_report *r = k->r;
	struct http_conn *c = &k->others;

	r->nr_requests++;
	if (r->nr_requests > 1 && k->nr_reused < NR_REUSED)
		k->reused_us[k->nr_reused++] = http_conn_us(c, CURLINFO_TOTAL_TIME_T);
	if (c->header.status != r->first.status && !r->other_status) {
		r->other_status = c->header.status;
		r->other_at = r->nr_requests;
	}
}

/*
 * Request Timeout, to a request that is whole: it was sent when there was none,
 * and came to be read as the response to the next one.
 */
static bool unasked(const struct check *k)
{
	return k->others.sealed && k->others.header.status == REQUEST_TIMEOUT &&
	       k->r->first.status != REQUEST_TIMEOUT;
}

/* A request has ended: count it, and begin the next one. */
static void others_next(struct check *k)
{
	struct http_report *r = k->r;
	struct http_conn *c = &k->others;

	if (!c->result && unasked(k)) {
		c->result = CURLE_RECV_ERROR;
		snprintf(c->error, sizeof(c->error), "the server sent status %d, which it does to "
			 "a connection that it closes",
			 REQUEST_TIMEOUT);
	}
	if (c->result) {
		others_end(k);
		return;
	}
	if (k->idle_ended && c->began < k->idle_ended && http_now_ms() - c->began > SLOW)
		r->in_turn = true;
	if (k->nr_fresh < NR_FRESH)
		fresh_done(k);
	else
		reused_done(k);
	/* Whoever needs longer than that for all of them is not to keep us. */
	if (r->nr_requests && (!http_header_persistent(&c->header) ||
			       r->nr_requests >= k->want->requests ||
			       http_now_ms() - k->idle_began >= k->want->idle_max * 1000))
		others_end(k);
	else
		others_begin(k);
}

/* Who serves one connection at a time gets to us when the idle one has ended. */
static int64_t others_limit(const struct check *k)
{
	int64_t from = k->others.began;

	if (!k->idle_ended)
		return INT64_MAX;
	if (k->idle_ended > from)
		from = k->idle_ended;
	return from + k->want->max_time * 1000;
}

static void measure(struct check *k)
{
	struct http_report *r = k->r;
	int64_t limit;

	others_begin(k);
	while (!intr_caught()) {
		/* Before the others, who may have waited for its end. */
		idle_look(k);
		progress_show(k, http_now_ms());
		if (r->idle_done && r->requests_done)
			break;
		if (!r->requests_done && http_conn_step(&k->others)) {
			others_next(k);
			continue;
		}
		limit = others_limit(k);
		if (!r->requests_done && http_now_ms() >= limit) {
			http_conn_give_up(&k->others, k->want->max_time);
			others_end(k);
			continue;
		}
		if (!k->idle_ended)
			limit = k->idle_began + k->want->idle_max * 1000;
		wait_any(k, limit);
	}
	progress_end(k);
}

static void conclude(struct check *k)
{
	struct http_report *r = k->r;

	r->fresh_us = median(k->fresh_us, k->nr_fresh);
	r->connect_us = median(k->connect_us, k->nr_fresh);
	r->tls_us = median(k->tls_us, k->nr_fresh);
	r->reused_us = median(k->reused_us, k->nr_reused);
}

static enum status run(struct check *k)
{
	enum status st = idle_begin(k);

	if (st)
		return st;
	/* It has no such thing as is to be measured. */
	if (k->r->first.version < 20) {
		st = http_conn_init(&k->others, k->want);
		if (!st)
			measure(k);
	}
	conclude(k);
	return st;
}

/**
 * http_measure - check a server
 * @want: what to check; its URL becomes the one that redirects lead to
 * @r: what is found out, until Ctrl-C or to the end
 *
 * Returns ST_ENOUGH if a signal came before there was anything to report.
 */
enum status http_measure(struct http_want *want, struct http_report *r)
{
	struct check k = { .want = want, .r = r, .idle = { .fd = -1 },
			   .others = { .fd = -1 } };
	sigset_t signals;
	enum status st;

	*r = (struct http_report){ .fresh_us = -1, .reused_us = -1 };
	r->loaded = ka_present();
	k.progress = !ka.quiet && isatty(STDERR_FILENO);
	intr_catch();
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, &k.mask);
	st = run(&k);
	/* libcurl may wait for a resolver that does not answer. */
	sigprocmask(SIG_SETMASK, &k.mask, NULL);
	http_conn_free(&k.idle);
	http_conn_free(&k.others);
	return st;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Metrics over HTTP, by libmicrohttpd. No thread: a namespace is entered by
 * who serves, and one request after another is soon answered.
 *
 * The library is loaded when it is wanted. Linked, it and what it brings would
 * cost each run of kactl four million instructions, more than "kactl stats".
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "accept.h"
#include "intr.h"
#include "kactl.h"
#include "listen.h"
#include "metrics.h"
#include "stats.h"

#define LIBRARY		"libmicrohttpd.so.12"

#define CONNECTIONS	16	/* at once */
#define SILENCE		10	/* seconds that a client may say nothing */
#define LIFETIME	60	/* seconds that it may stay at all */
#define MEMORY		16384	/* bytes, of a connection */

/* What is called of it. */
static struct {
	__typeof__(MHD_start_daemon) *start_daemon;
	__typeof__(MHD_stop_daemon) *stop_daemon;
	__typeof__(MHD_run) *run;
	__typeof__(MHD_get_timeout) *get_timeout;
	__typeof__(MHD_get_daemon_info) *get_daemon_info;
	__typeof__(MHD_get_connection_info) *get_connection_info;
	__typeof__(MHD_lookup_connection_value) *lookup_connection_value;
	__typeof__(MHD_create_response_from_buffer) *create_response_from_buffer;
	__typeof__(MHD_add_response_header) *add_response_header;
	__typeof__(MHD_queue_response) *queue_response;
	__typeof__(MHD_destroy_response) *destroy_response;
} mhd;

static const struct {
	const char *name;
	void *at;
} calls[] = {
	{ "MHD_start_daemon", &mhd.start_daemon },
	{ "MHD_stop_daemon", &mhd.stop_daemon },
	{ "MHD_run", &mhd.run },
	{ "MHD_get_timeout", &mhd.get_timeout },
	{ "MHD_get_daemon_info", &mhd.get_daemon_info },
	{ "MHD_get_connection_info", &mhd.get_connection_info },
	{ "MHD_lookup_connection_value", &mhd.lookup_connection_value },
	{ "MHD_create_response_from_buffer", &mhd.create_response_from_buffer },
	{ "MHD_add_response_header", &mhd.add_response_header },
	{ "MHD_queue_response", &mhd.queue_response },
	{ "MHD_destroy_response", &mhd.destroy_response },
};

/* The connections there are, and since when; fd -1: none. */
static struct client {
	int fd;
	double since;
} clients[CONNECTIONS];

static enum status library_load(void)
{
	void *lib = dlopen(LIBRARY, RTLD_NOW), *found = lib;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(calls) && found; i++) {
		found = dlsym(lib, calls[i].name);
		memcpy(calls[i].at, &found, sizeof(found));
	}
	if (found)
		return ST_DONE;
	return fail(ST_REFUSED, "--listen takes libmicrohttpd (Debian: apt install "
		    "libmicrohttpd12): %s", dlerror());
}

/* ADDR:PORT, both of them numbers; an IPv6 address is in brackets. */
static struct addrinfo *address(const char *word)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
	};
	const char *colon = strrchr(word, ':');
	struct addrinfo *found = NULL;
	bool brackets = *word == '[';
	char host[64];
	size_t len;

	if (!colon || !colon[1] || colon[1 + strspn(colon + 1, "0123456789")] ||
	    strlen(colon + 1) > 5 || atoi(colon + 1) < 1 ||
	    atoi(colon + 1) > 65535)
		return NULL;
	len = (size_t)(colon - word);
	if (brackets && (len < 2 || word[len - 1] != ']'))
		return NULL;
	word += brackets;
	len -= 2 * brackets;
	if (!len || len >= sizeof(host) ||
	    brackets != !!memchr(word, ':', len))
		return NULL;
	memcpy(host, word, len);
	host[len] = '\0';
	return getaddrinfo(host, colon + 1, &hints, &found) ? NULL : found;
}

static bool bound(int fd, const struct addrinfo *ai)
{
	const int on = 1;

	return fd >= 0 &&
	       !setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) &&
	       !bind(fd, ai->ai_addr, ai->ai_addrlen) &&
	       !listen(fd, CONNECTIONS);
}

/**
 * listen_open - make a socket that listens
 * @option: what asked for it
 * @word: ADDR:PORT
 * @fd: the socket
 */
enum status listen_open(const char *option, const char *word, int *fd)
{
	struct addrinfo *ai = address(word);
	enum status st = ST_DONE;

	if (!ai)
		return fail(ST_USAGE, "%s \"%s\": not ADDR:PORT, as in 127.0.0.1:9000 "
			    "or [::1]:9000",
			    option, word);
	*fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		     0);
	if (!bound(*fd, ai)) {
		st = fail(errno == EACCES ? ST_NOT_PERMITTED : ST_REFUSED,
			  "%s %s: %s", option, word, strerror(errno));
		if (*fd >= 0)
			close(*fd);
	}
	freeaddrinfo(ai);
	return st;
}

/* Answer with @text, which is freed if @own, else lives for ever. */
static enum MHD_Result answer(struct MHD_Connection *c, unsigned int code,
			      char *text, size_t len, bool own,
			      const char *type)
{
	enum MHD_Result result;
	struct MHD_Response *r;

	r = mhd.create_response_from_buffer(len, text, own ?
					    MHD_RESPMEM_MUST_FREE :
					    MHD_RESPMEM_PERSISTENT);
	if (!r) {
		if (own)
			free(text);
		return MHD_NO;
	}
	mhd.add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	mhd.add_response_header(r, MHD_HTTP_HEADER_VARY, "Accept");
	if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
		mhd.add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = mhd.queue_response(c, code, r);
	mhd.destroy_response(r);
	return result;
}

static enum MHD_Result say(struct MHD_Connection *c, unsigned int code,
			   const char *text)
{
	return answer(c, code, (char *)text, strlen(text), false,
		      "text/plain; charset=utf-8");
}

static enum MHD_Result serve(struct MHD_Connection *c)
{
	static const char *const types[] = {
		[METRICS_OPEN] =
			"application/openmetrics-text; version=1.0.0; charset=utf-8",
		[METRICS_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
	};
	enum metrics_format format;
	enum status st;
	char *text;
	size_t len;

	format = accept_format(mhd.lookup_connection_value(c, MHD_HEADER_KIND,
							   MHD_HTTP_HEADER_ACCEPT));
	st = metrics_make(format, &text, &len);
	/* What was cut short by a signal is not all there is. */
	if (text && !intr_caught())
		return answer(c, MHD_HTTP_OK, text, len, true, types[format]);
	free(text);
	return say(c, MHD_HTTP_SERVICE_UNAVAILABLE, st == ST_NO_MODULE ?
		   "module tcp_keepalive is not loaded\n" :
		   "no statistics: standard error of kactl says why\n");
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c,
				  const char *url, const char *method,
				  const char *version, const char *data,
				  size_t *size, void **state)
{
	(void)arg;
	(void)version;
	(void)data;
	(void)size;
	(void)state;
	if (strcmp(url, "/metrics") != 0)
		return say(c, MHD_HTTP_NOT_FOUND, "there is /metrics\n");
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
	    strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return say(c, MHD_HTTP_METHOD_NOT_ALLOWED,
			   "there are GET and HEAD\n");
	return serve(c);
}

static void on_client(void *arg, struct MHD_Connection *c, void **state,
		      enum MHD_ConnectionNotificationCode what)
{
	bool begins = what == MHD_CONNECTION_NOTIFY_STARTED;
	const union MHD_ConnectionInfo *info;
	size_t i;

	(void)arg;
	(void)state;
	info = mhd.get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	for (i = 0; info && i < CONNECTIONS; i++)
		if (clients[i].fd == (begins ? -1 : info->connect_fd))
			break;
	if (!info || i == CONNECTIONS)
		return;
	clients[i].fd = begins ? info->connect_fd : -1;
	clients[i].since = stats_clock();
}

/* One that says a little now and then would stay for ever. */
static void clients_end(void)
{
	size_t i;

	for (i = 0; i < CONNECTIONS; i++)
		if (clients[i].fd >= 0 &&
		    stats_clock() - clients[i].since > LIFETIME)
			shutdown(clients[i].fd, SHUT_RDWR);
}

/* Signals are let in while we wait alone, and no answer is cut short. */
static enum status loop(struct MHD_Daemon *d, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	struct timespec ts = { .tv_sec = SILENCE };
	sigset_t signals, mask;
	MHD_UNSIGNED_LONG_LONG ms;
	int n = 0;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, &mask);
	while (!intr_caught() && (n >= 0 || errno == EINTR)) {
		mhd.run(d);
		clients_end();
		ts = (struct timespec){ .tv_sec = SILENCE };
		if (mhd.get_timeout(d, &ms) == MHD_YES && ms < 1000 * SILENCE) {
			ts.tv_sec = (time_t)(ms / 1000);
			ts.tv_nsec = (long)(ms % 1000) * 1000000;
		}
		n = ppoll(&pfd, 1, &ts, &mask);
	}
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (!intr_caught())
		return fail(ST_REFUSED, "poll: %s", strerror(errno));
	/* It is how this command is meant to end. */
	intr_forget();
	return ST_DONE;
}

/* Answer what comes in at a socket, which is closed, until Ctrl-C or SIGTERM. */
enum status listen_serve(int fd)
{
	const union MHD_DaemonInfo *info;
	struct MHD_Daemon *d = NULL;
	enum status st;
	size_t i;

	for (i = 0; i < CONNECTIONS; i++)
		clients[i].fd = -1;
	intr_catch();
	st = library_load();
	if (!st)
		d = mhd.start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request,
				     NULL, MHD_OPTION_LISTEN_SOCKET, fd,
				     MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS,
				     MHD_OPTION_CONNECTION_TIMEOUT, SILENCE,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				     (size_t)MEMORY,
				     MHD_OPTION_NOTIFY_CONNECTION, on_client,
				     NULL, MHD_OPTION_END);
	if (!d) {
		close(fd);
		return st ? st : fail(ST_REFUSED, "libmicrohttpd does not start");
	}
	info = mhd.get_daemon_info(d, MHD_DAEMON_INFO_EPOLL_FD);
	st = info ? loop(d, info->epoll_fd) :
		    fail(ST_REFUSED, "libmicrohttpd has no epoll");
	mhd.stop_daemon(d);
	return st;
}

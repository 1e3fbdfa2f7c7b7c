// SPDX-License-Identifier: GPL-2.0
/*
 * Requests by libcurl, and what becomes of their connections. The sockets are
 * ours: libcurl says neither who closed one, nor how.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http.h"
#include "http_conn.h"
#include "http_curl.h"
#include "kactl.h"

#define RESPONSE_MAX	(16 * 1024 * 1024)	/* bytes: whoever sends more may send for ever */
#define HEADER_MAX	(1024 * 1024)
#define REDIRECTS_MAX	50L		/* as curl has it */

int64_t http_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int tcp_state(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return -1;
	return info.tcpi_state;
}

bool http_socket_is_tcp(int fd)
{
	return tcp_state(fd) >= 0;
}

/*
 * How a socket that we have not closed stands. The error of a reset may have
 * been read by libcurl, but TCP is closed at once then; after a FIN it is not.
 */
enum http_end http_socket_end(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };
	socklen_t len = sizeof(int);
	int err = 0;

	if (poll(&p, 1, 0) <= 0)
		return HTTP_OPEN;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err && err != ECONNRESET && err != EPIPE)
		return HTTP_LOST;
	if (err || tcp_state(fd) == TCP_CLOSE)
		return HTTP_RST;
	return HTTP_FIN;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose,
			     struct curl_sockaddr *addr)
{
	struct http_conn *c = arg;

	(void)purpose;
	if (c->sealed)
		return CURL_SOCKET_BAD;
	c->answered = false;
	c->end = HTTP_OPEN;
	return socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
}

/* As programs do that leave the rest to the policy. */
static int on_made(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	const int on = 1;

	(void)arg;
	(void)purpose;
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	return CURL_SOCKOPT_OK;
}

static int on_close(void *arg, curl_socket_t fd)
{
	struct http_conn *c = arg;

	/* Else it may be one that lost the race of two addresses. */
	if (c->answered)
		c->end = http_socket_end(fd);
	if (c->keep && c->fd < 0 && c->answered)
		c->fd = fd;
	else if (fd != c->fd)
		close(fd);
	return 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct http_conn *c = arg;

	(void)data;
	c->bytes += (int64_t)(size * n);
	c->too_long = c->bytes > RESPONSE_MAX;
	return c->too_long ? 0 : size * n;
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct http_conn *c = arg;

	c->answered = true;
	http_header_line(&c->header, line, size * n);
	c->bytes += (int64_t)(size * n);
	/* What follows the content is of the header, too. */
	c->too_long = c->bytes > (c->header.ended ? RESPONSE_MAX : HEADER_MAX);
	return c->too_long ? 0 : size * n;
}

/* Only a proxy is asked for a URL with a host in it; of SOCKS libcurl tells in words alone. */
static int on_debug(CURL *easy, curl_infotype type, char *data, size_t size,
		    void *arg)
{
	struct http_conn *c = arg;
	const char *word;

	(void)easy;
	if (type == CURLINFO_TEXT && size > strlen("SOCKS") &&
	    !strncmp(data, "SOCKS", strlen("SOCKS")))
		c->socks = true;
	if (type != CURLINFO_HEADER_OUT)
		return 0;
	word = memchr(data, ' ', size);
	if (word && strncmp(data, "CONNECT ", strlen("CONNECT ")) != 0)
		c->absolute = (size_t)(word + 1 - data) < size && word[1] != '/';
	return 0;
}

static void set_protocols(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
	curl.easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
	curl.easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
}

static void set_wishes(CURL *easy, const struct http_want *want)
{
	curl.easy_setopt(easy, CURLOPT_URL, want->url);
	curl.easy_setopt(easy, CURLOPT_HTTP_VERSION, want->version);
	curl.easy_setopt(easy, CURLOPT_IPRESOLVE, want->family);
	curl.easy_setopt(easy, CURLOPT_HTTPHEADER, want->headers);
	curl.easy_setopt(easy, CURLOPT_RESOLVE, want->resolve);
	curl.easy_setopt(easy, CURLOPT_NOBODY, (long)want->head);
	curl.easy_setopt(easy, CURLOPT_USERAGENT, "kactl/" VERSION);
	if (want->unix_socket)
		curl.easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, want->unix_socket);
	if (want->proxy)
		curl.easy_setopt(easy, CURLOPT_PROXY, want->proxy);
	if (want->noproxy)
		curl.easy_setopt(easy, CURLOPT_NOPROXY, want->noproxy);
	if (want->cacert)
		curl.easy_setopt(easy, CURLOPT_CAINFO, want->cacert);
	if (want->insecure) {
		curl.easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl.easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

static void set_callbacks(struct http_conn *c)
{
	CURL *easy = c->easy;

	curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl.easy_setopt(easy, CURLOPT_ERRORBUFFER, c->error);
	curl.easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
	curl.easy_setopt(easy, CURLOPT_OPENSOCKETDATA, c);
	curl.easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_made);
	curl.easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close);
	curl.easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, c);
	curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl.easy_setopt(easy, CURLOPT_WRITEDATA, c);
	curl.easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl.easy_setopt(easy, CURLOPT_HEADERDATA, c);
	curl.easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl.easy_setopt(easy, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	set_protocols(easy);
}

enum status http_conn_init(struct http_conn *c, const struct http_want *want)
{
	*c = (struct http_conn){ .fd = -1 };
	c->easy = curl.easy_init();
	c->multi = curl.multi_init();
	if (!c->easy || !c->multi)
		return fail(ST_REFUSED, "%s", strerror(ENOMEM));
	set_wishes(c->easy, want);
	set_callbacks(c);
	return ST_DONE;
}

/* What debugging says costs a little, so only a first request is to have it. */
void http_conn_watch(struct http_conn *c)
{
	curl.easy_setopt(c->easy, CURLOPT_DEBUGFUNCTION, on_debug);
	curl.easy_setopt(c->easy, CURLOPT_DEBUGDATA, c);
	curl.easy_setopt(c->easy, CURLOPT_VERBOSE, 1L);
}

void http_conn_free(struct http_conn *c)
{
	c->keep = false;
	if (c->busy)
		curl.multi_remove_handle(c->multi, c->easy);
	if (c->multi)
		curl.multi_cleanup(c->multi);
	if (c->easy)
		curl.easy_cleanup(c->easy);
	if (c->fd >= 0)
		close(c->fd);
	/* It may be freed again. */
	*c = (struct http_conn){ .fd = -1 };
}

/* Begin a request; one that cannot be is one that ended. */
void http_conn_begin(struct http_conn *c)
{
	CURLMcode err;

	c->header = (struct http_header){ .timeout = -1, .max = -1 };
	c->bytes = 0;
	c->too_long = false;
	c->error[0] = '\0';
	c->began = http_now_ms();
	err = curl.multi_add_handle(c->multi, c->easy);
	c->busy = !err;
	if (err) {
		c->result = CURLE_FAILED_INIT;
		snprintf(c->error, sizeof(c->error), "%s", curl.multi_strerror(err));
	}
}

static void explain(struct http_conn *c)
{
	if (c->result == CURLE_GOT_NOTHING)
		snprintf(c->error, sizeof(c->error), "the connection was closed without an answer");
	else if (c->too_long)
		snprintf(c->error, sizeof(c->error),
			 "the response does not end: gave up after %" PRId64 " bytes%s",
			 c->bytes, c->header.status ? " (--head asks for the header alone)" : "");
	else if (!*c->error)
		snprintf(c->error, sizeof(c->error), "%s", curl.easy_strerror(c->result));
}

/*
 * Have the socket that libcurl has for the next request; where there is to be
 * none it has closed it, and on_close() kept it.
 */
static void keep_socket(struct http_conn *c)
{
	curl_socket_t fd = CURL_SOCKET_BAD;

	curl.easy_getinfo(c->easy, CURLINFO_ACTIVESOCKET, &fd);
	if (fd != CURL_SOCKET_BAD && c->fd < 0)
		c->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* Go on with the request; true if it has ended. */
bool http_conn_step(struct http_conn *c)
{
	int running = 0, left;
	CURLMsg *msg;

	if (!c->busy)
		return true;
	curl.multi_perform(c->multi, &running);
	msg = curl.multi_info_read(c->multi, &left);
	if (!msg || msg->msg != CURLMSG_DONE)
		return false;
	c->result = msg->data.result;
	c->busy = false;
	if (c->keep && !c->result)
		keep_socket(c);
	curl.multi_remove_handle(c->multi, c->easy);
	if (c->result)
		explain(c);
	return true;
}

/* The request has taken too long. */
void http_conn_give_up(struct http_conn *c, int64_t seconds)
{
	curl.multi_remove_handle(c->multi, c->easy);
	c->busy = false;
	c->result = CURLE_OPERATION_TIMEDOUT;
	if (c->bytes)
		snprintf(c->error, sizeof(c->error),
			 "no whole response within %" PRId64 " s, but %" PRId64 " bytes of it",
			 seconds, c->bytes);
	else
		snprintf(c->error, sizeof(c->error),
			 "no line of an answer within %" PRId64 " s", seconds);
}

/* A time that libcurl took of the last request. */
int64_t http_conn_us(struct http_conn *c, CURLINFO info)
{
	curl_off_t us = 0;

	curl.easy_getinfo(c->easy, info, &us);
	return us;
}

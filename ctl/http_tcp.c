// SPDX-License-Identifier: GPL-2.0
/*
 * What the module has of a socket of ours.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include <linux/tcp_keepalive.h>

#include "attr.h"
#include "http_tcp.h"
#include "kactl.h"
#include "match.h"
#include "nl.h"
#include "parse.h"

/* An address and a port as words of a filter. */
struct end {
	char addr[INET6_ADDRSTRLEN];
	char port[8];
};

struct read {
	struct http_tcp *row;
	bool found;
};

static bool end_of(const struct sockaddr_storage *ss, struct end *e)
{
	const struct sockaddr_in6 *in6 = (const void *)ss;
	const struct sockaddr_in *in = (const void *)ss;
	int family = ss->ss_family;
	const void *addr;
	in_port_t port;

	if (ss->ss_family == AF_INET) {
		addr = &in->sin_addr;
		port = in->sin_port;
	} else if (ss->ss_family == AF_INET6) {
		addr = &in6->sin6_addr;
		port = in6->sin6_port;
		/* IPv4, whatever its socket is. */
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
			family = AF_INET;
			addr = &in6->sin6_addr.s6_addr[12];
		}
	} else {
		return false;
	}
	snprintf(e->port, sizeof(e->port), "%u", ntohs(port));
	return inet_ntop(family, addr, e->addr, sizeof(e->addr));
}

static enum status row_read(struct nlattr *attrs, int len, void *arg)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_CONN_MAX + 1];
	struct read *read = arg;
	struct http_tcp *row = read->row;

	attr_table(tb, TCP_KEEPALIVE_A_CONN_MAX, attrs, len);
	*row = (struct http_tcp){ 0 };
	attr_uint(tb[TCP_KEEPALIVE_A_CONN_KEEPALIVE], &row->keepalive);
	attr_int(tb[TCP_KEEPALIVE_A_CONN_TIME], &row->time);
	attr_int(tb[TCP_KEEPALIVE_A_CONN_INTVL], &row->intvl);
	attr_uint(tb[TCP_KEEPALIVE_A_CONN_PROBES], &row->probes);
	attr_uint(tb[TCP_KEEPALIVE_A_CONN_SOURCE], &row->source);
	attr_uint(tb[TCP_KEEPALIVE_A_CONN_SENT], &row->sent);
	attr_uint(tb[TCP_KEEPALIVE_A_CONN_ANSWERED], &row->answered);
	attr_uint(tb[TCP_KEEPALIVE_A_CONN_LOST], &row->lost);
	read->found = true;
	return ST_ENOUGH;
}

static bool ask(const struct filter *filter, struct http_tcp *row)
{
	struct read read = { .row = row };
	struct request req;

	if (ka_connect(false))
		return false;
	if (!request_init(&req, TCP_KEEPALIVE_CMD_CONN_GET)) {
		request_dump(&req);
		filter_put(filter, &req, TCP_KEEPALIVE_A_CONN_MATCH,
			   TCP_KEEPALIVE_A_CONN_IDLE_MIN);
		request_send(&req, row_read, &read);
	}
	ka_disconnect();
	return read.found;
}

static bool ends_of(int fd, struct end *local, struct end *remote)
{
	struct sockaddr_storage here = { 0 }, there = { 0 };
	socklen_t n = sizeof(here), m = sizeof(there);

	return !getsockname(fd, (struct sockaddr *)&here, &n) &&
	       !getpeername(fd, (struct sockaddr *)&there, &m) &&
	       end_of(&here, local) && end_of(&there, remote);
}

/* Between which two a socket is, in words. */
void http_tcp_ends(int fd, char *text, size_t size)
{
	struct end local, remote;

	if (ends_of(fd, &local, &remote))
		snprintf(text, size, "%s port %s and %s port %s", local.addr, local.port,
			 remote.addr, remote.port);
	else
		snprintf(text, size, "(gone)");
}

/* The module is loaded. False if it does not show the socket, or no more. */
bool http_tcp_read(int fd, struct http_tcp *row)
{
	struct filter filter = { 0 };
	struct end local, remote;
	char *words[] = { "local", local.addr, "lport", local.port,
			  "remote", remote.addr, "rport", remote.port, NULL };
	struct args a = { words };

	if (!ends_of(fd, &local, &remote))
		return false;
	while (*a.word)
		if (filter_parse(&filter, &a))
			return false;
	return ask(&filter, row);
}

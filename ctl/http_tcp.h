/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HTTP_TCP_H
#define HTTP_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct http_tcp - keepalive of a connection, as kactl conn has it
 * @keepalive: it is on
 * @time: and its values
 * @intvl: likewise
 * @probes: likewise
 * @source: of @time: TCP_KEEPALIVE_SOURCE_...
 * @sent: probes
 * @answered: of those
 * @lost: of those
 */
struct http_tcp {
	uint64_t keepalive;
	int64_t time;
	int64_t intvl;
	uint64_t probes;
	uint64_t source;
	uint64_t sent;
	uint64_t answered;
	uint64_t lost;
};

#define HTTP_ENDS_MAX	128

void http_tcp_ends(int fd, char *text, size_t size);
bool http_tcp_read(int fd, struct http_tcp *row);

#endif /* HTTP_TCP_H */

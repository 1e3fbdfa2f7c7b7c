/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HTTP_CONN_H
#define HTTP_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "http.h"
#include "http_curl.h"
#include "http_header.h"
#include "kactl.h"

/**
 * struct http_conn - requests of one kind, one after another
 * @easy: libcurl's handle of the request
 * @multi: and of the connections
 * @sealed: no other connection is to be made than the one there is
 * @keep: when libcurl closes the socket it stays open, as @fd
 * @fd: the socket, or -1
 * @answered: something was heard on the connection
 * @end: how the last connection that libcurl closed stood then
 * @busy: a request is under way
 * @began: when it did, in milliseconds
 * @result: how it ended
 * @header: of its response
 * @bytes: of its response, so far
 * @too_long: those were too many
 * @absolute: its request line had a URL in it: it went to a proxy
 * @socks: it goes through a proxy that knows nothing of HTTP
 * @error: what went wrong
 */
struct http_conn {
	CURL *easy;
	CURLM *multi;
	bool sealed;
	bool keep;
	int fd;
	bool answered;
	enum http_end end;
	bool busy;
	int64_t began;
	CURLcode result;
	struct http_header header;
	int64_t bytes;
	bool too_long;
	bool absolute;
	bool socks;
	char error[CURL_ERROR_SIZE];
};

int64_t http_now_ms(void);
enum http_end http_socket_end(int fd);
bool http_socket_is_tcp(int fd);

enum status http_conn_init(struct http_conn *c, const struct http_want *want);
void http_conn_free(struct http_conn *c);
void http_conn_watch(struct http_conn *c);
void http_conn_begin(struct http_conn *c);
bool http_conn_step(struct http_conn *c);
void http_conn_give_up(struct http_conn *c, int64_t seconds);
int64_t http_conn_us(struct http_conn *c, CURLINFO info);

#endif /* HTTP_CONN_H */

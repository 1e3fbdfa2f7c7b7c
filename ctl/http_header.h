/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HTTP_HEADER_H
#define HTTP_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_FIELD_MAX	256	/* of a field's lines together; what is beyond is cut off */
#define HTTP_WORD_MAX	48

/**
 * struct http_field - the lines of one header field, as a list
 * @there: the response has it
 * @cut: it was longer than there is room for
 * @text: its lines, joined by commas
 */
struct http_field {
	bool there;
	bool cut;
	char text[HTTP_FIELD_MAX];
};

/**
 * struct http_header - what a response says of its connection
 * @version: 10 or 11 for HTTP/1.0 or HTTP/1.1, 20 for HTTP/2; 0: no status line
 * @status: the number of the status line
 * @connection: the field Connection
 * @keep_alive: the field Keep-Alive
 * @close: Connection has the option close
 * @stay: Connection has the option keep-alive
 * @timeout: of Keep-Alive, seconds, or -1
 * @max: of Keep-Alive, requests, or -1
 * @silly: a parameter whose value cannot be meant, or an empty string
 * @last: the field of the line before, or NULL; lines that are folded go on with it
 */
struct http_header {
	int version;
	int status;
	struct http_field connection;
	struct http_field keep_alive;
	bool close;
	bool stay;
	int64_t timeout;
	int64_t max;
	char silly[HTTP_WORD_MAX];
	struct http_field *last;
};

void http_header_line(struct http_header *h, const char *line, size_t len);
bool http_header_persistent(const struct http_header *h);

#endif /* HTTP_HEADER_H */

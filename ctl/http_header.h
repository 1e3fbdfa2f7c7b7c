/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HTTP_HEADER_H
#define HTTP_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_FIELD_MAX	256	/* of an element, and of what is shown; what is beyond is cut off */
#define HTTP_WORD_MAX	48

/**
 * struct http_field - a header field that is a list, as it is read
 * @there: the response has it
 * @quoted: what comes next is in quotes
 * @escaped: and after a backslash
 * @cut: the element is longer than there is room for
 * @len: length of @text
 * @text: the element that is being read
 */
struct http_field {
	bool there;
	bool quoted;
	bool escaped;
	bool cut;
	size_t len;
	char text[HTTP_FIELD_MAX];
};

/**
 * struct http_header - what a response says of its connection
 * @version: 10 or 11 for HTTP/1.0 or HTTP/1.1, 20 for HTTP/2; 0: no status line
 * @status: the number of the status line
 * @ended: the header has; fields that follow are trailers, after the content
 * @connection: the field Connection
 * @keep_alive: the field Keep-Alive
 * @shown: the lines of Connection, joined by commas
 * @shown_cut: there are more than there is room for
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
	bool ended;
	struct http_field connection;
	struct http_field keep_alive;
	char shown[HTTP_FIELD_MAX];
	bool shown_cut;
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

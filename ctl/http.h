/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "http_curl.h"
#include "http_header.h"
#include "http_tcp.h"
#include "kactl.h"
#include "middlebox.h"

#define HTTP_SECONDS_MAX	(7 * 24 * 3600)	/* of idleness, or of a request */

/**
 * struct http_want - what is to be checked, and how
 * @url: of the command line; once a first request was answered, where it led to
 * @shown: the same without its password
 * @unix_socket: path of the socket to connect to, or NULL
 * @proxy: as the command line has it, or NULL for what the environment says
 * @noproxy: hosts for which there is none, or NULL likewise
 * @cacert: file of certificates to trust, or NULL
 * @headers: lines to send
 * @resolve: addresses of hosts, for libcurl
 * @version: CURL_HTTP_VERSION_...
 * @family: CURL_IPRESOLVE_...
 * @head: ask for the header alone
 * @insecure: take any certificate
 * @location: follow redirects
 * @layers: show the comparison with TCP's keepalive
 * @idle_max: seconds of idleness after which the check waits no longer
 * @max_time: seconds after which a request has failed
 * @requests: on one connection at the most
 * @behind: what stands before the server, if @behind_word
 * @behind_word: how the command line named it, or NULL
 */
struct http_want {
	char *url;
	char *shown;
	const char *unix_socket;
	const char *proxy;
	const char *noproxy;
	const char *cacert;
	struct curl_slist *headers;
	struct curl_slist *resolve;
	long version;
	long family;
	bool head;
	bool insecure;
	bool location;
	bool layers;
	int64_t idle_max;
	int64_t max_time;
	int64_t requests;
	struct middlebox behind;
	const char *behind_word;
};

/* How a connection ended. */
enum http_end {
	HTTP_OPEN,		/* it has not, or we closed it */
	HTTP_CLOSE,		/* the server had said Connection: close */
	HTTP_FIN,		/* the server closed it */
	HTTP_RST,		/* the server reset it */
	HTTP_LOST,		/* TCP here gave it up, or was told that there is no way */
};

/**
 * struct http_report - what was found out
 * @first: header of the first response
 * @redirected: the first response is that of another URL
 * @proxied: requests go to a proxy, which answers them
 * @tunnelled: a proxy passes on what is sent, by CONNECT or SOCKS
 * @idle_done: the idle connection ended, or was idle for as long as was asked
 * @idle_ms: for how long it was idle
 * @idle_end: how it ended
 * @idle_data: the server sent something while it was idle
 * @nr_requests: responses on one connection
 * @requests_done: there will be no more of them
 * @requests_end: how that connection ended
 * @requests_error: why the last request had no response, or an empty string
 * @other_status: the first status that is not that of the first response, or 0
 * @other_at: of which request
 * @in_turn: others had to wait until the idle connection had ended
 * @fresh_us: time of a request on a new connection, or -1
 * @connect_us: of that, setting up the TCP connection
 * @tls_us: and TLS
 * @reused_us: time of a request on a connection that was there, or -1
 * @on_tcp: the connection is one of TCP
 * @ends: of the idle one, addresses and ports
 * @loaded: the module is
 * @row_there: @row was read
 * @row: the idle connection as the module has it, as it was last seen
 */
struct http_report {
	struct http_header first;
	bool redirected;
	bool proxied;
	bool tunnelled;
	bool idle_done;
	int64_t idle_ms;
	enum http_end idle_end;
	bool idle_data;
	int64_t nr_requests;
	bool requests_done;
	enum http_end requests_end;
	char requests_error[CURL_ERROR_SIZE];
	int other_status;
	int64_t other_at;
	bool in_turn;
	int64_t fresh_us;
	int64_t connect_us;
	int64_t tls_us;
	int64_t reused_us;
	bool on_tcp;
	char ends[HTTP_ENDS_MAX];
	bool loaded;
	bool row_there;
	struct http_tcp row;
};

enum status http_url_set(struct http_want *want, const char *url);
enum status http_url_follow(struct http_want *want, const char *url);
enum status http_proxy_check(const char *word);
enum status http_resolve_check(const char *word);
enum status http_measure(struct http_want *want, struct http_report *r);

const char *http_version_name(int version);
bool http_persistent(const struct http_report *r);
bool http_server_ended(const struct http_report *r);
int64_t http_safe_ms(const struct http_report *r);
void http_advise(const struct http_want *want, const struct http_report *r);
void http_layers_out(const struct http_report *r);

#endif /* HTTP_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * kactl http: the other keep-alive, that of HTTP: what a server says of it, and
 * what it does.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <linux/tcp_keepalive.h>

#include "http.h"
#include "http_curl.h"
#include "intr.h"
#include "kactl.h"
#include "middlebox.h"
#include "out.h"
#include "parse.h"

#define IDLE_MAX	120	/* seconds; what most servers stay below */
#define REQUESTS	1000
#define MAX_TIME	30
#define REQUESTS_MAX	INT32_MAX

static const char *end_name(enum http_end end)
{
	switch (end) {
	case HTTP_CLOSE:
		return "server-close";
	case HTTP_FIN:
		return "server-fin";
	case HTTP_RST:
		return "server-rst";
	case HTTP_LOST:
		return "network";
	default:
		return NULL;
	}
}

const char *http_version_name(int version)
{
	switch (version) {
	case 10:
		return "1.0";
	case 11:
		return "1.1";
	case 20:
		return "2";
	default:
		return "unknown";
	}
}

static void switch_out(const char *name, bool on)
{
	if (ka.json)
		out_switch(name, on);
}

static void count_out(const char *name, int64_t value, const char *gloss)
{
	if (value < 0)
		out_null(name);
	else
		out_uint(name, (uint64_t)value, gloss);
}

static void said_out(const struct http_header *h)
{
	if (h->connection.there)
		out_str("connection_header", h->shown);
	else
		out_null("connection_header");
	if (!ka.json && !h->keep_alive.there)
		out_null("keep_alive");
	out_nest("keep_alive");
	if (h->timeout >= 0)
		out_uint("timeout", (uint64_t)h->timeout, "seconds, says Keep-Alive");
	if (h->max >= 0)
		out_uint("max", (uint64_t)h->max, "requests, says Keep-Alive");
	out_nest_end();
}

static const char *idle_gloss(const struct http_report *r)
{
	switch (r->idle_end) {
	case HTTP_CLOSE:
	case HTTP_FIN:
		return "idle for so long, then the server closed it";
	case HTTP_RST:
		return "idle for so long, then the server reset it";
	case HTTP_LOST:
		return "idle for so long, then TCP here gave it up";
	default:
		return "at least: idle for so long, and still open";
	}
}

static void measured_out(const struct http_report *r)
{
	bool stays = http_persistent(r) && r->first.version < 20;
	bool more = stays && r->requests_end == HTTP_OPEN && !r->requests_error[0];
	const char *end = r->first.version < 20 ? end_name(r->idle_end) : NULL;

	out_nest("measured");
	count_out("idle_timeout_ms", stays ? r->idle_ms : -1, idle_gloss(r));
	switch_out("idle_capped", stays && !http_server_ended(r));
	count_out("max_requests", r->nr_requests ? r->nr_requests : -1,
		  more ? "at least: so many on one connection, and still open" :
		  "on one connection, then it ended");
	switch_out("requests_capped", more);
	if (end)
		out_name("closed_by", end);
	else
		out_null("closed_by");
	out_nest_end();
}

static void time_out(const char *name, int64_t us, const char *gloss)
{
	if (us < 0)
		out_null(name);
	else
		out_milli(name, us, gloss);
}

static void tcp_text(const struct http_report *r)
{
	char text[128];

	if (!r->on_tcp) {
		out_name("tcp", "none: a unix socket");
		return;
	}
	if (!r->row_there) {
		out_name("tcp", r->loaded ? "not shown by the module" : "not known: module not "
			 "loaded");
		return;
	}
	snprintf(text, sizeof(text), "%" PRIu64 " probes sent, %" PRIu64 " answered, %" PRIu64 " "
		 "lost while it was idle",
		 r->row.sent, r->row.answered, r->row.lost);
	out_name("tcp", text);
}

static void tcp_out(const struct http_report *r)
{
	static const char *const sources[] = {
		[TCP_KEEPALIVE_SOURCE_NETNS]	= "netns",
		[TCP_KEEPALIVE_SOURCE_PROGRAM]	= "program",
		[TCP_KEEPALIVE_SOURCE_RULE]	= "rule",
	};
	const struct http_tcp *row = &r->row;

	if (!ka.json) {
		tcp_text(r);
		return;
	}
	if (!r->on_tcp) {
		out_null("tcp");
		return;
	}
	out_nest("tcp");
	out_switch("loaded", r->loaded);
	if (r->row_there) {
		out_switch("keepalive", row->keepalive);
		out_int("time", row->time, NULL);
		out_int("intvl", row->intvl, NULL);
		out_uint("probes", row->probes, NULL);
		if (row->source < ARRAY_SIZE(sources))
			out_name("source", sources[row->source]);
		else
			out_uint("source", row->source, NULL);
		out_uint("sent", row->sent, NULL);
		out_uint("answered", row->answered, NULL);
		out_uint("lost", row->lost, NULL);
	}
	out_nest_end();
}

static void report_out(const struct http_want *want, const struct http_report *r)
{
	out_object();
	out_str("url", want->shown);
	out_name("http_version", http_version_name(r->first.version));
	out_switch("persistent", http_persistent(r));
	said_out(&r->first);
	measured_out(r);
	time_out("fresh_ms", r->fresh_us, "a request on a new connection");
	time_out("reused_ms", r->reused_us, "a request on one that is there");
	count_out("safe_reuse_ms", http_safe_ms(r), "may be reused if idle for less");
	tcp_out(r);
	if (ka.json)
		out_array("advice");
	else if (want->layers)
		http_layers_out(r);
	if (!ka.json)
		out_text("\n");
	http_advise(want, r);
	if (ka.json)
		out_array_end();
	out_object_end();
}

static enum status parse_number(struct args *a, const char *name, int64_t max, int64_t *value)
{
	const char *word;
	enum status st = args_value(a, name, &word);

	return st ? st : parse_count(name, word, max, value);
}

static enum status parse_list(struct args *a, const char *name, struct curl_slist **list)
{
	struct curl_slist *more;
	const char *word;
	enum status st = args_value(a, name, &word);

	if (st)
		return st;
	more = curl.slist_append(*list, word);
	if (!more)
		return fail(ST_REFUSED, "%s: no memory", name);
	*list = more;
	return ST_DONE;
}

/* Whether the connection stays is what we ask for, so no other is to say it. */
static enum status parse_header(struct args *a, struct http_want *want)
{
	static const char *const ours[] = { "connection:", "keep-alive:" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ours); i++)
		if (*a->word && !strncasecmp(*a->word, ours[i], strlen(ours[i])))
			return fail(ST_USAGE, "--header \"%s\": the check sends its own", *a->word);
	if (*a->word && !strchr(*a->word, ':'))
		return fail(ST_USAGE, "--header \"%s\": not NAME: VALUE", *a->word);
	return parse_list(a, "--header", &want->headers);
}

static enum status parse_resolve(struct args *a, struct http_want *want)
{
	enum status st = *a->word ? http_resolve_check(*a->word) : ST_DONE;

	return st ? st : parse_list(a, "--resolve", &want->resolve);
}

static enum status parse_behind(struct args *a, struct http_want *want)
{
	enum status st = args_once(a, "--behind", &want->behind_word);

	return st ? st : middlebox_parse("--behind", want->behind_word, &want->behind);
}

static enum status parse_proxy(struct args *a, struct http_want *want)
{
	enum status st = args_once(a, "--proxy", &want->proxy);

	return st ? st : http_proxy_check(want->proxy);
}

static bool take(struct args *a, const char *name, const char *letter)
{
	return args_take(a, name) || args_take(a, letter);
}

/* Options that have no value. */
static bool take_switch(struct args *a, struct http_want *want)
{
	if (take(a, "--http1.0", "-0"))
		want->version = CURL_HTTP_VERSION_1_0;
	else if (args_take(a, "--http1.1"))
		want->version = CURL_HTTP_VERSION_1_1;
	else if (take(a, "--ipv4", "-4"))
		want->family = CURL_IPRESOLVE_V4;
	else if (take(a, "--ipv6", "-6"))
		want->family = CURL_IPRESOLVE_V6;
	else if (take(a, "--head", "-I"))
		want->head = true;
	else if (take(a, "--insecure", "-k"))
		want->insecure = true;
	else if (take(a, "--location", "-L"))
		want->location = true;
	else if (args_take(a, "--layers"))
		want->layers = true;
	else
		return false;
	return true;
}

static enum status parse_word(struct args *a, struct http_want *want, const char **url)
{
	if (take_switch(a, want))
		return ST_DONE;
	if (args_take(a, "--idle-max"))
		return parse_number(a, "--idle-max", HTTP_SECONDS_MAX, &want->idle_max);
	if (args_take(a, "--requests"))
		return parse_number(a, "--requests", REQUESTS_MAX, &want->requests);
	if (take(a, "--max-time", "-m"))
		return parse_number(a, "--max-time", HTTP_SECONDS_MAX, &want->max_time);
	if (args_take(a, "--behind"))
		return parse_behind(a, want);
	if (args_take(a, "--cacert"))
		return args_once(a, "--cacert", &want->cacert);
	if (take(a, "--header", "-H"))
		return parse_header(a, want);
	if (take(a, "--proxy", "-x"))
		return parse_proxy(a, want);
	if (args_take(a, "--noproxy"))
		return args_once(a, "--noproxy", &want->noproxy);
	if (args_take(a, "--resolve"))
		return parse_resolve(a, want);
	if (args_take(a, "--unix-socket"))
		return args_once(a, "--unix-socket", &want->unix_socket);
	if (*url || **a->word == '-')
		return args_unknown(a);
	*url = *a->word++;
	return ST_DONE;
}

static enum status parse(struct args *a, struct http_want *want)
{
	struct curl_slist *more;
	const char *url = NULL;
	enum status st = ST_DONE;

	while (*a->word && !st)
		st = parse_word(a, want, &url);
	if (st)
		return st;
	if (!url)
		return fail(ST_USAGE, "no URL given");
	if (ka.all_netns)
		return fail(ST_USAGE, "--all-netns: a server is checked from one network "
			    "namespace");
	more = curl.slist_append(want->headers, "Connection: keep-alive");
	if (!more)
		return fail(ST_REFUSED, "no memory");
	want->headers = more;
	return http_url_set(want, url);
}

static enum status check(struct http_want *want)
{
	struct http_report r;
	enum status st = http_measure(want, &r);

	/* A signal came before there was anything to say. */
	if (st == ST_ENOUGH)
		return ST_DONE;
	if (st)
		return st;
	report_out(want, &r);
	/* It is a way to say that what is known is enough. */
	if (intr_caught() == SIGINT)
		intr_forget();
	return ST_DONE;
}

static enum status http_check(struct args *a)
{
	struct http_want want = {
		.version	= CURL_HTTP_VERSION_2TLS,
		.family		= CURL_IPRESOLVE_WHATEVER,
		.idle_max	= IDLE_MAX,
		.max_time	= MAX_TIME,
		.requests	= REQUESTS,
	};
	enum status st = curl_load();

	if (st)
		return st;
	st = parse(a, &want);
	if (!st)
		st = check(&want);
	free(want.url);
	free(want.shown);
	curl.slist_free_all(want.headers);
	curl.slist_free_all(want.resolve);
	return st;
}

static enum status http_behind(struct args *a)
{
	static const char *const layers[] = {
		[MIDDLEBOX_TCP] = "tcp", [MIDDLEBOX_HTTP] = "http",
	};
	const struct middlebox *box = NULL;
	enum status st = args_end(a);

	while (!st && (box = middlebox_next(box))) {
		out_object();
		out_name("name", box->name);
		out_str("what", box->what);
		out_name("layer", layers[box->layer]);
		out_int("idle", box->idle, "seconds");
		out_str("then", box->then);
		out_str("source", box->source);
		out_name("checked", box->checked);
		out_object_end();
	}
	return st;
}

static const struct verb verbs[] = {
	{
		.name	= "check",
		.args	= "URL [--idle-max SECONDS] [--requests N] [--behind SECONDS|NAME] "
			  "[--layers] "
			  "[--http1.0] [--http1.1] [--head] [--location] [--max-time SECONDS] "
			  "[--header LINE] [--insecure] [--cacert FILE] [--proxy URL] [--noproxy "
			  "HOSTS] "
			  "[--unix-socket PATH] [--resolve HOST:PORT:ADDRESS] [--ipv4] [--ipv6]",
		.run	= http_check,
		.help	= "Test the keep-alive of an HTTP server: what it says of it, and what "
			  "it does:\n"
			  "for how long it keeps an idle connection, how many requests it takes "
			  "on one,\n"
			  "who ends it and how, what reuse saves, and for how long reuse is "
			  "safe. Takes as\n"
			  "long as the server lets a connection idle; Ctrl-C shows what is known "
			  "by then.\n"
			  "  --idle-max SECONDS  wait no longer than that for the server's close "
			  "(120)\n"
			  "  --requests N        send no more than that on one connection (1000)\n"
			  "  --behind WHAT       would something before the server, which lets "
			  "connections\n"
			  "                      idle for so many seconds, see 502s? Or the name "
			  "of such a\n"
			  "                      thing: see \"kactl http behind\"\n"
			  "  --layers            and TCP's keepalive beside it, of the same "
			  "connection\n"
			  "These are curl's:\n"
			  "  --http1.0, -0       HTTP/1.0, where Connection: keep-alive has to "
			  "be granted\n"
			  "  --http1.1           HTTP/1.1 even if the server has HTTP/2\n"
			  "  --head, -I          ask for the header alone\n"
			  "  --location, -L      follow redirects, and check where they lead\n"
			  "  --max-time, -m SECONDS  a request that takes longer has failed (30)\n"
			  "  --header, -H LINE   send this too\n"
			  "  --insecure, -k      take any certificate\n"
			  "  --cacert FILE       certificates to trust\n"
			  "  --proxy, -x URL     by way of this proxy, whose keep-alive is "
			  "checked then;\n"
			  "                      else of the one that http_proxy and so on say\n"
			  "  --noproxy HOSTS     for which there is no proxy; * for all\n"
			  "  --unix-socket PATH  connect to that\n"
			  "  --resolve HOST:PORT:ADDRESS  connect to that address\n"
			  "  --ipv4, -4, --ipv6, -6\n",
	}, {
		.name	= "behind",
		.args	= "",
		.run	= http_behind,
		.help	= "Show what --behind knows by name: load balancers, proxies and NATs, "
			  "for how\n"
			  "long they let a connection idle, what they do then, and who says so.\n",
	}, { 0 }
};

const struct object object_http = {
	.name		= "http",
	.summary	= "the other keep-alive: test an HTTP server's",
	.verbs		= verbs,
	.examples	= "  kactl http check http://127.0.0.1:8080/\n"
			  "  kactl http check http://127.0.0.1:8080/ --behind alb --idle-max 90\n",
};

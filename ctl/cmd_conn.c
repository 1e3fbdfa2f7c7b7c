// SPDX-License-Identifier: GPL-2.0
/*
 * kactl conn: the TCP connections of a network namespace, and their keepalive.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/tcp_keepalive.h>

#include "addr.h"
#include "attr.h"
#include "intr.h"
#include "kactl.h"
#include "match.h"
#include "netns.h"
#include "nl.h"
#include "out.h"
#include "parse.h"
#include "proc.h"

/* Those that ss prints, too. */
static const char *const states[] = {
	[1] = "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2",
	"TIME-WAIT", "UNCONN", "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING",
};

static const char *const statuses[] = {
	[TCP_KEEPALIVE_STATUS_ALIVE]		= "alive",
	[TCP_KEEPALIVE_STATUS_PROBING]		= "probing",
	[TCP_KEEPALIVE_STATUS_UNPROTECTED]	= "unprotected",
};

static const char *const sources[] = {
	[TCP_KEEPALIVE_SOURCE_NETNS]	= "netns",
	[TCP_KEEPALIVE_SOURCE_PROGRAM]	= "program",
	[TCP_KEEPALIVE_SOURCE_RULE]	= "rule",
};

enum type {
	NETNS,		/* name of the namespace of that number */
	FAMILY,		/* of an address */
	ADDR,
	UINT,
	INT,
	TALLY,		/* 0 if absent */
	SWITCH,
	STATE,
	STATUS,
	SOURCE,
};

/* The keys, in the order in which they are shown. */
static const struct field {
	const char *name;
	enum type type;
	int attr;
} fields[] = {
	{ "netns",	NETNS,	TCP_KEEPALIVE_A_CONN_NETNS_INO },
	{ "netns_ino",	UINT,	TCP_KEEPALIVE_A_CONN_NETNS_INO },
	{ "family",	FAMILY,	TCP_KEEPALIVE_A_CONN_LOCAL },
	{ "local",	ADDR,	TCP_KEEPALIVE_A_CONN_LOCAL },
	{ "lport",	UINT,	TCP_KEEPALIVE_A_CONN_LPORT },
	{ "remote",	ADDR,	TCP_KEEPALIVE_A_CONN_REMOTE },
	{ "rport",	UINT,	TCP_KEEPALIVE_A_CONN_RPORT },
	{ "state",	STATE,	TCP_KEEPALIVE_A_CONN_STATE },
	{ "status",	STATUS,	TCP_KEEPALIVE_A_CONN_STATUS },
#define NR_HEAD		9	/* a row of text begins with those, unnamed */
	{ "keepalive",	SWITCH,	TCP_KEEPALIVE_A_CONN_KEEPALIVE },
	{ "time",	INT,	TCP_KEEPALIVE_A_CONN_TIME },
	{ "intvl",	INT,	TCP_KEEPALIVE_A_CONN_INTVL },
	{ "probes",	UINT,	TCP_KEEPALIVE_A_CONN_PROBES },
	{ "source",	SOURCE,	TCP_KEEPALIVE_A_CONN_SOURCE },
	{ "user_timeout_ms", UINT, TCP_KEEPALIVE_A_CONN_USER_TIMEOUT_MS },
	{ "idle_ms",	UINT,	TCP_KEEPALIVE_A_CONN_IDLE_MS },
	{ "next_ms",	UINT,	TCP_KEEPALIVE_A_CONN_NEXT_MS },
	{ "out",	UINT,	TCP_KEEPALIVE_A_CONN_OUT },
	{ "sent",	TALLY,	TCP_KEEPALIVE_A_CONN_SENT },
	{ "answered",	TALLY,	TCP_KEEPALIVE_A_CONN_ANSWERED },
	{ "lost",	TALLY,	TCP_KEEPALIVE_A_CONN_LOST },
	{ "rtt_us",	UINT,	TCP_KEEPALIVE_A_CONN_RTT_US },
	{ "rtt_min_us",	UINT,	TCP_KEEPALIVE_A_CONN_RTT_MIN_US },
	{ "uid",	UINT,	TCP_KEEPALIVE_A_CONN_UID },
	{ "inode",	UINT,	TCP_KEEPALIVE_A_CONN_INODE },
	{ "rule",	UINT,	TCP_KEEPALIVE_A_CONN_RULE },
};

#define SORT_KEYS	"netns, netns_ino, family, local, lport, remote, "	\
			"rport, state, status, time, intvl, probes, source, "	\
			"user_timeout_ms, idle_ms, next_ms, out, sent, "	\
			"answered, lost, rtt_us, rtt_min_us, uid, inode, rule"

/**
 * struct kept - a connection that waits for the others to be sorted
 * @attrs: its attributes
 * @len: length of @attrs
 * @nr: when it came, so that equals stay in that order
 * @value: what it is sorted by
 */
struct kept {
	struct nlattr *attrs;
	int len;
	size_t nr;
	struct value {
		enum { ABSENT, NUMBER, TEXT, BYTES } kind;
		union {
			int64_t number;
			const char *text;
			struct {
				int len;
				uint8_t bytes[16];
			};
		};
	} value;
};

/* What was asked for, and how far we are in a namespace. */
struct show {
	struct filter filter;
	const char *status_word;
	uint32_t status;
	const struct field *sort;
	bool descending;
	bool processes;
	int64_t limit;		/* 0: none */
	int64_t shown;
	struct kept *kept;
	size_t nr_kept;
};

/* The name for a number, or NULL if only a newer module knows. */
static const char *name_of(enum type type, uint64_t n)
{
	switch (type) {
	case STATE:
		return n < ARRAY_SIZE(states) ? states[n] : NULL;
	case STATUS:
		return n < ARRAY_SIZE(statuses) ? statuses[n] : NULL;
	case SOURCE:
		return n < ARRAY_SIZE(sources) ? sources[n] : NULL;
	default:
		return NULL;
	}
}

static void enum_out(const struct field *f, const struct nlattr *attr)
{
	const char *name;
	uint64_t n;

	if (!attr_uint(attr, &n)) {
		out_null(f->name);
		return;
	}
	name = name_of(f->type, n);
	if (name)
		out_name(f->name, name);
	else
		out_uint(f->name, n, NULL);
}

static void field_out(const struct field *f, const struct nlattr *const *tb)
{
	const struct nlattr *attr = tb[f->attr];
	const char *text;
	uint64_t n = 0;
	int64_t i;

	switch (f->type) {
	case UINT:
		if (attr_uint(attr, &n))
			out_uint(f->name, n, NULL);
		else
			out_null(f->name);
		break;
	case TALLY:
		attr_uint(attr, &n);
		out_uint(f->name, n, NULL);
		break;
	case INT:
		if (attr_int(attr, &i))
			out_int(f->name, i, NULL);
		else
			out_null(f->name);
		break;
	case SWITCH:
		if (attr_uint(attr, &n))
			out_switch(f->name, n);
		else
			out_null(f->name);
		break;
	case ADDR:
		addr_out(f->name, attr);
		break;
	case FAMILY:
		text = addr_family(attr);
		if (text)
			out_name(f->name, text);
		else
			out_null(f->name);
		break;
	case NETNS:
		text = attr_uint(attr, &n) ? netns_name((uint32_t)n) : NULL;
		if (text)
			out_str(f->name, text);
		else
			out_null(f->name);
		break;
	default:
		enum_out(f, attr);
	}
}

/* A state or a status at the beginning of a row. */
static void enum_word(enum type type, const struct nlattr *attr)
{
	const char *name;
	char text[24];
	uint64_t n;

	if (!attr_uint(attr, &n)) {
		out_word("?");
		return;
	}
	name = name_of(type, n);
	if (!name)
		snprintf(text, sizeof(text), "%" PRIu64, n);
	out_word(name ? name : text);
}

static void head_out(const struct show *show, const struct nlattr *const *tb)
{
	uint64_t ino;

	if (ka.all_netns && !show->shown &&
	    attr_uint(tb[TCP_KEEPALIVE_A_CONN_NETNS_INO], &ino)) {
		out_object();
		netns_out((uint32_t)ino);
		out_object_end();
	}
	out_object();
	enum_word(STATUS, tb[TCP_KEEPALIVE_A_CONN_STATUS]);
	enum_word(STATE, tb[TCP_KEEPALIVE_A_CONN_STATE]);
	addr_word(tb[TCP_KEEPALIVE_A_CONN_LOCAL],
		  tb[TCP_KEEPALIVE_A_CONN_LPORT]);
	addr_word(tb[TCP_KEEPALIVE_A_CONN_REMOTE],
		  tb[TCP_KEEPALIVE_A_CONN_RPORT]);
}

static enum status conn_out(struct nlattr *attrs, int len, void *arg)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_CONN_MAX + 1];
	struct show *show = arg;
	uint64_t inode = 0;
	bool unknown;
	size_t i = 0;

	unknown = attr_table(tb, TCP_KEEPALIVE_A_CONN_MAX, attrs, len);
	if (ka.json) {
		out_object();
	} else {
		head_out(show, tb);
		i = NR_HEAD;
	}
	for (; i < ARRAY_SIZE(fields); i++)
		field_out(&fields[i], tb);
	if (show->processes) {
		attr_uint(tb[TCP_KEEPALIVE_A_CONN_INODE], &inode);
		proc_out("processes", inode);
	}
	if (unknown)
		out_unknown(attrs, len, TCP_KEEPALIVE_A_CONN_MAX);
	out_object_end();
	show->shown++;
	if (show->shown == show->limit || out_failed() || intr_caught())
		return ST_ENOUGH;
	return ST_DONE;
}

/* What a connection is sorted by. */
static void value_read(const struct field *f, const struct nlattr *const *tb,
		       struct value *v)
{
	const struct nlattr *attr = tb[f->attr];
	uint64_t n = 0;

	v->kind = ABSENT;
	switch (f->type) {
	case ADDR:
		v->len = addr_family(attr) ? attr_len(attr) : 0;
		if (!v->len)
			break;
		memcpy(v->bytes, attr_data(attr), (size_t)v->len);
		v->kind = BYTES;
		break;
	case FAMILY:
		v->text = addr_family(attr);
		v->kind = v->text ? TEXT : ABSENT;
		break;
	case NETNS:
		v->text = attr_uint(attr, &n) ? netns_name((uint32_t)n) : NULL;
		v->kind = v->text ? TEXT : ABSENT;
		break;
	case INT:
		if (attr_int(attr, &v->number))
			v->kind = NUMBER;
		break;
	default:
		if (!attr_uint(attr, &n) && f->type != TALLY)
			break;
		v->text = name_of(f->type, n);
		v->kind = v->text ? TEXT : NUMBER;
		if (!v->text)
			v->number = (int64_t)n;
	}
}

static int value_cmp(const struct value *a, const struct value *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	switch (a->kind) {
	case NUMBER:
		return a->number < b->number ? -1 : a->number > b->number;
	case TEXT:
		return strcmp(a->text, b->text);
	case BYTES:
		return a->len != b->len ?
		       a->len - b->len :
		       memcmp(a->bytes, b->bytes, (size_t)a->len);
	default:
		return 0;
	}
}

/* Those without the value come last, whichever the direction. */
static int kept_cmp(const void *one, const void *other, void *arg)
{
	const struct kept *a = one, *b = other;
	const struct show *show = arg;
	int order;

	if (!a->value.kind != !b->value.kind)
		return a->value.kind ? -1 : 1;
	order = value_cmp(&a->value, &b->value);
	if (show->descending)
		order = -order;
	if (!order)
		order = a->nr < b->nr ? -1 : 1;
	return order;
}

static enum status conn_keep(struct nlattr *attrs, int len, void *arg)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_CONN_MAX + 1];
	struct show *show = arg;
	size_t n = show->nr_kept;
	struct kept *k = show->kept;

	if (!(n & (n - 1)))
		k = realloc(k, (n ? 2 * n : 1) * sizeof(*k));
	if (!k)
		return fail(ST_REFUSED, "%s", strerror(ENOMEM));
	show->kept = k;
	k += n;
	k->attrs = malloc((size_t)len);
	if (!k->attrs)
		return fail(ST_REFUSED, "%s", strerror(ENOMEM));
	memcpy(k->attrs, attrs, (size_t)len);
	k->len = len;
	k->nr = n;
	attr_table(tb, TCP_KEEPALIVE_A_CONN_MAX, k->attrs, len);
	value_read(show->sort, tb, &k->value);
	show->nr_kept++;
	return ST_DONE;
}

static void kept_out(struct show *show)
{
	bool enough = intr_caught();
	size_t i;

	if (show->nr_kept)
		qsort_r(show->kept, show->nr_kept, sizeof(*show->kept),
			kept_cmp, show);
	for (i = 0; i < show->nr_kept; i++) {
		struct kept *k = &show->kept[i];

		if (!enough)
			enough = conn_out(k->attrs, k->len, show);
		free(k->attrs);
	}
	free(show->kept);
	show->kept = NULL;
	show->nr_kept = 0;
}

static enum status conn_talk(void *arg)
{
	struct show *show = arg;
	struct request req;
	enum status st;

	st = request_init_size(&req, TCP_KEEPALIVE_CMD_CONN_GET,
			       REQUEST_WITH_PATH);
	if (st)
		return st;
	request_dump(&req);
	if (show->status_word)
		request_put(&req, TCP_KEEPALIVE_A_CONN_STATUS, &show->status,
			    sizeof(show->status), "status", show->status_word);
	filter_put(&show->filter, &req, TCP_KEEPALIVE_A_CONN_MATCH,
		   TCP_KEEPALIVE_A_CONN_IDLE_MIN);
	show->shown = 0;
	st = request_send(&req, show->sort ? conn_keep : conn_out, show);
	kept_out(show);
	return st;
}

static enum status parse_status(struct args *a, struct show *show)
{
	enum status st;
	uint8_t i;

	if (show->status_word)
		return fail(ST_USAGE, "\"status\" given twice");
	st = args_value(a, "status", &show->status_word);
	if (st)
		return st;
	for (i = 0; i < ARRAY_SIZE(statuses); i++) {
		show->status = i;
		if (!strcmp(show->status_word, statuses[i]))
			return ST_DONE;
	}
	return fail(ST_USAGE, "status \"%s\": neither alive, probing nor unprotected",
		    show->status_word);
}

static enum status parse_sort(struct args *a, struct show *show)
{
	const char *word, *name;
	enum status st;
	size_t i;

	st = args_value(a, "--sort", &word);
	if (st)
		return st;
	show->descending = *word == '-';
	name = word + show->descending;
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		show->sort = &fields[i];
		if (fields[i].type != SWITCH && !strcmp(fields[i].name, name))
			return ST_DONE;
	}
	return fail(ST_USAGE, "--sort \"%s\": none of " SORT_KEYS, word);
}

static enum status parse_limit(struct args *a, struct show *show)
{
	const char *word;
	enum status st = args_value(a, "--limit", &word);

	return st ? st : parse_count("--limit", word, INT32_MAX, &show->limit);
}

static enum status conn_show(struct args *a)
{
	struct show show = { 0 };
	enum status st = ST_DONE;

	while (*a->word && !st) {
		if (args_take(a, "status"))
			st = parse_status(a, &show);
		else if (args_take(a, "--processes"))
			show.processes = true;
		else if (args_take(a, "--sort"))
			st = parse_sort(a, &show);
		else if (args_take(a, "--limit"))
			st = parse_limit(a, &show);
		else
			st = filter_parse(&show.filter, a);
	}
	if (st)
		return st;
	out_rows();
	/* Text has nothing to close: there Ctrl-C may just kill. */
	if (ka.json)
		intr_catch();
	if (show.processes)
		st = proc_read();
	return st ? st : netns_each(false, conn_talk, &show);
}

static const struct verb verbs[] = {
	{
		.name	= "show",
		.args	= "[status alive|probing|unprotected] " FILTER_ARGS
			  " [--processes] [--sort KEY] [--limit N]",
		.run	= conn_show,
		.help	= "Show the TCP connections that meet every condition that is given.\n"
			  "  status alive        keepalive is on, and no probe is unanswered\n"
			  "  status probing      keepalive is on, and waits for an answer\n"
			  "  status unprotected  keepalive is off\n"
			  FILTER_HELP
			  "  --processes         and which processes have the socket open\n"
			  "  --sort KEY          in rising order of KEY, or falling of -KEY; KEY is any\n"
			  "                      of JSON's but keepalive and processes\n"
			  "  --limit N           only the first N\n",
	}, { 0 }
};

const struct object object_conn = {
	.name		= "conn",
	.summary	= "the connections, and what keepalive does for each",
	.verbs		= verbs,
	.examples	= "  kactl conn status unprotected --processes\n"
			  "  kactl conn rport 5432 idle-min 600\n"
			  "  kactl conn --sort -lost --limit 10\n",
};

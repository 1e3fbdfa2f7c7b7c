// SPDX-License-Identifier: GPL-2.0
/*
 * Which connections a command is about: the words for it, and the attributes.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <linux/tcp_keepalive.h>

#include "kactl.h"
#include "match.h"
#include "nl.h"
#include "parse.h"

/* The words, and the attributes of each. */
static const struct {
	const char *name;
	enum { PREFIX, PORTS, UIDS, PATH } type;
	int attr;
	int attr2;
} matches[NR_MATCHES] = {
	[MATCH_LOCAL] = { "local", PREFIX, TCP_KEEPALIVE_A_MATCH_LOCAL,
			  TCP_KEEPALIVE_A_MATCH_LOCAL_LEN },
	[MATCH_REMOTE] = { "remote", PREFIX, TCP_KEEPALIVE_A_MATCH_REMOTE,
			   TCP_KEEPALIVE_A_MATCH_REMOTE_LEN },
	[MATCH_LPORT] = { "lport", PORTS, TCP_KEEPALIVE_A_MATCH_LPORT_MIN,
			  TCP_KEEPALIVE_A_MATCH_LPORT_MAX },
	[MATCH_RPORT] = { "rport", PORTS, TCP_KEEPALIVE_A_MATCH_RPORT_MIN,
			  TCP_KEEPALIVE_A_MATCH_RPORT_MAX },
	[MATCH_UID] = { "uid", UIDS, TCP_KEEPALIVE_A_MATCH_UID_MIN,
			TCP_KEEPALIVE_A_MATCH_UID_MAX },
	[MATCH_CGROUP] = { "cgroup", PATH, TCP_KEEPALIVE_A_MATCH_CGROUP, 0 },
};

/* ADDRESS[/LENGTH], and no names: one may be many addresses, or change. */
static enum status parse_prefix(const char *name, const char *word,
				struct prefix *p)
{
	const char *slash = strchrnul(word, '/');
	size_t n = (size_t)(slash - word);
	char text[INET6_ADDRSTRLEN] = "";

	if (n < sizeof(text))
		memcpy(text, word, n);
	if (inet_pton(AF_INET, text, p->addr) == 1)
		p->addr_len = sizeof(struct in_addr);
	else if (inet_pton(AF_INET6, text, p->addr) == 1)
		p->addr_len = sizeof(struct in6_addr);
	else
		slash = "/";
	p->len = -1;
	if (!*slash)
		return ST_DONE;
	if (!slash[1] || slash[1 + strspn(slash + 1, "0123456789")])
		return fail(ST_USAGE, "%s \"%s\": neither an address nor ADDRESS/LENGTH",
			    name, word);
	p->len = strtol(slash + 1, NULL, 10);
	if (p->len > UINT8_MAX)
		return fail(ST_REFUSED, "%s %s: out of range", name, word);
	return ST_DONE;
}

static enum status parse_value(struct match *m, int key)
{
	const char *name = matches[key].name, *word = m->word[key];
	enum status st;

	switch (matches[key].type) {
	case PREFIX:
		return parse_prefix(name, word, &m->value[key].prefix);
	case PORTS:
		return parse_range(name, word, UINT16_MAX, &m->value[key].min,
				   &m->value[key].max);
	case UIDS:
		if (m->uid_range)
			return parse_range(name, word, UINT32_MAX,
					   &m->value[key].min,
					   &m->value[key].max);
		st = parse_int(name, word, 0, UINT32_MAX, &m->value[key].min);
		m->value[key].max = m->value[key].min;
		return st;
	default:
		if (!*word)
			return fail(ST_USAGE, "%s \"\": not a path", name);
		return ST_DONE;
	}
}

/* Take the value of @name, which may be given once. */
static enum status take_once(struct args *a, const char *name,
			     const char **word)
{
	if (*word)
		return fail(ST_USAGE, "\"%s\" given twice", name);
	return args_value(a, name, word);
}

/* Read the next word, which has to be one for a match, and its value. */
enum status match_parse(struct match *m, struct args *a)
{
	enum status st;
	int key;

	for (key = 0; key < NR_MATCHES; key++) {
		if (!args_take(a, matches[key].name))
			continue;
		st = take_once(a, matches[key].name, &m->word[key]);
		return st ? st : parse_value(m, key);
	}
	return args_unknown(a);
}

static void put_prefix(struct request *req, int key, const char *word,
		       const struct prefix *p)
{
	uint8_t len = (uint8_t)p->len;

	request_put(req, matches[key].attr, p->addr, p->addr_len,
		    matches[key].name, word);
	if (p->len >= 0)
		request_put(req, matches[key].attr2, &len, sizeof(len),
			    matches[key].name, word);
}

static void put_number(struct request *req, int key, int attr,
		       const char *word, int64_t value)
{
	uint16_t u16 = (uint16_t)value;
	uint32_t u32 = (uint32_t)value;

	if (matches[key].type == PORTS)
		request_put(req, attr, &u16, sizeof(u16), matches[key].name,
			    word);
	else
		request_put(req, attr, &u32, sizeof(u32), matches[key].name,
			    word);
}

static bool match_given(const struct match *m)
{
	int key;

	for (key = 0; key < NR_MATCHES; key++)
		if (m->word[key])
			return true;
	return false;
}

/* Put all that was given into the nest @attr. */
void match_put(const struct match *m, struct request *req, int attr)
{
	struct nlattr *nest;
	int key;

	if (!match_given(m))
		return;
	nest = request_nest(req, attr);

	for (key = 0; key < NR_MATCHES; key++) {
		const char *word = m->word[key];

		if (!word)
			continue;
		if (matches[key].type == PREFIX) {
			put_prefix(req, key, word, &m->value[key].prefix);
		} else if (matches[key].type == PATH) {
			request_put(req, matches[key].attr, word,
				    strlen(word) + 1, matches[key].name, word);
		} else {
			put_number(req, key, matches[key].attr, word,
				   m->value[key].min);
			put_number(req, key, matches[key].attr2, word,
				   m->value[key].max);
		}
	}
	request_nest_end(req, nest);
}

enum status filter_parse(struct filter *f, struct args *a)
{
	enum status st;

	if (!args_take(a, "idle-min"))
		return match_parse(&f->match, a);
	st = take_once(a, "idle-min", &f->idle_word);
	return st ? st : parse_int("idle-min", f->idle_word, 0, UINT32_MAX,
				   &f->idle_min);
}

void filter_put(const struct filter *f, struct request *req, int match_attr,
		int idle_attr)
{
	uint32_t seconds = (uint32_t)f->idle_min;

	match_put(&f->match, req, match_attr);
	if (f->idle_word)
		request_put(req, idle_attr, &seconds, sizeof(seconds),
			    "idle-min", f->idle_word);
}

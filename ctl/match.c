// SPDX-License-Identifier: GPL-2.0
/*
 * Which connections are meant: the words for it, and the attributes.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#include <linux/tcp_keepalive.h>

#include "addr.h"
#include "attr.h"
#include "kactl.h"
#include "match.h"
#include "nl.h"
#include "out.h"
#include "parse.h"

/* The words, and the attributes of each. */
static const struct {
	const char *name;
	enum { PREFIX, PORTS, UIDS, PATH, DIR, MARK } type;
	int attr;
	int attr2;
} matches[NR_MATCHES] = {
	[MATCH_DIR] = { "dir", DIR, TCP_KEEPALIVE_A_MATCH_DIR, 0 },
	[MATCH_LOCAL] = { "local", PREFIX, TCP_KEEPALIVE_A_MATCH_LOCAL,
			  TCP_KEEPALIVE_A_MATCH_LOCAL_LEN },
	[MATCH_REMOTE] = { "remote", PREFIX, TCP_KEEPALIVE_A_MATCH_REMOTE,
			   TCP_KEEPALIVE_A_MATCH_REMOTE_LEN },
	[MATCH_LPORT] = { "lport", PORTS, TCP_KEEPALIVE_A_MATCH_LPORT_MIN,
			  TCP_KEEPALIVE_A_MATCH_LPORT_MAX },
	[MATCH_RPORT] = { "rport", PORTS, TCP_KEEPALIVE_A_MATCH_RPORT_MIN,
			  TCP_KEEPALIVE_A_MATCH_RPORT_MAX },
	[MATCH_CGROUP] = { "cgroup", PATH, TCP_KEEPALIVE_A_MATCH_CGROUP, 0 },
	[MATCH_UID] = { "uid", UIDS, TCP_KEEPALIVE_A_MATCH_UID_MIN,
			TCP_KEEPALIVE_A_MATCH_UID_MAX },
	[MATCH_MARK] = { "mark", MARK, TCP_KEEPALIVE_A_MATCH_MARK,
			 TCP_KEEPALIVE_A_MATCH_MARK_MASK },
};

static const char *const dirs[] = {
	[TCP_KEEPALIVE_DIR_IN]	= "in",
	[TCP_KEEPALIVE_DIR_OUT]	= "out",
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
	/* One bit too many is as wrong as any number of them, for the kernel to refuse. */
	p->len = MIN(strtol(slash + 1, NULL, 10), 8 * p->addr_len + 1);
	return ST_DONE;
}

static enum status parse_dir(const char *word, uint32_t *dir)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		*dir = (uint32_t)i;
		if (!strcmp(word, dirs[i]))
			return ST_DONE;
	}
	return fail(ST_USAGE, "dir \"%s\": neither \"in\" nor \"out\"", word);
}

/* Whether @word, which is of the right grammar, may be many of its kind. */
static enum status parse_single(const struct match *m, const char *name,
				const char *word, const char *parts,
				const char *what)
{
	if (m->use != MATCH_ONE || !strpbrk(word, parts))
		return ST_DONE;
	return fail(ST_USAGE, "%s \"%s\": not %s", name, word, what);
}

static enum status parse_value(struct match *m, int key)
{
	const char *name = matches[key].name, *word = m->word[key];
	enum status st;

	switch (matches[key].type) {
	case DIR:
		return parse_dir(word, &m->value[key].bits);
	case PREFIX:
		st = parse_prefix(name, word, &m->value[key].prefix);
		return st ? st : parse_single(m, name, word, "/",
					      "a single address");
	case MARK:
		st = parse_bits(name, word, &m->value[key].bits,
				&m->value[key].mask);
		return st ? st : parse_single(m, name, word, "/",
					      "a single number");
	case PORTS:
		st = parse_range(name, word, UINT16_MAX, &m->value[key].min,
				 &m->value[key].max);
		return st ? st : parse_single(m, name, word, "-",
					      "a single number");
	case UIDS:
		if (m->use == MATCH_RULE)
			return parse_range(name, word, UINT32_MAX - 1,
					   &m->value[key].min,
					   &m->value[key].max);
		st = parse_int(name, word, 0, UINT32_MAX - 1, &m->value[key].min);
		m->value[key].max = m->value[key].min;
		return st;
	default:
		if (!*word)
			return fail(ST_USAGE, "%s \"\": not a path", name);
		if (strlen(word) >= PATH_MAX)
			return fail(ST_REFUSED, "%s: too long (%d bytes at most)",
				    name, PATH_MAX - 1);
		return ST_DONE;
	}
}

/* Read the next word and its value if it is one for a match. */
bool match_take(struct match *m, struct args *a, enum status *st)
{
	int key;

	for (key = 0; key < NR_MATCHES; key++) {
		if (m->use == MATCH_FILTER &&
		    (key == MATCH_DIR || key == MATCH_MARK))
			continue;
		if (!args_take(a, matches[key].name))
			continue;
		*st = args_once(a, matches[key].name, &m->word[key]);
		if (!*st)
			*st = parse_value(m, key);
		return true;
	}
	return false;
}

/* Read the next word, which has to be one. */
enum status match_parse(struct match *m, struct args *a)
{
	enum status st = ST_DONE;

	return match_take(m, a, &st) ? st : args_unknown(a);
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

static void put_bits(struct request *req, int key, int attr,
		     const char *word, uint32_t bits)
{
	request_put(req, attr, &bits, sizeof(bits), matches[key].name, word);
}

bool match_given(const struct match *m)
{
	int key;

	for (key = 0; key < NR_MATCHES; key++)
		if (m->word[key])
			return true;
	return false;
}

static void put_match(const struct match *m, struct request *req, int key)
{
	const char *word = m->word[key];

	switch (matches[key].type) {
	case PREFIX:
		put_prefix(req, key, word, &m->value[key].prefix);
		break;
	case PATH:
		request_put(req, matches[key].attr, word, strlen(word) + 1,
			    matches[key].name, word);
		break;
	case DIR:
		put_bits(req, key, matches[key].attr, word,
			 m->value[key].bits);
		break;
	case MARK:
		put_bits(req, key, matches[key].attr, word,
			 m->value[key].bits);
		if (m->value[key].mask != UINT32_MAX)
			put_bits(req, key, matches[key].attr2, word,
				 m->value[key].mask);
		break;
	default:
		put_number(req, key, matches[key].attr, word,
			   m->value[key].min);
		put_number(req, key, matches[key].attr2, word,
			   m->value[key].max);
	}
}

/* Put all that was given into the nest @attr. */
void match_put(const struct match *m, struct request *req, int attr)
{
	struct nlattr *nest;
	int key;

	if (!match_given(m))
		return;
	nest = request_nest(req, attr);
	for (key = 0; key < NR_MATCHES; key++)
		if (m->word[key])
			put_match(m, req, key);
	request_nest_end(req, nest);
}

/* An escaped path, and what is around it. */
#define TEXT_MAX	(2 * PATH_MAX + 4)

/* As the shell and "kactl restore" read it: in quotes if need be. */
static void quote(const char *word, size_t len, char *text)
{
	bool plain = len > 0;
	size_t i;

	for (i = 0; i < len && word[i]; i++)
		plain &= isalnum((unsigned char)word[i]) ||
			 strchr("/_.:@%+,=-", word[i]);
	if (!plain)
		*text++ = '"';
	for (i = 0; i < len && word[i]; i++) {
		if (strchr("\"\\$`", word[i]))
			*text++ = '\\';
		*text++ = word[i];
	}
	if (!plain)
		*text++ = '"';
	*text = '\0';
}

static bool prefix_text(const struct nlattr *addr, const struct nlattr *len,
			char *text)
{
	uint64_t bits;

	if (!addr_text(addr, text))
		return false;
	if (attr_uint(len, &bits) && bits < (uint64_t)attr_len(addr) * 8)
		sprintf(text + strlen(text), "/%u", (unsigned int)bits);
	return true;
}

/* Both ends of a range; one that is absent bounds nothing. */
static bool range(int key, const struct nlattr *const *tb, uint64_t *min,
		  uint64_t *max)
{
	*min = 0;
	*max = matches[key].type == PORTS ? UINT16_MAX : UINT32_MAX;
	return attr_uint(tb[matches[key].attr], min) +
	       attr_uint(tb[matches[key].attr2], max);
}

/* As "rule add" takes it; false if there is no such match. */
static bool match_text(int key, const struct nlattr *const *tb, char *text)
{
	const struct nlattr *attr = tb[matches[key].attr];
	uint64_t a, b = UINT32_MAX;

	switch (matches[key].type) {
	case PREFIX:
		return prefix_text(attr, tb[matches[key].attr2], text);
	case PATH:
		if (!attr || attr_len(attr) > PATH_MAX)
			return false;
		quote(attr_data(attr), (size_t)attr_len(attr), text);
		return true;
	case DIR:
		if (!attr_uint(attr, &a))
			return false;
		if (a < ARRAY_SIZE(dirs))
			strcpy(text, dirs[a]);
		else
			sprintf(text, "%" PRIu64, a);
		return true;
	case MARK:
		if (!attr_uint(attr, &a))
			return false;
		attr_uint(tb[matches[key].attr2], &b);
		sprintf(text, b == UINT32_MAX ? "0x%" PRIx64 :
			"0x%" PRIx64 "/0x%" PRIx64, a, b);
		return true;
	default:
		if (!range(key, tb, &a, &b))
			return false;
		sprintf(text, a == b ? "%" PRIu64 : "%" PRIu64 "-%" PRIu64, a,
			b);
		return true;
	}
}

static void match_json(int key, const struct nlattr *const *tb,
		       const char *text)
{
	const struct nlattr *attr = tb[matches[key].attr];
	const char *name = matches[key].name;
	uint64_t a = 0, b = UINT32_MAX;
	char path[PATH_MAX + 1] = "";

	switch (matches[key].type) {
	case PATH:
		memcpy(path, attr_data(attr), (size_t)attr_len(attr));
		out_str(name, path);
		break;
	case DIR:
		if (attr_uint(attr, &a) && a >= ARRAY_SIZE(dirs))
			out_uint(name, a, NULL);
		else
			out_name(name, text);
		break;
	case MARK:
		attr_uint(attr, &a);
		attr_uint(tb[matches[key].attr2], &b);
		if (b == UINT32_MAX)
			out_uint(name, a, NULL);
		else
			out_pair(name, a, b);
		break;
	case PORTS:
	case UIDS:
		range(key, tb, &a, &b);
		out_pair(name, a, b);
		break;
	default:
		out_name(name, text);
	}
}

/* Show the attributes of a nest of enum tcp_keepalive_a_match, in a row. */
void match_out(const struct nlattr *nest)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_MATCH_MAX + 1];
	char text[TEXT_MAX];
	int key;

	attr_table(tb, TCP_KEEPALIVE_A_MATCH_MAX, attr_data(nest),
		   attr_len(nest));
	for (key = 0; key < NR_MATCHES; key++) {
		if (!match_text(key, tb, text))
			continue;
		if (ka.json)
			match_json(key, tb, text);
		else
			out_str(matches[key].name, text);
	}
	out_unknown(attr_data(nest), attr_len(nest), TCP_KEEPALIVE_A_MATCH_MAX);
}

/* The same into a file of commands. */
void match_save(const struct nlattr *nest, FILE *f)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_MATCH_MAX + 1];
	char text[TEXT_MAX];
	int key;

	attr_table(tb, TCP_KEEPALIVE_A_MATCH_MAX, attr_data(nest),
		   attr_len(nest));
	for (key = 0; key < NR_MATCHES; key++)
		if (match_text(key, tb, text))
			fprintf(f, " %s %s", matches[key].name, text);
}

enum status filter_parse(struct filter *f, struct args *a)
{
	enum status st;

	if (!args_take(a, "idle-min"))
		return match_parse(&f->match, a);
	st = args_once(a, "idle-min", &f->idle_word);
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

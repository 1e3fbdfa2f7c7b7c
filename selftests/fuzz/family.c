// SPDX-License-Identifier: GPL-2.0
/*
 * Random messages to the netlink family, made from its YNL spec: good ones, ones
 * with one thing wrong, cut short, flipped; dumps side by side and left in the
 * middle; namespaces that are made for a few messages and go.
 *
 *	family [-n MESSAGES] [-s SEED] [-r]
 *
 * -r: may only read, as its user has no CAP_NET_ADMIN over the namespace.
 *
 * It looks for what must not happen: an answer that does not parse or is not what
 * the spec says, one from another namespace, a refusal without a word, something
 * wrong that is accepted, a change by somebody who may not, no answer at all. The
 * same seed sends the same messages.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "../nl.h"

enum kind {
	KIND_U8, KIND_U16, KIND_U32, KIND_S32, KIND_U64, KIND_BINARY, KIND_STRING, KIND_FLAG,
	KIND_NEST, KIND_PAD,
};

struct attr {
	const char *name;
	enum kind kind;
	int64_t min;
	int64_t max;
	int nested;
	int needs;
	int without;
	bool multi;
	bool is_enum;
	bool rules_alone;
};

/* Bit n of @request: attribute n may be in a request. */
struct set {
	const struct attr *attrs;
	int n;
	uint64_t request;
};

struct command {
	const char *name;
	int set;
	uint64_t request;
	uint64_t reply;
	bool dump;
	bool event;
};

#include "tables.h"

#define LEN(a)		((int)(sizeof(a) / sizeof((a)[0])))
#define COMMANDS	LEN(commands)
#define ROOM		131072
#define RULES_MANY	(TCP_KEEPALIVE_RULES_MAX + 6)
#define ASKS		256		/* requests of a socket that may be unanswered */
#define SOCKETS		4		/* the first waits for each answer */

/* What is done wrong to the @victim-th attribute of a message, or to all of it. */
enum wrong {
	WRONG_NOTHING,
	/* These are refused. */
	WRONG_LEN, WRONG_RANGE, WRONG_NESTED, WRONG_UNKNOWN, WRONG_FOREIGN, WRONG_BOUNDS,
	WRONG_COMMAND, WRONG_DUMP,
	WRONG_REFUSED = WRONG_DUMP,
	/* Of these nobody knows. */
	WRONG_TWICE, WRONG_ORDER, WRONG_FLAGS, WRONG_HEADER, WRONG_CUT, WRONG_FLIP, WRONG_SHORT,
	WRONGS,
};

/* A request and what is known of its answer. */
struct ask {
	uint32_t seq;
	int cmd;			/* 0: none that there is */
	bool refused;			/* it must not be done */
	bool may_be_short;		/* its header may not be whole */
	bool open;			/* an answer is to come */
};

struct socket {
	int fd;
	uint32_t seq;
	unsigned int sent;
	struct ask ask[ASKS];
};

/* The message that is being made. */
static char out[ROOM];
static size_t out_len;
static enum wrong wrong;
static int victim;
static bool done_wrong;
static bool in_filter;

static uint64_t random_state, seed;
static uint64_t messages = 20000, sent_now;
static bool reader;
static int family;
static uint32_t netns_ino, groups[2];
static struct socket sockets[SOCKETS];
static int ears = -1;
static uint32_t heard[2];
static uint64_t events_heard;

static struct {
	uint64_t sent, done, refused;
} tally[COMMANDS];

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list args;
	size_t i;

	fprintf(stderr, "family: seed %" PRIu64 ", message %" PRIu64 ": ", seed, sent_now);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\nthe last one sent:");
	for (i = 0; i < out_len && i < 512; i++)
		fprintf(stderr, "%s%02x", i % 4 ? "" : " ", (unsigned char)out[i]);
	fprintf(stderr, "\n");
	exit(1);
}

/* --- chance: xorshift64* --- */

static uint32_t any(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * 2685821657736338717ULL) >> 32);
}

static uint32_t below(uint32_t n)
{
	return any() % n;
}

static bool one_in(uint32_t n)
{
	return !below(n);
}

/* --- messages --- */

static void put(const void *from, size_t n)
{
	memcpy(out + out_len, from, n);
	out_len += n;
}

static void put_random(size_t n)
{
	while (n--)
		out[out_len++] = (char)any();
}

static size_t attr_begin(int type)
{
	struct nlattr a = { .nla_type = (uint16_t)type };
	size_t at = out_len;

	put(&a, sizeof(a));
	return at;
}

static void attr_end(size_t at)
{
	struct nlattr *a = (void *)(out + at);

	a->nla_len = (uint16_t)(out_len - at);
	while (out_len % NLA_ALIGNTO)
		out[out_len++] = 0;
}

/* Is the attribute that comes now the one to do it to? */
static bool now_wrong(void)
{
	if (wrong == WRONG_NOTHING || done_wrong || victim--)
		return false;
	done_wrong = true;
	return true;
}

static size_t width(enum kind kind)
{
	static const size_t widths[] = {
		[KIND_U8] = 1, [KIND_U16] = 2, [KIND_U32] = 4, [KIND_S32] = 4, [KIND_U64] = 8,
	};

	return kind <= KIND_U64 ? widths[kind] : 0;
}

/* Can a value of its type be out of its range? */
static bool bounded(const struct attr *a)
{
	switch (a->kind) {
	case KIND_U8:
		return a->max < UINT8_MAX;
	case KIND_U32:
	case KIND_S32:
		return a->max < INT32_MAX || a->min > 0;
	default:
		return false;
	}
}

static int64_t number_for(const struct attr *a, bool bad)
{
	uint64_t span = (uint64_t)(a->max - a->min);

	if (bad) {
		if (a->min && one_in(2))
			return one_in(2) ? a->min - 1 : a->kind == KIND_S32 ? INT32_MIN : 0;
		return a->kind == KIND_U8 || one_in(2) ? a->max + 1 :
		       a->kind == KIND_S32 ? INT32_MAX : UINT32_MAX;
	}
	/* Small ones often, so that what one message makes another finds. */
	switch (below(6)) {
	default:
		return a->min + (int64_t)(below(4) % (span + 1));
	case 3:
		return a->max;
	case 4:
		return a->min + (int64_t)(below(100) % (span + 1));
	case 5:
		return a->min + (int64_t)(any() % (span + 1));
	}
}

/* @least: the number that it is not to be below, nor without the bits of. */
static int64_t put_number(const struct attr *a, bool bad, int64_t least)
{
	int64_t v = number_for(a, bad) | (bad ? 0 : least);

	/* Little end first, as the machines are that this runs on. */
	put(&v, width(a->kind));
	return v;
}

static void put_address(bool bad)
{
	static const size_t lens[] = { 0, 1, 3, 5, 12, 15, 17, 40 };
	static const uint8_t loopback[] = { 127, 0, 0, 1 }, six[16] = { [15] = 1 };

	if (bad)
		put_random(lens[below(LEN(lens))]);
	else if (one_in(2))
		put(loopback, sizeof(loopback));
	else if (one_in(2))
		put(six, sizeof(six));
	else
		put_random(one_in(2) ? 4 : 16);
}

static void put_path(bool bad)
{
	static const char *const paths[] = {
		"/", "/", "", "/nowhere", "//", "/..", "/../..", "/cgroup.procs", "/a/b/c", ".",
	};
	const char *path = paths[below(LEN(paths))];
	size_t n = bad ? 1 + below(8000) : below(4095);

	if (!bad && !one_in(8)) {
		put(path, strlen(path) + 1);
		return;
	}
	memset(out + out_len, 'x', n);
	out[out_len] = '/';
	out_len += n;
	if (!bad)
		out[out_len++] = 0;
}

static void put_attrs(int set, uint64_t which);

static int64_t put_payload(const struct attr *a, bool bad_len, bool bad_range, int64_t least)
{
	switch (a->kind) {
	case KIND_BINARY:
		put_address(bad_len);
		break;
	case KIND_STRING:
		put_path(bad_len);
		break;
	case KIND_FLAG:
		put_random(bad_len ? 1 + below(8) : 0);
		break;
	case KIND_NEST:
		if (bad_len)
			put_random(1 + below(NLA_HDRLEN - 1));
		else
			put_attrs(a->nested, sets[a->nested].request);
		break;
	default:
		if (!bad_len)
			return put_number(a, bad_range, least);
		put_random((width(a->kind) + 1 + below(11)) % 12);
	}
	return 0;
}

/* An attribute of a type that there is none of, with nests in it maybe. */
static void put_unknown(int n)
{
	int type = one_in(4) ? 0 : n + 1 + (int)below(200);
	size_t at = attr_begin(type | (one_in(2) ? NLA_F_NESTED : 0));

	if (one_in(2))
		put_random(below(16));
	else if (out_len < 2048)
		put_unknown(1 + (int)below(3));
	attr_end(at);
}

/* An attribute of the set that a request may not have. */
static bool put_foreign(int set, uint64_t which)
{
	int type = 1 + (int)below((uint32_t)sets[set].n);
	const struct attr *a = &sets[set].attrs[type];
	size_t at;

	if (which >> type & 1)
		return false;
	at = attr_begin(type | (a->kind == KIND_NEST ? NLA_F_NESTED : 0));
	if (a->kind == KIND_U64 || a->kind == KIND_NEST)
		put_random(8);
	else
		put_payload(a, false, false, 0);
	attr_end(at);
	return true;
}

/* Its number, if it has one. */
static int64_t put_attr(int set, int type, uint64_t which, int64_t least)
{
	const struct attr *a = &sets[set].attrs[type];
	int flag = a->kind == KIND_NEST ? NLA_F_NESTED : 0;
	bool now = now_wrong();
	enum wrong how = now ? wrong : WRONG_NOTHING;
	size_t at, len;
	int64_t v;

	if (how == WRONG_UNKNOWN)
		put_unknown(sets[set].n);
	if ((how == WRONG_FOREIGN && !put_foreign(set, which)) ||
	    (how == WRONG_RANGE && !bounded(a))) {
		/* The next one then. */
		done_wrong = false;
		victim = 0;
	}
	if (how == WRONG_NESTED)
		flag ^= NLA_F_NESTED;
	if (how == WRONG_FLAGS)
		flag |= NLA_F_NET_BYTEORDER;
	at = attr_begin(type | flag);
	v = put_payload(a, how == WRONG_LEN, how == WRONG_RANGE, least);
	attr_end(at);
	len = out_len - at;
	if (how == WRONG_TWICE && out_len + len < ROOM / 2)
		put(out + at, len);
	if (how == WRONG_BOUNDS)
		((struct nlattr *)(out + at))->nla_len =
			(uint16_t)(one_in(2) ? below(NLA_HDRLEN) : UINT16_MAX - below(64));
	return v;
}

static int how_often(const struct attr *a)
{
	if (!a->multi)
		return 1;
	return one_in(64) ? RULES_MANY - (int)below(12) : (int)below(5);
}

/* Some of the attributes of a set, of those that belong together mostly both. */
static void put_attrs(int set, uint64_t which)
{
	bool backwards = wrong == WRONG_ORDER;
	uint32_t rare = 1 + below(6);
	int64_t value[ATTRS] = {};
	uint64_t had = 0;
	int i, n;

	for (i = 1; i <= sets[set].n; i++) {
		int type = backwards ? sets[set].n + 1 - i : i;
		const struct attr *a = &sets[set].attrs[type];
		bool wanted = one_in(rare);

		if (!one_in(16) && !backwards) {
			if (a->needs)
				wanted = had >> a->needs & 1;
			else if (a->without && had >> a->without & 1)
				wanted = false;
		}
		if (!(which >> type & 1) || (in_filter && a->rules_alone) || !wanted)
			continue;
		had |= 1ULL << type;
		/* With room for what a nest may grow to. */
		for (n = how_often(a); n && out_len < ROOM - 32768; n--)
			value[type] = put_attr(set, type, which, value[a->needs]);
	}
}

/* What comes after the attributes. */
static void finish_wrong(int cmd)
{
	struct nlmsghdr *nlh = (void *)out;
	struct genlmsghdr *genl = NLMSG_DATA(nlh);
	uint32_t n;

	if (wrong == WRONG_UNKNOWN && !done_wrong) {
		put_unknown(sets[commands[cmd].set].n);
		done_wrong = true;
	}
	switch (wrong) {
	case WRONG_COMMAND:
		/* Those of events are none that can be asked for. */
		genl->cmd = one_in(4) ? TCP_KEEPALIVE_CMD_EVENT_NTF :
				       (uint8_t)(COMMANDS + below(256 - COMMANDS));
		break;
	case WRONG_DUMP:
		nlh->nlmsg_flags ^= NLM_F_DUMP;
		break;
	case WRONG_HEADER:
		genl->version = (uint8_t)any();
		genl->reserved = (uint16_t)below(2);
		nlh->nlmsg_flags = (uint16_t)any();
		break;
	case WRONG_CUT:
		n = below((uint32_t)out_len - NLMSG_HDRLEN);
		out_len = NLMSG_HDRLEN + n;
		break;
	case WRONG_FLIP:
		for (n = 1 + below(4); n && out_len > NLMSG_HDRLEN; n--)
			out[NLMSG_HDRLEN + below((uint32_t)out_len - NLMSG_HDRLEN)] ^=
				(char)(1 << below(8));
		break;
	default:
		return;
	}
	done_wrong = true;
}

static int random_command(void)
{
	int cmd;

	/* Rules are to last a while. */
	do
		cmd = 1 + (int)below(COMMANDS - 1);
	while (commands[cmd].event || (cmd == TCP_KEEPALIVE_CMD_RULE_FLUSH && !one_in(8)) ||
	       (cmd == TCP_KEEPALIVE_CMD_RESTORE && !one_in(4)));
	return cmd;
}

static bool reads(int cmd)
{
	return cmd == TCP_KEEPALIVE_CMD_POLICY_GET || cmd == TCP_KEEPALIVE_CMD_STATS_GET ||
	       cmd == TCP_KEEPALIVE_CMD_CONN_GET || cmd == TCP_KEEPALIVE_CMD_RULE_GET ||
	       cmd == TCP_KEEPALIVE_CMD_RULE_TEST;
}

/* Make a message; what it asks is @ask. */
static void make(struct socket *s, struct ask *ask)
{
	int cmd = random_command(), flags = NLM_F_REQUEST;
	struct nlmsghdr *nlh = (void *)out;
	struct genlmsghdr genl = { .cmd = (uint8_t)cmd, .version = 1 };

	wrong = one_in(3) ? WRONG_NOTHING : (enum wrong)below(WRONGS);
	victim = (int)below(one_in(2) ? 2 : 10);
	done_wrong = false;
	in_filter = commands[cmd].dump;
	if (commands[cmd].dump)
		flags |= NLM_F_DUMP;
	if (!one_in(8))
		flags |= NLM_F_ACK;

	out_len = NLMSG_HDRLEN;
	put(&genl, sizeof(genl));
	*nlh = (struct nlmsghdr){ .nlmsg_type = (uint16_t)family, .nlmsg_flags = (uint16_t)flags,
				  .nlmsg_seq = ++s->seq };
	put_attrs(commands[cmd].set, commands[cmd].request);
	finish_wrong(cmd);
	nlh->nlmsg_len = (uint32_t)out_len;
	/* The kernel does not look at what is shorter than it says. */
	if (wrong == WRONG_SHORT)
		nlh->nlmsg_len = one_in(2) ? below(NLMSG_HDRLEN) : nlh->nlmsg_len + 1 + below(64);

	*ask = (struct ask){ .seq = s->seq };
	ask->may_be_short = out_len < NLMSG_LENGTH(GENL_HDRLEN);
	flags = nlh->nlmsg_flags;
	ask->open = wrong != WRONG_SHORT && (flags & NLM_F_ACK || wrong != WRONG_HEADER);
	if (!(flags & NLM_F_ACK) && !commands[cmd].dump)
		ask->open = false;
	if (wrong == WRONG_FLIP || wrong == WRONG_CUT || !(flags & NLM_F_REQUEST))
		return;
	ask->cmd = cmd;
	ask->refused = (done_wrong && wrong <= WRONG_REFUSED) || (reader && !reads(cmd));
	tally[cmd].sent++;
}

/* --- answers --- */

static void check_attrs(int set, uint64_t which, const void *from, int len, bool top);

static void check_attr(const struct set *set, const struct nlattr *a, uint64_t *which, bool top)
{
	int type = a->nla_type & NLA_TYPE_MASK, len = a->nla_len - NLA_HDRLEN;
	bool nest = a->nla_type & NLA_F_NESTED, is_nest;
	const struct attr *is;
	uint64_t v;

	if (type < 1 || type > set->n)
		fail("an answer with an attribute %d that there is not", type);
	is = &set->attrs[type];
	if (is->kind == KIND_PAD) {
		if (len)
			fail("a pad of %d bytes", len);
		return;
	}
	if (!(*which >> type & 1))
		fail("an answer with %s, which is not of it or twice", is->name);
	if (!is->multi)
		*which &= ~(1ULL << type);
	is_nest = is->kind == KIND_NEST;
	if (nest != is_nest)
		fail("%s is a nest, or is none", is->name);
	switch (is->kind) {
	case KIND_NEST:
		check_attrs(is->nested, ~0ULL, a + 1, len, false);
		return;
	case KIND_STRING:
		if (len < 1 || strnlen((char *)(a + 1), (size_t)len) != (size_t)len - 1)
			fail("%s is no string", is->name);
		return;
	case KIND_BINARY:
		if (len != 4 && len != 16)
			fail("%s is an address of %d bytes", is->name, len);
		return;
	case KIND_FLAG:
		if (len)
			fail("the flag %s has %d bytes", is->name, len);
		return;
	default:
		break;
	}
	if (len != (int)width(is->kind))
		fail("%s has %d bytes", is->name, len);
	v = number(a);
	if (is->is_enum && (int64_t)v > is->max)
		fail("%s is %" PRIu64, is->name, v);
	if (top && !strcmp(is->name, "netns-ino") && v != netns_ino)
		fail("an answer from namespace %" PRIu64, v);
}

static void check_attrs(int set, uint64_t which, const void *from, int len, bool top)
{
	const struct nlattr *a = from;

	while (len >= NLA_HDRLEN && a->nla_len >= NLA_HDRLEN && a->nla_len <= len) {
		check_attr(&sets[set], a, &which, top);
		len -= NLA_ALIGN(a->nla_len);
		a = (void *)a + NLA_ALIGN(a->nla_len);
	}
	if (len > 0)
		fail("an answer with %d bytes that are no attribute", len);
}

static const struct command *check_message(const struct nlmsghdr *nlh)
{
	const struct message *m = (void *)nlh;
	int len = (int)nlh->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN);

	if (len < 0 || !m->genl.cmd || m->genl.cmd >= COMMANDS)
		fail("an answer that is no message of the family");
	check_attrs(commands[m->genl.cmd].set, commands[m->genl.cmd].reply, m->attrs, len, true);
	return &commands[m->genl.cmd];
}

/* The message of an extended ack. */
static const char *said(const struct nlmsghdr *nlh)
{
	struct nlattr *a[ATTRS] = {};
	int *error = NLMSG_DATA(nlh);
	struct answer r = {};

	if (nlh->nlmsg_type == NLMSG_ERROR) {
		read_ack(&r, (struct nlmsghdr *)nlh);
		return r.text;
	}
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	index_attrs(a, error + 1, (int)nlh->nlmsg_len - NLMSG_LENGTH(sizeof(*error)));
	return a[NLMSGERR_ATTR_MSG] ? (char *)(a[NLMSGERR_ATTR_MSG] + 1) : NULL;
}

/* Is that an error which is documented, with what belongs to it? */
static void check_error(const struct socket *s, const struct ask *ask, int error,
			const char *text)
{
	bool word = text && *text;

	switch (-error) {
	case EINVAL:
		if (!word && !ask->may_be_short)
			fail("EINVAL, and not a word");
		return;
	case ERANGE:
	case EEXIST:
	case ENOSPC:
	case ENOENT:
	case ENOTDIR:
		if (!word)
			fail("%s, and not a word", strerror(-error));
		return;
	case EOPNOTSUPP:
		return;
	case EPERM:
		if (reader && !(ask->cmd && reads(ask->cmd)))
			return;
		break;
	case EBUSY:		/* a dump beside another of the same socket */
	case EAGAIN:		/* nobody takes its answers away */
		if (s != &sockets[0])
			return;
		break;
	}
	fail("%s (%s)", strerror(-error), text ?: "not a word");
}

static void end_of(const struct socket *s, struct ask *ask, const struct nlmsghdr *nlh)
{
	int error = *(int *)NLMSG_DATA(nlh);

	if (nlh->nlmsg_len < NLMSG_LENGTH(sizeof(int)))
		fail("an end of %u bytes", nlh->nlmsg_len);
	if (error)
		check_error(s, ask, error, said(nlh));
	else if (ask->refused)
		fail("%s was done", commands[ask->cmd].name);
	ask->open = false;
	if (!ask->cmd)
		return;
	tally[ask->cmd].done += !error;
	tally[ask->cmd].refused += !!error;
}

static void answered(struct socket *s, const struct nlmsghdr *nlh)
{
	struct ask *ask = &s->ask[nlh->nlmsg_seq % ASKS];

	if (ask->seq != nlh->nlmsg_seq)
		fail("an answer to %u, which nobody asked", nlh->nlmsg_seq);
	if (nlh->nlmsg_type == NLMSG_ERROR || nlh->nlmsg_type == NLMSG_DONE) {
		end_of(s, ask, nlh);
		return;
	}
	if (nlh->nlmsg_type != family)
		fail("an answer of type %u", nlh->nlmsg_type);
	check_message(nlh);
	if (ask->refused)
		fail("%s has an answer", commands[ask->cmd].name);
}

/* Take one part of what there is; false if there is nothing. */
static bool take(struct socket *s)
{
	static char in[ROOM];
	ssize_t len = recv(s->fd, in, sizeof(in), MSG_DONTWAIT | MSG_TRUNC);
	struct nlmsghdr *nlh = (void *)in;
	int left = (int)len;

	if (len < 0 && errno == ENOBUFS && s != &sockets[0])
		return true;
	if (len < 0 && errno != EAGAIN)
		fail("recv: %s", strerror(errno));
	if (len <= 0)
		return false;
	if (len > ROOM)
		fail("an answer of %zd bytes", len);
	for (; left > 0 && NLMSG_OK(nlh, (unsigned int)left); nlh = NLMSG_NEXT(nlh, left))
		answered(s, nlh);
	if (left > 0)
		fail("%d bytes after an answer", left);
	return true;
}

/* Events, each with a higher number than the one before. */
static void listen_in(void)
{
	static char in[ROOM];
	struct nlmsghdr *nlh = (void *)in;
	ssize_t len;

	while ((len = recv(ears, in, sizeof(in), MSG_DONTWAIT)) > 0 || errno == ENOBUFS) {
		const struct command *c;
		struct nlattr *a[ATTRS] = {};
		uint32_t seq;
		int group, at;

		if (len < 0) {
			errno = 0;
			continue;
		}
		c = check_message(nlh);
		if (!c->event)
			fail("%s is no event", c->name);
		group = c->set == SET_EVENT;
		at = group ? TCP_KEEPALIVE_A_EVENT_SEQ : c->set == SET_RULE ?
			TCP_KEEPALIVE_A_RULE_SEQ : TCP_KEEPALIVE_A_POLICY_SEQ;
		index_attrs(a, (void *)nlh + NLMSG_LENGTH(GENL_HDRLEN),
			    (int)nlh->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN));
		if (!a[at])
			fail("%s without its number", c->name);
		seq = (uint32_t)number(a[at]);
		if ((int32_t)(seq - heard[group]) <= 0 && heard[group])
			fail("%s %u after %u", c->name, seq, heard[group]);
		heard[group] = seq;
		events_heard++;
	}
}

/* --- one run --- */

static void socket_open(struct socket *s)
{
	int on = 1;

	if (s->fd > 0)
		close(s->fd);
	*s = (struct socket){ .fd = netlink() };
	if (s->fd < 0)
		fail("no socket: %s", strerror(errno));
	/* Else each refusal brings the whole request back. */
	setsockopt(s->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
}

static void ears_open(void)
{
	int i;

	if (ears >= 0)
		close(ears);
	ears = netlink();
	memset(heard, 0, sizeof(heard));
	for (i = 0; i < LEN(groups); i++)
		if (setsockopt(ears, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			       sizeof(groups[i])))
			fail("cannot listen: %s", strerror(errno));
}

static void open_all(void)
{
	struct stat st;
	int i;

	if (stat("/proc/self/ns/net", &st))
		fail("no namespace: %s", strerror(errno));
	netns_ino = (uint32_t)st.st_ino;
	for (i = 0; i < SOCKETS; i++)
		socket_open(&sockets[i]);
	ears_open();
}

static void send_one(struct socket *s)
{
	struct ask *ask = &s->ask[(s->seq + 1) % ASKS];
	int n;

	make(s, ask);
	if (send(s->fd, out, out_len, 0) < 0 && errno != EAGAIN && errno != ENOBUFS)
		fail("send: %s", strerror(errno));
	s->sent++;
	if (s == &sockets[0]) {
		while (take(s))
			;
		if (ask->open)
			fail("%s has no answer", ask->cmd ? commands[ask->cmd].name : "it");
	} else {
		for (n = (int)below(5); n && take(s); n--)
			;
		if (s->sent >= ASKS / 2 || one_in(32))
			socket_open(s);
	}
}

static void send_some(uint64_t n)
{
	for (; n; n--, sent_now++) {
		send_one(&sockets[one_in(3) ? 1 + below(SOCKETS - 1) : 0]);
		if (one_in(32))
			listen_in();
		if (one_in(512))
			ears_open();
	}
}

/* A namespace, with its owner maybe, that lasts for a few messages. */
static void elsewhere(void)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		/* Not what its parent sends next. */
		random_state = ~random_state;
		if (unshare((reader || one_in(2) ? CLONE_NEWUSER : 0) | CLONE_NEWNET))
			_exit(errno == EPERM || errno == ENOSPC || errno == EUSERS ? 0 : 1);
		reader = false;
		open_all();
		send_some(50);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		fail("in a new namespace: status %#x", (unsigned int)status);
	sent_now += 50;
}

static uint32_t group_id(const char *name)
{
	int fd = netlink();
	uint32_t id = 0;

	family = family_id(fd, name, &id);
	close(fd);
	if (family < 0 || !id)
		fail("no family, or no group %s", name);
	return id;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	double begin = now(), took;
	int i, opt;

	seed = (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32;
	while ((opt = getopt(argc, argv, "n:s:r")) != -1) {
		if (opt == 'n')
			messages = strtoull(optarg, NULL, 0);
		else if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (opt == 'r')
			reader = true;
		else
			return 2;
	}
	/* Of 0 nothing but 0 comes. */
	random_state = seed * 0x9e3779b97f4a7c15ULL | 1;
	groups[0] = group_id(TCP_KEEPALIVE_MCGRP_POLICY);
	groups[1] = group_id(TCP_KEEPALIVE_MCGRP_EVENTS);
	open_all();
	while (sent_now < messages) {
		send_some(200);
		if (one_in(4))
			elsewhere();
	}
	took = now() - begin;
	printf("seed %" PRIu64 ": %" PRIu64 " messages in %.1f s, %.0f a second; %" PRIu64
	       " events\n", seed, sent_now, took, (double)sent_now / took, events_heard);
	for (i = 1; i < COMMANDS; i++)
		if (!commands[i].event)
			printf("%s %" PRIu64 " sent %" PRIu64 " done %" PRIu64 " refused\n",
			       commands[i].name, tally[i].sent, tally[i].done, tally[i].refused);
	return 0;
}

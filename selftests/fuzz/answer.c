// SPDX-License-Identifier: GPL-2.0
/* Answers and events: are they what the spec and the request say? */
#include "family.h"

/* @netns_ino: the namespace that it is to be from, 0 within a nest. */
static void check_attrs(int set, uint64_t which, const void *from, int len, uint32_t netns_ino);

static void check_attr(const struct set *set, const struct nlattr *a, uint64_t *which,
		       uint32_t netns_ino)
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
		check_attrs(is->nested, ~0ULL, a + 1, len, 0);
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
	if (netns_ino && !strcmp(is->name, "netns-ino") && v != netns_ino)
		fail("an answer from namespace %" PRIu64, v);
}

static void check_attrs(int set, uint64_t which, const void *from, int len, uint32_t netns_ino)
{
	const struct nlattr *a = from;

	while (len >= NLA_HDRLEN && a->nla_len >= NLA_HDRLEN && a->nla_len <= len) {
		check_attr(&sets[set], a, &which, netns_ino);
		len -= NLA_ALIGN(a->nla_len);
		a = (void *)a + NLA_ALIGN(a->nla_len);
	}
	if (len > 0)
		fail("an answer with %d bytes that are no attribute", len);
}

static const struct command *check_message(const struct nlmsghdr *nlh, uint32_t netns_ino)
{
	const struct message *m = (void *)nlh;
	int len = (int)nlh->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN);
	const struct command *c;

	if (len < 0 || !m->genl.cmd || m->genl.cmd >= COMMANDS)
		fail("an answer that is no message of the family");
	c = &commands[m->genl.cmd];
	check_attrs(c->set, c->reply, m->attrs, len, netns_ino);
	return c;
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
		if (s->who->reader && !ask->reads)
			return;
		break;
	case EBUSY:		/* a dump beside another of the same socket */
	case EAGAIN:		/* nobody takes its answers away */
		if (!s->waits)
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
	s->who->tally[ask->cmd].done += !error;
	s->who->tally[ask->cmd].refused += !!error;
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
	if (nlh->nlmsg_type != s->who->family)
		fail("an answer of type %u", nlh->nlmsg_type);
	check_message(nlh, s->who->netns_ino);
	if (ask->refused)
		fail("%s has an answer", commands[ask->cmd].name);
}

bool take(struct socket *s)
{
	static char in[ROOM];
	ssize_t len = recv(s->fd, in, sizeof(in), MSG_DONTWAIT | MSG_TRUNC);
	struct nlmsghdr *nlh = (void *)in;
	int left = (int)len;

	if (len < 0 && errno == ENOBUFS && !s->waits)
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

void listen_in(struct ears *ears)
{
	static char in[ROOM];
	struct nlmsghdr *nlh = (void *)in;
	ssize_t len;

	while ((len = recv(ears->fd, in, sizeof(in), MSG_DONTWAIT)) > 0 || errno == ENOBUFS) {
		const struct command *c;
		struct nlattr *a[ATTRS] = {};
		uint32_t seq;
		int group, at;

		if (len < 0) {
			errno = 0;
			continue;
		}
		c = check_message(nlh, ears->who->netns_ino);
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
		if ((int32_t)(seq - ears->heard[group]) <= 0 && ears->heard[group])
			fail("%s %u after %u", c->name, seq, ears->heard[group]);
		ears->heard[group] = seq;
		ears->events++;
	}
}

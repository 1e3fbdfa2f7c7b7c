/* SPDX-License-Identifier: GPL-2.0 */
/* Generic netlink without a library, for the tests that look at the messages. */
#ifndef NL_H
#define NL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/tcp_keepalive.h>

#define ATTRS 64

struct message {
	struct nlmsghdr nlh;
	struct genlmsghdr genl;
	char attrs[8192];
};

/* What came back: the error or the reply's attributes, and the extended ack. */
struct answer {
	struct message m;
	int error;
	struct nlattr *attr[ATTRS];
	const char *text;		/* NLMSGERR_ATTR_MSG */
	int offset;			/* NLMSGERR_ATTR_OFFS, -1 if none */
	bool range;			/* NLMSGERR_ATTR_POLICY has a minimum */
	int64_t min;
	uint64_t max;
};

static inline void add(struct message *m, int type, const void *data, int len)
{
	struct nlattr *a = (void *)m + NLMSG_ALIGN(m->nlh.nlmsg_len);

	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + len;
	memset(a + 1, 0, NLA_ALIGN(len));
	memcpy(a + 1, data, len);
	m->nlh.nlmsg_len = NLMSG_ALIGN(m->nlh.nlmsg_len) + NLA_ALIGN(a->nla_len);
}

static inline void add_u32(struct message *m, int type, uint32_t v)
{
	add(m, type, &v, sizeof(v));
}

static inline void start(struct message *m, int family, int cmd)
{
	memset(m, 0, sizeof(*m));
	m->nlh.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	m->nlh.nlmsg_type = family;
	m->nlh.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	m->genl.cmd = cmd;
	m->genl.version = TCP_KEEPALIVE_FAMILY_VERSION;
}

static inline void index_attrs(struct nlattr **attr, void *from, int len)
{
	struct nlattr *a = from;

	while (len >= NLA_HDRLEN && a->nla_len >= NLA_HDRLEN &&
	       a->nla_len <= len) {
		int type = a->nla_type & NLA_TYPE_MASK;

		if (type < ATTRS)
			attr[type] = a;
		len -= NLA_ALIGN(a->nla_len);
		a = (void *)a + NLA_ALIGN(a->nla_len);
	}
}

static inline uint64_t number(const struct nlattr *a)
{
	uint64_t v = 0;

	memcpy(&v, a + 1, a->nla_len - NLA_HDRLEN);
	return v;
}

static inline void read_ack(struct answer *r, struct nlmsghdr *nlh)
{
	struct nlattr *ack[ATTRS] = {}, *policy[ATTRS] = {};
	struct nlmsgerr *e = NLMSG_DATA(nlh);
	void *tlvs = e + 1;

	r->error = e->error;
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		tlvs += e->msg.nlmsg_len - sizeof(e->msg);
	index_attrs(ack, tlvs, (void *)nlh + nlh->nlmsg_len - tlvs);
	if (ack[NLMSGERR_ATTR_MSG])
		r->text = (char *)(ack[NLMSGERR_ATTR_MSG] + 1);
	if (ack[NLMSGERR_ATTR_OFFS])
		r->offset = number(ack[NLMSGERR_ATTR_OFFS]);
	if (!ack[NLMSGERR_ATTR_POLICY])
		return;
	index_attrs(policy, ack[NLMSGERR_ATTR_POLICY] + 1,
		    ack[NLMSGERR_ATTR_POLICY]->nla_len - NLA_HDRLEN);
	if (policy[NL_POLICY_TYPE_ATTR_MIN_VALUE_S]) {
		r->range = true;
		r->min = number(policy[NL_POLICY_TYPE_ATTR_MIN_VALUE_S]);
		r->max = number(policy[NL_POLICY_TYPE_ATTR_MAX_VALUE_S]);
	} else if (policy[NL_POLICY_TYPE_ATTR_MIN_VALUE_U]) {
		r->range = true;
		r->min = number(policy[NL_POLICY_TYPE_ATTR_MIN_VALUE_U]);
		r->max = number(policy[NL_POLICY_TYPE_ATTR_MAX_VALUE_U]);
	}
}

/* Send a request; the answer ends with an ack. */
static inline struct answer *ask(int fd, struct message *m)
{
	static struct answer r;
	static char ack[8192];

	memset(&r, 0, sizeof(r));
	r.offset = -1;
	r.error = -EIO;
	if (send(fd, m, m->nlh.nlmsg_len, 0) < 0)
		return &r;
	for (;;) {
		struct nlmsghdr *nlh = (void *)ack;
		int len = recv(fd, ack, sizeof(ack), 0);

		if (len < (int)sizeof(*nlh))
			return &r;
		if (nlh->nlmsg_type == NLMSG_ERROR) {
			read_ack(&r, nlh);
			return &r;
		}
		memcpy(&r.m, ack, len);
		index_attrs(r.attr, r.m.attrs, len - NLMSG_LENGTH(GENL_HDRLEN));
	}
}

/* The family's number, or -1, and that of one of its groups. */
static inline int family_id(int fd, const char *name, uint32_t *id)
{
	struct nlattr *groups[ATTRS] = {}, *group[ATTRS] = {};
	struct message m;
	struct answer *r;
	int i;

	start(&m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	add(&m, CTRL_ATTR_FAMILY_NAME, TCP_KEEPALIVE_FAMILY_NAME,
	    sizeof(TCP_KEEPALIVE_FAMILY_NAME));
	r = ask(fd, &m);
	if (r->error || !r->attr[CTRL_ATTR_FAMILY_ID])
		return -1;
	index_attrs(groups, r->attr[CTRL_ATTR_MCAST_GROUPS] + 1,
		    r->attr[CTRL_ATTR_MCAST_GROUPS]->nla_len - NLA_HDRLEN);
	for (i = 1; groups[i]; i++) {
		index_attrs(group, groups[i] + 1,
			    groups[i]->nla_len - NLA_HDRLEN);
		if (!strcmp((char *)(group[CTRL_ATTR_MCAST_GRP_NAME] + 1),
			    name))
			*id = number(group[CTRL_ATTR_MCAST_GRP_ID]);
	}
	return number(r->attr[CTRL_ATTR_FAMILY_ID]);
}

static inline int netlink(void)
{
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	int on = 1;

	/* A socket without an address of its own hears no multicast. */
	bind(fd, (struct sockaddr *)&any, sizeof(any));
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	return fd;
}

#endif

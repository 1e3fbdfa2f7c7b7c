// SPDX-License-Identifier: GPL-2.0
/*
 * Which connections are meant: read from a request once, held against sockets
 * many times.
 */
#include <linux/cgroup.h>
#include <linux/err.h>
#include <linux/limits.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include <net/ipv6.h>
#include <net/netlink.h>
#include <net/sock.h>

#include "ident.h"
#include "match.h"

/* An address's prefix; an IPv4 address is in the first bytes. */
struct match_prefix {
	struct in6_addr	addr;
	u8		bits;
};

/**
 * struct ka_match - what a connection has to be like
 * @local: local address
 * @remote: the peer's address
 * @lport: local port, from and to
 * @rport: the peer's port, from and to
 * @uid: its user in @user_ns, from and to
 * @user_ns: the user namespace that @uid is of; NULL if any user will do
 * @cgroup: the cgroup that its socket was made in or below, or NULL
 * @len: bytes of its addresses, 0 if either will do
 */
struct ka_match {
	struct match_prefix	local;
	struct match_prefix	remote;
	u16			lport[2];
	u16			rport[2];
	u32			uid[2];
	struct user_namespace	*user_ns;
	struct cgroup		*cgroup;
	u8			len;
};

const struct nla_policy ka_match_attrs[TCP_KEEPALIVE_A_MATCH_MAX + 1] = {
	[TCP_KEEPALIVE_A_MATCH_LOCAL] = { .type = NLA_BINARY,
					  .len = sizeof(struct in6_addr) },
	[TCP_KEEPALIVE_A_MATCH_LOCAL_LEN]	= NLA_POLICY_MAX(NLA_U8, 128),
	[TCP_KEEPALIVE_A_MATCH_REMOTE] = { .type = NLA_BINARY,
					   .len = sizeof(struct in6_addr) },
	[TCP_KEEPALIVE_A_MATCH_REMOTE_LEN]	= NLA_POLICY_MAX(NLA_U8, 128),
	[TCP_KEEPALIVE_A_MATCH_LPORT_MIN]	= { .type = NLA_U16 },
	[TCP_KEEPALIVE_A_MATCH_LPORT_MAX]	= { .type = NLA_U16 },
	[TCP_KEEPALIVE_A_MATCH_RPORT_MIN]	= { .type = NLA_U16 },
	[TCP_KEEPALIVE_A_MATCH_RPORT_MAX]	= { .type = NLA_U16 },
	[TCP_KEEPALIVE_A_MATCH_UID_MIN]		= { .type = NLA_U32 },
	[TCP_KEEPALIVE_A_MATCH_UID_MAX]		= { .type = NLA_U32 },
	[TCP_KEEPALIVE_A_MATCH_CGROUP] = { .type = NLA_NUL_STRING,
					   .len = PATH_MAX - 1 },
};

/* The end of a dump, unlike an ack, names no attribute: the message has to. */
#define MATCH_REFUSE(extack, attr, msg)					\
	({								\
		NL_SET_ERR_MSG_ATTR(extack, attr, msg);			\
		-EINVAL;						\
	})

static int match_len(struct ka_match *m, const struct nlattr *addr,
		     struct netlink_ext_ack *extack)
{
	if (nla_len(addr) != sizeof(struct in_addr) &&
	    nla_len(addr) != sizeof(struct in6_addr))
		return MATCH_REFUSE(extack, addr,
				    "local, remote: an address has 4 or 16 bytes");
	if (m->len && m->len != nla_len(addr))
		return MATCH_REFUSE(extack, addr,
				    "local, remote: one is IPv4, the other IPv6");
	m->len = nla_len(addr);
	return 0;
}

static int match_prefix(struct ka_match *m, struct match_prefix *p,
			struct nlattr **tb, int attr,
			struct netlink_ext_ack *extack)
{
	const struct nlattr *addr = tb[attr], *len = tb[attr + 1];
	int err;

	if (!addr)
		return !len ? 0 : MATCH_REFUSE(extack, len,
			"local, remote: a prefix length without its address");
	err = match_len(m, addr, extack);
	if (err)
		return err;
	p->bits = len ? nla_get_u8(len) : 8 * m->len;
	if (p->bits > 8 * m->len)
		return MATCH_REFUSE(extack, len,
				    "local, remote: the prefix of an IPv4 address has 0 to 32 bits");
	memcpy(&p->addr, nla_data(addr), m->len);
	return 0;
}

/* An end that is not given bounds nothing. */
static bool match_range16(u16 range[2], struct nlattr **tb, int attr)
{
	range[0] = tb[attr] ? nla_get_u16(tb[attr]) : 0;
	range[1] = tb[attr + 1] ? nla_get_u16(tb[attr + 1]) : U16_MAX;
	return range[0] <= range[1];
}

static int match_uid(struct ka_match *m, struct nlattr **tb,
		     struct user_namespace *user_ns,
		     struct netlink_ext_ack *extack)
{
	const struct nlattr *min = tb[TCP_KEEPALIVE_A_MATCH_UID_MIN];
	const struct nlattr *max = tb[TCP_KEEPALIVE_A_MATCH_UID_MAX];

	if (!min && !max)
		return 0;
	m->uid[0] = min ? nla_get_u32(min) : 0;
	m->uid[1] = max ? nla_get_u32(max) : U32_MAX - 1;
	if (m->uid[0] > m->uid[1])
		return MATCH_REFUSE(extack, min, "uid: the range is empty");
	m->user_ns = get_user_ns(user_ns);
	return 0;
}

static int match_cgroup(struct ka_match *m, const struct nlattr *path,
			struct netlink_ext_ack *extack)
{
	struct cgroup *cgroup;

	if (!path)
		return 0;
	if (!IS_ENABLED(CONFIG_SOCK_CGROUP_DATA)) {
		NL_SET_ERR_MSG_ATTR(extack, path,
				    "cgroup: sockets have none in this kernel");
		return -EOPNOTSUPP;
	}
	cgroup = cgroup_get_from_path(nla_data(path));
	if (IS_ERR(cgroup)) {
		NL_SET_ERR_MSG_ATTR(extack, path,
				    "cgroup: no such path in the v2 tree");
		return PTR_ERR(cgroup);
	}
	m->cgroup = cgroup;
	return 0;
}

/**
 * ka_match_parse - read what is meant
 * @nest: attributes of &enum tcp_keepalive_a_match, validated by
 *	ka_match_attrs; NULL matches everything
 * @user_ns: the user namespace that a uid is of
 * @extack: told what makes no sense
 *
 * May sleep. A cgroup's path is looked up from the root that current sees.
 *
 * Return: for ka_match_free(), or an ERR_PTR.
 */
struct ka_match *ka_match_parse(const struct nlattr *nest,
				struct user_namespace *user_ns,
				struct netlink_ext_ack *extack)
{
	struct nlattr *tb[TCP_KEEPALIVE_A_MATCH_MAX + 1] = {};
	struct ka_match *m;
	int err = 0;

	if (nest)
		err = nla_parse_nested(tb, TCP_KEEPALIVE_A_MATCH_MAX, nest,
				       ka_match_attrs, extack);
	if (err)
		return ERR_PTR(err);
	m = kzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);
	if (!m)
		return ERR_PTR(-ENOMEM);

	err = match_prefix(m, &m->local, tb, TCP_KEEPALIVE_A_MATCH_LOCAL,
			   extack) ?:
	      match_prefix(m, &m->remote, tb, TCP_KEEPALIVE_A_MATCH_REMOTE,
			   extack);
	if (!err && !match_range16(m->lport, tb,
				   TCP_KEEPALIVE_A_MATCH_LPORT_MIN))
		err = MATCH_REFUSE(extack, tb[TCP_KEEPALIVE_A_MATCH_LPORT_MIN],
				   "lport: the range is empty");
	if (!err && !match_range16(m->rport, tb,
				   TCP_KEEPALIVE_A_MATCH_RPORT_MIN))
		err = MATCH_REFUSE(extack, tb[TCP_KEEPALIVE_A_MATCH_RPORT_MIN],
				   "rport: the range is empty");
	if (!err)
		err = match_uid(m, tb, user_ns, extack);
	if (!err)
		err = match_cgroup(m, tb[TCP_KEEPALIVE_A_MATCH_CGROUP], extack);
	if (!err)
		return m;

	ka_match_free(m);
	return ERR_PTR(err);
}

/* May be given NULL. */
void ka_match_free(struct ka_match *m)
{
	if (!m)
		return;
	if (m->user_ns)
		put_user_ns(m->user_ns);
	if (m->cgroup)
		cgroup_put(m->cgroup);
	kfree(m);
}

static bool match_owner(const struct ka_match *m, const struct sock *sk)
{
	if (m->user_ns) {
		uid_t uid = from_kuid(m->user_ns, sk->sk_uid);

		if (uid < m->uid[0] || uid > m->uid[1])
			return false;
	}
#ifdef CONFIG_SOCK_CGROUP_DATA
	if (m->cgroup) {
		struct sock_cgroup_data *data = (void *)&sk->sk_cgrp_data;

		if (!cgroup_is_descendant(sock_cgroup_ptr(data), m->cgroup))
			return false;
	}
#endif
	return true;
}

/**
 * ka_match - is this connection meant?
 * @m: what is meant
 * @sk: its socket, held
 * @id: its identity
 */
bool ka_match(const struct ka_match *m, const struct sock *sk,
	      const struct ka_ident *id)
{
	if (id->lport < m->lport[0] || id->lport > m->lport[1] ||
	    id->rport < m->rport[0] || id->rport > m->rport[1])
		return false;
	if (m->len &&
	    (id->len != m->len ||
	     !ipv6_prefix_equal(&id->local, &m->local.addr, m->local.bits) ||
	     !ipv6_prefix_equal(&id->remote, &m->remote.addr, m->remote.bits)))
		return false;
	return match_owner(m, sk);
}

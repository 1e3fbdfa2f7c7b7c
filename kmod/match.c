// SPDX-License-Identifier: GPL-2.0
/*
 * Which connections are meant: read from a request once, held against
 * connections many times.
 */
#include <linux/err.h>
#include <linux/kernfs.h>
#include <linux/limits.h>
#include <linux/nsproxy.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include <net/ipv6.h>
#include <net/netlink.h>
#include <net/sock.h>

#include "compat/cgroup.h"
#include "match.h"
#include "netlink.h"

/* An address's prefix; an IPv4 address is in the first bytes. */
struct match_prefix {
	struct in6_addr	addr;
	u8		bits;
	bool		given;
};

/**
 * struct ka_match - what a connection has to be like
 * @ref: one for each rule or dump that has it
 * @local: local address
 * @remote: the peer's address
 * @lport: local port, from and to
 * @rport: the peer's port, from and to
 * @uid: its user in @user_ns, from and to
 * @kuid: the same as the kernel's own, as they were mapped when it was read
 * @kuid_bounds: all users between the two are between the two @kuid
 * @user_ns: the user namespace that @uid is of; NULL if any user will do
 * @cgroup: the cgroup that its socket was made in or below, or NULL
 * @mark: its socket's mark in the bits of @mark_mask
 * @mark_mask: 0 if any mark will do
 * @dir: &enum tcp_keepalive_dir, or -1 if either will do
 * @len: bytes of its addresses, 0 if either will do
 *
 * Constant but for @ref.
 */
struct ka_match {
	refcount_t		ref;
	struct match_prefix	local;
	struct match_prefix	remote;
	u16			lport[2];
	u16			rport[2];
	u32			uid[2];
	kuid_t			kuid[2];
	bool			kuid_bounds;
	struct user_namespace	*user_ns;
	struct cgroup		*cgroup;
	u32			mark;
	u32			mark_mask;
	s8			dir;
	u8			len;
};

#define V4MAPPED_BITS	96	/* of ::ffff:0:0/96 */

#define MATCH_ADDR	{ .type = NLA_BINARY, .len = sizeof(struct in6_addr) }

/* All but (uid_t)-1, which is no user. */
static struct netlink_range_validation match_uid_allowed = {
	.max = U32_MAX - 1,
};

#define MATCH_UID	NLA_POLICY_FULL_RANGE(NLA_U32, &match_uid_allowed)

/* What may be asked of connections by whoever may see them. */
#define MATCH_FILTER_ATTRS						\
	[TCP_KEEPALIVE_A_MATCH_LOCAL]		= MATCH_ADDR,		\
	[TCP_KEEPALIVE_A_MATCH_LOCAL_LEN]	= NLA_POLICY_MAX(NLA_U8, 128), \
	[TCP_KEEPALIVE_A_MATCH_REMOTE]		= MATCH_ADDR,		\
	[TCP_KEEPALIVE_A_MATCH_REMOTE_LEN]	= NLA_POLICY_MAX(NLA_U8, 128), \
	[TCP_KEEPALIVE_A_MATCH_LPORT_MIN]	= { .type = NLA_U16 },	\
	[TCP_KEEPALIVE_A_MATCH_LPORT_MAX]	= { .type = NLA_U16 },	\
	[TCP_KEEPALIVE_A_MATCH_RPORT_MIN]	= { .type = NLA_U16 },	\
	[TCP_KEEPALIVE_A_MATCH_RPORT_MAX]	= { .type = NLA_U16 },	\
	[TCP_KEEPALIVE_A_MATCH_UID_MIN]		= MATCH_UID,		\
	[TCP_KEEPALIVE_A_MATCH_UID_MAX]		= MATCH_UID,		\
	[TCP_KEEPALIVE_A_MATCH_CGROUP]		= { .type = NLA_NUL_STRING, \
						    .len = PATH_MAX - 1 }

const struct nla_policy
	ka_match_filter_attrs[TCP_KEEPALIVE_A_MATCH_CGROUP + 1] = {
	MATCH_FILTER_ATTRS,
};

const struct nla_policy ka_match_attrs[TCP_KEEPALIVE_A_MATCH_MAX + 1] = {
	MATCH_FILTER_ATTRS,
	[TCP_KEEPALIVE_A_MATCH_DIR] =
		NLA_POLICY_MAX(NLA_U32, TCP_KEEPALIVE_DIR_OUT),
	[TCP_KEEPALIVE_A_MATCH_MARK]		= { .type = NLA_U32 },
	[TCP_KEEPALIVE_A_MATCH_MARK_MASK]	= { .type = NLA_U32 },
};

/* The first @bits bits of an address of @len bytes; the others are 0. */
static void match_mask(struct in6_addr *to, const void *from, u8 len, u8 bits)
{
	struct in6_addr addr = {};

	memcpy(&addr, from, len);
	ipv6_addr_prefix(to, &addr, bits);
}

static int match_prefix(struct ka_match *m, struct match_prefix *p,
			struct nlattr **tb, int attr,
			struct netlink_ext_ack *extack)
{
	const struct nlattr *addr = tb[attr], *len = tb[attr + 1];
	const u8 *bytes;
	u8 size, bits;

	if (!addr)
		return !len ? 0 : ka_netlink_refuse(extack, len,
			"local, remote: a prefix length without its address");
	bytes = nla_data(addr);
	size = nla_len(addr);
	if (size != sizeof(struct in_addr) && size != sizeof(struct in6_addr))
		return ka_netlink_refuse(extack, addr,
					 "local, remote: an address has 4 or 16 bytes");
	bits = len ? nla_get_u8(len) : 8 * size;
	if (bits > 8 * size)
		return ka_netlink_refuse(extack, len,
					 "local, remote: the prefix of an IPv4 address has 0 to 32 bits");
	/* As a connection's: of an IPv6 socket too it is IPv4's. */
	if (size == sizeof(struct in6_addr) && bits >= V4MAPPED_BITS &&
	    ipv6_addr_v4mapped((const struct in6_addr *)bytes)) {
		bytes += V4MAPPED_BITS / 8;
		size -= V4MAPPED_BITS / 8;
		bits -= V4MAPPED_BITS;
	}
	if (m->len && m->len != size)
		return ka_netlink_refuse(extack, addr,
					 "local, remote: one is IPv4, the other IPv6");
	m->len = size;
	p->given = true;
	p->bits = bits;
	match_mask(&p->addr, bytes, size, bits);
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
		return ka_netlink_refuse(extack, min,
					 "uid: the range is empty");
	m->user_ns = get_user_ns(user_ns);
	/* Once: what maps to what may still change. */
	m->kuid[0] = make_kuid(user_ns, m->uid[0]);
	m->kuid[1] = make_kuid(user_ns, m->uid[1]);
	m->kuid_bounds = uid_valid(m->kuid[0]) && uid_valid(m->kuid[1]) &&
			 (m->uid[0] == m->uid[1] || user_ns == &init_user_ns);
	return 0;
}

static int match_cgroup(struct cgroup **cgroup, const struct nlattr *path,
			struct netlink_ext_ack *extack)
{
	struct cgroup *found;

	if (!path)
		return 0;
	if (!IS_ENABLED(CONFIG_SOCK_CGROUP_DATA)) {
		NL_SET_ERR_MSG_ATTR(extack, path,
				    "cgroup: sockets have none in this kernel");
		return -EOPNOTSUPP;
	}
	found = ka_cgroup_get_from_path(nla_data(path));
	if (IS_ERR(found)) {
		if (PTR_ERR(found) != -ENOMEM)
			NL_SET_ERR_MSG_ATTR(extack, path,
					    "cgroup: no such path in the v2 tree");
		return PTR_ERR(found);
	}
	*cgroup = found;
	return 0;
}

static int match_mark(struct ka_match *m, struct nlattr **tb,
		      struct netlink_ext_ack *extack)
{
	const struct nlattr *mark = tb[TCP_KEEPALIVE_A_MATCH_MARK];
	const struct nlattr *mask = tb[TCP_KEEPALIVE_A_MATCH_MARK_MASK];

	if (!mark)
		return !mask ? 0 : ka_netlink_refuse(extack, mask,
			"mark: a mask without its mark");
	m->mark = nla_get_u32(mark);
	m->mark_mask = mask ? nla_get_u32(mask) : U32_MAX;
	if (!m->mark_mask)
		return ka_netlink_refuse(extack, mask,
					 "mark: a mask of no bits");
	if (m->mark & ~m->mark_mask)
		return ka_netlink_refuse(extack, mark,
					 "mark: bits outside of its mask");
	return 0;
}

static int match_parse(struct ka_match *m, struct nlattr **tb,
		       struct user_namespace *user_ns,
		       struct netlink_ext_ack *extack)
{
	int err;

	err = match_prefix(m, &m->local, tb, TCP_KEEPALIVE_A_MATCH_LOCAL,
			   extack) ?:
	      match_prefix(m, &m->remote, tb, TCP_KEEPALIVE_A_MATCH_REMOTE,
			   extack);
	if (err)
		return err;
	if (!match_range16(m->lport, tb, TCP_KEEPALIVE_A_MATCH_LPORT_MIN))
		return ka_netlink_refuse(extack,
					 tb[TCP_KEEPALIVE_A_MATCH_LPORT_MIN],
					 "lport: the range is empty");
	if (!match_range16(m->rport, tb, TCP_KEEPALIVE_A_MATCH_RPORT_MIN))
		return ka_netlink_refuse(extack,
					 tb[TCP_KEEPALIVE_A_MATCH_RPORT_MIN],
					 "rport: the range is empty");
	m->dir = tb[TCP_KEEPALIVE_A_MATCH_DIR] ?
		 nla_get_u32(tb[TCP_KEEPALIVE_A_MATCH_DIR]) : -1;
	return match_uid(m, tb, user_ns, extack) ?:
	       match_mark(m, tb, extack) ?:
	       match_cgroup(&m->cgroup, tb[TCP_KEEPALIVE_A_MATCH_CGROUP],
			    extack);
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
 * Return: for ka_match_put(), or an ERR_PTR.
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
	refcount_set(&m->ref, 1);
	err = match_parse(m, tb, user_ns, extack);
	if (!err)
		return m;
	ka_match_put(m);
	return ERR_PTR(err);
}

/* Whoever has it gets it once more. */
struct ka_match *ka_match_get(struct ka_match *m)
{
	refcount_inc(&m->ref);
	return m;
}

/* May be given NULL. Does not sleep. */
void ka_match_put(struct ka_match *m)
{
	if (!m || !refcount_dec_and_test(&m->ref))
		return;
	if (m->user_ns)
		put_user_ns(m->user_ns);
	if (m->cgroup)
		cgroup_put(m->cgroup);
	kfree(m);
}

static int match_put_prefix(struct sk_buff *skb, const struct match_prefix *p,
			    u8 len, int attr)
{
	if (!len)
		return 0;
	return nla_put(skb, attr, len, &p->addr) ?:
	       nla_put_u8(skb, attr + 1, p->bits);
}

static int match_put_ports(struct sk_buff *skb, const u16 range[2], int attr)
{
	if (!range[0] && range[1] == U16_MAX)
		return 0;
	return nla_put_u16(skb, attr, range[0]) ?:
	       nla_put_u16(skb, attr + 1, range[1]);
}

/* A user by its number in the asker's user namespace; one that has none there. */
static uid_t match_uid_for(const struct ka_match *m, int end,
			   struct user_namespace *user_ns)
{
	if (user_ns == m->user_ns)
		return m->uid[end];
	return from_kuid_munged(user_ns, m->kuid[end]);
}

/*
 * The cgroup's path from the root that current sees. Who has the match holds the
 * one, current's own namespace the other, and what is removed keeps its parents.
 * It is written right where the message will have it: a page is much for a stack.
 */
static int match_put_cgroup(struct sk_buff *skb, const struct cgroup *cgroup)
{
	const struct cgroup *root =
		current->nsproxy->cgroup_ns->root_cset->dfl_cgrp;
	int room = min_t(int, skb_tailroom(skb) - NLA_HDRLEN, PATH_MAX + 1);
	char *path = skb_tail_pointer(skb) + NLA_HDRLEN;
	int len;

	if (room <= 0)
		return -EMSGSIZE;
	len = kernfs_path_from_node(cgroup->kn, root->kn, path, room);
	/* Some kernels cut off what is too long, others refuse it. */
	if (len >= 0 && len < room - 1)
		return nla_reserve(skb, TCP_KEEPALIVE_A_MATCH_CGROUP, len + 1) ?
		       0 : -EMSGSIZE;
	if (room <= PATH_MAX)
		return -EMSGSIZE;
	return nla_put_string(skb, TCP_KEEPALIVE_A_MATCH_CGROUP, "(too long)");
}

/**
 * ka_match_fill - put what is meant into a message
 * @skb: the message
 * @m: what is meant; what it leaves open is left out
 * @user_ns: of whoever reads it
 *
 * current is whoever reads it or, of an event, who made the change: a cgroup's
 * path is from the root that it sees.
 *
 * Return: 0 or -EMSGSIZE.
 */
int ka_match_fill(struct sk_buff *skb, const struct ka_match *m,
		  struct user_namespace *user_ns)
{
	u8 local = m->local.given ? m->len : 0;
	u8 remote = m->remote.given ? m->len : 0;

	return match_put_prefix(skb, &m->local, local,
				TCP_KEEPALIVE_A_MATCH_LOCAL) ?:
	       match_put_prefix(skb, &m->remote, remote,
				TCP_KEEPALIVE_A_MATCH_REMOTE) ?:
	       match_put_ports(skb, m->lport,
			       TCP_KEEPALIVE_A_MATCH_LPORT_MIN) ?:
	       match_put_ports(skb, m->rport,
			       TCP_KEEPALIVE_A_MATCH_RPORT_MIN) ?:
	       (m->user_ns ? nla_put_u32(skb, TCP_KEEPALIVE_A_MATCH_UID_MIN,
					 match_uid_for(m, 0, user_ns)) ?:
			     nla_put_u32(skb, TCP_KEEPALIVE_A_MATCH_UID_MAX,
					 match_uid_for(m, 1, user_ns)) : 0) ?:
	       (m->cgroup ? match_put_cgroup(skb, m->cgroup) : 0) ?:
	       (m->dir >= 0 ? nla_put_u32(skb, TCP_KEEPALIVE_A_MATCH_DIR,
					  m->dir) : 0) ?:
	       (m->mark_mask ?
		nla_put_u32(skb, TCP_KEEPALIVE_A_MATCH_MARK, m->mark) ?:
		nla_put_u32(skb, TCP_KEEPALIVE_A_MATCH_MARK_MASK,
			    m->mark_mask) : 0);
}

/* Does it mean the connections of a user, or of some? */
bool ka_match_asks_user(const struct ka_match *m)
{
	return m->user_ns;
}

/* Has the cgroup that it means been removed? */
bool ka_match_gone(const struct ka_match *m)
{
	return m->cgroup && !(READ_ONCE(m->cgroup->self.flags) & CSS_ONLINE);
}

/**
 * ka_match_subject - read what there is to match of a connection
 * @s: filled in; its cgroup stays for as long as the socket is held
 * @sk: the socket
 * @dir: &enum tcp_keepalive_dir, or -1
 */
void ka_match_subject(struct ka_subject *s, const struct sock *sk, s8 dir)
{
	ka_ident_read(&s->ident, sk);
#ifdef CONFIG_SOCK_CGROUP_DATA
	s->cgroup = sock_cgroup_ptr((void *)&sk->sk_cgrp_data);
#else
	s->cgroup = NULL;
#endif
	s->uid = READ_ONCE(sk->sk_uid);
	s->mark = READ_ONCE(sk->sk_mark);
	s->dir = dir;
}

/**
 * ka_match_parse_subject - read a connection that is only spoken of
 * @s: filled in; the caller puts its cgroup, if there is one
 * @nest: attributes of &enum tcp_keepalive_a_match, with addresses whole and the
 *	MIN of what is a range; NULL is a connection that nothing is known of
 * @user_ns: the user namespace that the uid is of
 * @extack: told what makes no sense
 *
 * May sleep.
 *
 * Return: 0 or a negative error.
 */
int ka_match_parse_subject(struct ka_subject *s, const struct nlattr *nest,
			   struct user_namespace *user_ns,
			   struct netlink_ext_ack *extack)
{
	struct ka_match *m = ka_match_parse(nest, user_ns, extack);

	if (IS_ERR(m))
		return PTR_ERR(m);
	memset(s, 0, sizeof(*s));
	s->ident.local = m->local.addr;
	s->ident.remote = m->remote.addr;
	s->ident.lport = m->lport[0];
	s->ident.rport = m->rport[0];
	s->ident.len = m->len;
	s->uid = m->user_ns ? make_kuid(m->user_ns, m->uid[0]) : INVALID_UID;
	s->mark = m->mark;
	s->dir = m->dir;
	swap(s->cgroup, m->cgroup);
	ka_match_put(m);
	return 0;
}

/* Done with one that was only spoken of. */
void ka_match_subject_put(struct ka_subject *s)
{
	if (s->cgroup)
		cgroup_put(s->cgroup);
}

static bool match_owner(const struct ka_match *m, const struct ka_subject *s)
{
	if (m->user_ns) {
		uid_t uid = from_kuid(m->user_ns, s->uid);

		if (uid == (uid_t)-1 || uid < m->uid[0] || uid > m->uid[1])
			return false;
	}
	return !m->cgroup || (s->cgroup && !ka_match_gone(m) &&
			      cgroup_is_descendant(s->cgroup, m->cgroup));
}

/**
 * ka_match - is this connection meant?
 * @m: what is meant
 * @s: the connection
 */
bool ka_match(const struct ka_match *m, const struct ka_subject *s)
{
	const struct ka_ident *id = &s->ident;

	if (id->lport < m->lport[0] || id->lport > m->lport[1] ||
	    id->rport < m->rport[0] || id->rport > m->rport[1] ||
	    (m->dir >= 0 && s->dir != m->dir) ||
	    (s->mark & m->mark_mask) != m->mark)
		return false;
	if (m->len &&
	    (id->len != m->len ||
	     !ipv6_prefix_equal(&id->local, &m->local.addr, m->local.bits) ||
	     !ipv6_prefix_equal(&id->remote, &m->remote.addr, m->remote.bits)))
		return false;
	return match_owner(m, s);
}

/* The value of an address: one number for both families. */
static struct ka_match_value match_addr(const struct in6_addr *addr, u8 len)
{
	struct ka_match_value value;

	if (len == sizeof(*addr)) {
		value.v[0] = (u64)ntohl(addr->s6_addr32[0]) << 32 |
			     ntohl(addr->s6_addr32[1]);
		value.v[1] = (u64)ntohl(addr->s6_addr32[2]) << 32 |
			     ntohl(addr->s6_addr32[3]);
	} else {
		/* As in ::ffff:0:0/96, where no IPv6 connection is. */
		value.v[0] = 0;
		value.v[1] = 0xffffULL << 32 | ntohl(addr->s6_addr32[0]);
	}
	return value;
}

static bool match_prefix_range(const struct match_prefix *p, u8 len,
			       struct ka_match_value *from,
			       struct ka_match_value *to)
{
	unsigned int free = 8 * len - p->bits;

	if (!p->given)
		return false;
	*from = match_addr(&p->addr, len);
	*to = *from;
	if (free >= 64) {
		to->v[1] = U64_MAX;
		to->v[0] |= free > 64 ? U64_MAX >> (128 - free) : 0;
	} else if (free) {
		to->v[1] |= U64_MAX >> (64 - free);
	}
	return true;
}

static bool match_uid_range(const struct ka_match *m,
			    struct ka_match_value *from,
			    struct ka_match_value *to)
{
	if (!m->kuid_bounds)
		return false;
	from->v[1] = __kuid_val(m->kuid[0]);
	to->v[1] = __kuid_val(m->kuid[1]);
	return true;
}

/**
 * ka_match_range - the values of a key that a match leaves
 * @m: the match
 * @key: the key
 * @from: the first
 * @to: the last
 *
 * Return: false if the key does not bound it.
 */
bool ka_match_range(const struct ka_match *m, enum ka_match_key key,
		    struct ka_match_value *from, struct ka_match_value *to)
{
	const u16 *port = key == KA_MATCH_RPORT ? m->rport : m->lport;

	from->v[0] = 0;
	to->v[0] = 0;
	switch (key) {
	case KA_MATCH_RPORT:
	case KA_MATCH_LPORT:
		from->v[1] = port[0];
		to->v[1] = port[1];
		return port[0] || port[1] != U16_MAX;
	case KA_MATCH_REMOTE:
		return match_prefix_range(&m->remote, m->len, from, to);
	case KA_MATCH_LOCAL:
		return match_prefix_range(&m->local, m->len, from, to);
	default:
		return match_uid_range(m, from, to);
	}
}

/**
 * ka_match_value - the value of a connection's key
 * @s: the connection
 * @key: the key
 * @value: filled in
 */
void ka_match_value(const struct ka_subject *s, enum ka_match_key key,
		    struct ka_match_value *value)
{
	value->v[0] = 0;
	switch (key) {
	case KA_MATCH_RPORT:
		value->v[1] = s->ident.rport;
		break;
	case KA_MATCH_LPORT:
		value->v[1] = s->ident.lport;
		break;
	case KA_MATCH_REMOTE:
		*value = match_addr(&s->ident.remote, s->ident.len);
		break;
	case KA_MATCH_LOCAL:
		*value = match_addr(&s->ident.local, s->ident.len);
		break;
	default:
		value->v[1] = __kuid_val(s->uid);
	}
}

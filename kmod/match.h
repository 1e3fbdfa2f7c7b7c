/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_MATCH_H
#define KA_MATCH_H

#include <linux/types.h>
#include <linux/uidgid.h>

#include <linux/tcp_keepalive.h>

#include "ident.h"

struct cgroup;
struct ka_match;
struct netlink_ext_ack;
struct nlattr;
struct nla_policy;
struct sk_buff;
struct sock;
struct user_namespace;

/**
 * struct ka_subject - a connection, as far as it can be matched
 * @ident: its ends
 * @cgroup: the cgroup of the v2 tree that its socket was made in, or NULL
 * @uid: the user that its socket belongs to
 * @mark: its socket's mark
 * @dir: &enum tcp_keepalive_dir, or -1 if nobody knows
 */
struct ka_subject {
	struct ka_ident	ident;
	struct cgroup	*cgroup;
	kuid_t		uid;
	u32		mark;
	s8		dir;
};

/* What rules may be indexed by. */
enum ka_match_key {
	KA_MATCH_RPORT,
	KA_MATCH_LPORT,
	KA_MATCH_REMOTE,
	KA_MATCH_LOCAL,
	KA_MATCH_UID,
	KA_MATCH_NKEYS
};

/* A value of a key, most significant half first. */
struct ka_match_value {
	u64	v[2];
};

extern const struct nla_policy
	ka_match_filter_attrs[TCP_KEEPALIVE_A_MATCH_CGROUP + 1];
extern const struct nla_policy
	ka_match_attrs[TCP_KEEPALIVE_A_MATCH_MAX + 1];

struct ka_match *ka_match_parse(const struct nlattr *nest,
				struct user_namespace *user_ns,
				struct netlink_ext_ack *extack);
struct ka_match *ka_match_get(struct ka_match *m);
void ka_match_put(struct ka_match *m);
int ka_match_fill(struct sk_buff *skb, const struct ka_match *m,
		  struct user_namespace *user_ns);
bool ka_match_asks_user(const struct ka_match *m);
bool ka_match_gone(const struct ka_match *m);

void ka_match_subject_put(struct ka_subject *s);
void ka_match_subject(struct ka_subject *s, const struct sock *sk, s8 dir);
int ka_match_parse_subject(struct ka_subject *s, const struct nlattr *nest,
			   struct user_namespace *user_ns,
			   struct netlink_ext_ack *extack);
bool ka_match(const struct ka_match *m, const struct ka_subject *s);

bool ka_match_range(const struct ka_match *m, enum ka_match_key key,
		    struct ka_match_value *from, struct ka_match_value *to);
void ka_match_value(const struct ka_subject *s, enum ka_match_key key,
		    struct ka_match_value *value);

#endif

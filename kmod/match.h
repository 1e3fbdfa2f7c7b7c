/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_MATCH_H
#define KA_MATCH_H

#include <linux/types.h>

#include <linux/tcp_keepalive.h>

struct cgroup;
struct ka_ident;
struct ka_match;
struct netlink_ext_ack;
struct nlattr;
struct nla_policy;
struct sock;
struct user_namespace;

extern const struct nla_policy
	ka_match_attrs[TCP_KEEPALIVE_A_MATCH_MAX + 1];

struct ka_match *ka_match_parse(const struct nlattr *nest,
				struct user_namespace *user_ns,
				struct netlink_ext_ack *extack);
void ka_match_free(struct ka_match *m);
bool ka_match(const struct ka_match *m, const struct sock *sk,
	      const struct ka_ident *id);

#endif

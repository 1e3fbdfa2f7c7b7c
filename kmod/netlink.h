/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_NETLINK_H
#define KA_NETLINK_H

#include <linux/types.h>
#include <net/genetlink.h>

struct ka_net;
struct ka_policy;

/* Multicast groups of the family. */
enum { KA_NETLINK_EVENTS, KA_NETLINK_POLICY };

extern struct genl_family ka_netlink_family;
extern const struct nla_policy ka_netlink_conn_attrs[];

void ka_netlink_policy_changed(struct ka_net *kn, const struct ka_policy *p,
			       u32 seq);

int ka_netlink_conn_dump(struct sk_buff *skb, struct netlink_callback *cb);
int ka_netlink_conn_done(struct netlink_callback *cb);

int ka_netlink_init(void);
void ka_netlink_exit(void);

#endif

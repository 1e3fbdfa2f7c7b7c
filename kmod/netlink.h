/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_NETLINK_H
#define KA_NETLINK_H

#include <linux/types.h>
#include <net/genetlink.h>

#include <linux/tcp_keepalive.h>

struct ka_net;
struct ka_policy;
struct ka_rule;

/* Multicast groups of the family. */
enum { KA_NETLINK_EVENTS, KA_NETLINK_POLICY };

extern struct genl_family ka_netlink_family;

extern const struct nla_policy
	ka_netlink_policy_attrs[TCP_KEEPALIVE_A_POLICY_INHERIT + 1];
extern const struct nla_policy
	ka_netlink_conn_attrs[TCP_KEEPALIVE_A_CONN_MAX + 1];
extern const struct nla_policy
	ka_netlink_rule_attrs[TCP_KEEPALIVE_A_RULE_MAX + 1];
extern const struct nla_policy
	ka_netlink_restore_attrs[TCP_KEEPALIVE_A_RESTORE_MAX + 1];
extern const struct nla_policy
	ka_netlink_apply_attrs[TCP_KEEPALIVE_A_APPLY_MAX + 1];

int ka_netlink_refuse(struct netlink_ext_ack *extack, const struct nlattr *attr,
		      const char *msg);
struct sk_buff *ka_netlink_reply_new(struct genl_info *info, size_t size,
				     void **hdr);
int ka_netlink_reply_send(struct genl_info *info, struct sk_buff *skb,
			  void *hdr, int err);
void ka_netlink_policy_parse(struct nlattr **a, struct ka_policy *p);

struct sk_buff *ka_netlink_policy_event(struct ka_net *kn, size_t size, u8 cmd,
					void **hdr);
void ka_netlink_policy_send(struct ka_net *kn, struct sk_buff *skb, void *hdr);
void ka_netlink_policy_changed(struct ka_net *kn, const struct ka_policy *p,
			       u32 seq);
void ka_netlink_rule_changed(struct ka_net *kn, const struct ka_rule *r,
			     bool removed, u32 seq);

int ka_netlink_conn_dump(struct sk_buff *skb, struct netlink_callback *cb);
int ka_netlink_conn_done(struct netlink_callback *cb);

int ka_netlink_rule_start(struct netlink_callback *cb);
int ka_netlink_rule_dump(struct sk_buff *skb, struct netlink_callback *cb);
int ka_netlink_rule_add(struct sk_buff *skb, struct genl_info *info);
int ka_netlink_rule_replace(struct sk_buff *skb, struct genl_info *info);
int ka_netlink_rule_del(struct sk_buff *skb, struct genl_info *info);
int ka_netlink_rule_flush(struct sk_buff *skb, struct genl_info *info);
int ka_netlink_rule_test(struct sk_buff *skb, struct genl_info *info);
int ka_netlink_restore(struct sk_buff *skb, struct genl_info *info);

int ka_netlink_apply_dump(struct sk_buff *skb, struct netlink_callback *cb);
int ka_netlink_apply_done(struct netlink_callback *cb);

int ka_netlink_init(void);
void ka_netlink_exit(void);

#endif

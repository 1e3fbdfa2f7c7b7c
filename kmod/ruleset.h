/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_RULESET_H
#define KA_RULESET_H

#include <linux/types.h>

struct ka_net;
struct ka_policy;
struct ka_rule;
struct ka_rules;
struct netlink_ext_ack;

int ka_ruleset_add(struct ka_net *kn, struct ka_rule *r,
		   struct netlink_ext_ack *extack);
int ka_ruleset_replace(struct ka_net *kn, struct ka_rule *r,
		       struct netlink_ext_ack *extack);
struct ka_rule *ka_ruleset_del(struct ka_net *kn, unsigned int pref,
			       struct netlink_ext_ack *extack);
void ka_ruleset_flush(struct ka_net *kn);
void ka_ruleset_restore(struct ka_net *kn, struct ka_rules *rules,
			struct ka_policy *p);

struct ka_rules *ka_ruleset_lend(struct ka_net *kn, struct ka_policy *p);
int ka_ruleset_inherit(struct ka_net *kn, struct ka_rules *rules);
void ka_ruleset_exit(struct ka_net *kn);

#endif

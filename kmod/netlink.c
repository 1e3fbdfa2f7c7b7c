// SPDX-License-Identifier: GPL-2.0
/*
 * The generic-netlink family. Requests run in parallel: each takes the locks
 * of what it reads or changes, none of its own.
 */
#include <net/genetlink.h>

#include <linux/tcp_keepalive.h>

#include "event.h"
#include "match.h"
#include "net.h"
#include "netlink.h"

/* The family is there to send by. */
static bool netlink_open __read_mostly;

static const struct genl_multicast_group groups[] = {
	[KA_NETLINK_EVENTS] = { .name = TCP_KEEPALIVE_MCGRP_EVENTS },
	[KA_NETLINK_POLICY] = { .name = TCP_KEEPALIVE_MCGRP_POLICY },
};

static const struct nla_policy no_attrs[] = {
	[1] = { .type = NLA_REJECT,
		.reject_message = "this command takes no attributes" },
};

const struct nla_policy
	ka_netlink_policy_attrs[TCP_KEEPALIVE_A_POLICY_INHERIT + 1] = {
	[TCP_KEEPALIVE_A_POLICY_TIME] =
		NLA_POLICY_RANGE(NLA_S32, 1, TCP_KEEPALIVE_TIME_MAX),
	[TCP_KEEPALIVE_A_POLICY_INTVL] =
		NLA_POLICY_RANGE(NLA_S32, 1, TCP_KEEPALIVE_INTVL_MAX),
	[TCP_KEEPALIVE_A_POLICY_PROBES] =
		NLA_POLICY_RANGE(NLA_U32, 1, TCP_KEEPALIVE_PROBES_MAX),
	[TCP_KEEPALIVE_A_POLICY_ENFORCE] = NLA_POLICY_MAX(NLA_U8, 1),
	[TCP_KEEPALIVE_A_POLICY_INHERIT] = NLA_POLICY_MAX(NLA_U8, 1),
};

static const struct nla_policy rule_pref_attrs[] = {
	[TCP_KEEPALIVE_A_RULE_PREF] =
		NLA_POLICY_RANGE(NLA_U32, 1, TCP_KEEPALIVE_PREF_MAX),
};

static const struct nla_policy rule_match_attrs[] = {
	[TCP_KEEPALIVE_A_RULE_MATCH] = NLA_POLICY_NESTED(ka_match_attrs),
};

static const int policy_attr[KA_NPOLICY] = {
	[KA_POLICY_TIME]	= TCP_KEEPALIVE_A_POLICY_TIME,
	[KA_POLICY_INTVL]	= TCP_KEEPALIVE_A_POLICY_INTVL,
	[KA_POLICY_PROBES]	= TCP_KEEPALIVE_A_POLICY_PROBES,
	[KA_POLICY_ENFORCE]	= TCP_KEEPALIVE_A_POLICY_ENFORCE,
	[KA_POLICY_INHERIT]	= TCP_KEEPALIVE_A_POLICY_INHERIT,
};

static int policy_put(struct sk_buff *skb, const struct ka_net *kn,
		      const struct ka_policy *p)
{
	return nla_put_u32(skb, TCP_KEEPALIVE_A_POLICY_NETNS_INO,
			   kn->net->ns.inum) ||
	       nla_put_s32(skb, TCP_KEEPALIVE_A_POLICY_TIME,
			   p->v[KA_POLICY_TIME]) ||
	       nla_put_s32(skb, TCP_KEEPALIVE_A_POLICY_INTVL,
			   p->v[KA_POLICY_INTVL]) ||
	       nla_put_u32(skb, TCP_KEEPALIVE_A_POLICY_PROBES,
			   p->v[KA_POLICY_PROBES]) ||
	       nla_put_u8(skb, TCP_KEEPALIVE_A_POLICY_ENFORCE,
			  p->v[KA_POLICY_ENFORCE]) ||
	       nla_put_u8(skb, TCP_KEEPALIVE_A_POLICY_INHERIT,
			  p->v[KA_POLICY_INHERIT]);
}

/**
 * ka_netlink_refuse - say which attribute makes no sense, and why
 * @extack: what to say it by, or NULL
 * @attr: the attribute
 * @msg: why, which lives as long as the module. The end of a dump, unlike an ack,
 *	names no attribute, so that this has to
 *
 * As NL_SET_ERR_MSG_ATTR(), but for its trace event; that is all of it in each
 * place that has it.
 *
 * Return: -EINVAL.
 */
int ka_netlink_refuse(struct netlink_ext_ack *extack, const struct nlattr *attr,
		      const char *msg)
{
	if (extack) {
		extack->_msg = msg;
		NL_SET_BAD_ATTR(extack, attr);
	}
	return -EINVAL;
}

/* Made before anything is changed: what is refused has changed nothing. */
struct sk_buff *ka_netlink_reply_new(struct genl_info *info, size_t size,
				     void **hdr)
{
	struct sk_buff *skb = genlmsg_new(size, GFP_KERNEL);

	if (!skb)
		return NULL;
	*hdr = genlmsg_put_reply(skb, info, &ka_netlink_family, 0,
				 info->genlhdr->cmd);
	if (*hdr)
		return skb;
	nlmsg_free(skb);
	return NULL;
}

int ka_netlink_reply_send(struct genl_info *info, struct sk_buff *skb,
			  void *hdr, int err)
{
	if (err) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return genlmsg_reply(skb, info);
}

/* Collect the fields that a request gives. */
void ka_netlink_policy_parse(struct nlattr **a, struct ka_policy *p)
{
	int i;

	memset(p, 0, sizeof(*p));
	for (i = 0; i < KA_NPOLICY; i++) {
		const struct nlattr *attr = a[policy_attr[i]];

		if (!attr)
			continue;
		/* All are 32 bits wide but the switches, and within int. */
		p->v[i] = nla_len(attr) == sizeof(u8) ? nla_get_u8(attr) :
							nla_get_s32(attr);
		p->given |= BIT(i);
	}
}

/* Do @fn to the namespace's policy, and reply with what it leaves in @p. */
static int policy_reply(struct genl_info *info, struct ka_policy *p,
			void (*fn)(struct ka_net *kn, struct ka_policy *p))
{
	struct ka_net *kn = ka_net(genl_info_net(info));
	struct sk_buff *skb;
	void *hdr;
	int err;

	skb = ka_netlink_reply_new(info, NLMSG_DEFAULT_SIZE, &hdr);
	if (!skb)
		return -ENOMEM;
	fn(kn, p);
	err = ka_netlink_reply_send(info, skb, hdr, policy_put(skb, kn, p));
	/* What is changed is changed, be the asker's buffer full or not. */
	return fn == ka_policy_get ? err : 0;
}

static int policy_get(struct sk_buff *skb, struct genl_info *info)
{
	struct ka_policy p;

	return policy_reply(info, &p, ka_policy_get);
}

static int policy_set(struct sk_buff *skb, struct genl_info *info)
{
	struct ka_policy p;

	ka_netlink_policy_parse(info->attrs, &p);
	if (!p.given) {
		NL_SET_ERR_MSG(info->extack,
			       "give one or more of time, intvl, probes, enforce, inherit");
		return -EINVAL;
	}
	return policy_reply(info, &p, ka_policy_set);
}

static int policy_reset(struct sk_buff *skb, struct genl_info *info)
{
	struct ka_policy p;

	return policy_reply(info, &p, ka_policy_reset);
}

static_assert(TCP_KEEPALIVE_A_STATS_PROBES_SENT + KA_NSTATS - 1 ==
	      TCP_KEEPALIVE_A_STATS_CONNS_UNTRACKED);

static const int hist_attr[KA_NHISTS] = {
	[KA_RTT_US]		= TCP_KEEPALIVE_A_STATS_RTT_US,
	[KA_LOST_IN_ROW]	= TCP_KEEPALIVE_A_STATS_LOST_IN_ROW,
	[KA_DETECT_MS]		= TCP_KEEPALIVE_A_STATS_DETECT_MS,
};

static int bucket_put(struct sk_buff *skb, int attr, int i, u64 count)
{
	struct nlattr *nest = nla_nest_start(skb, attr);

	if (!nest ||
	    (i < KA_HIST_BUCKETS - 1 &&
	     nla_put_u64_64bit(skb, TCP_KEEPALIVE_A_BUCKET_LE, BIT_ULL(i),
			       TCP_KEEPALIVE_A_BUCKET_PAD)) ||
	    nla_put_u64_64bit(skb, TCP_KEEPALIVE_A_BUCKET_COUNT, count,
			      TCP_KEEPALIVE_A_BUCKET_PAD))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int hist_put(struct sk_buff *skb, struct ka_net *kn, enum ka_hist hist)
{
	u64 count[KA_HIST_BUCKETS];
	int err = 0, i;

	ka_stats_hist(kn, hist, count);
	for (i = 0; !err && i < KA_HIST_BUCKETS; i++)
		if (count[i])
			err = bucket_put(skb, hist_attr[hist], i, count[i]);
	return err;
}

/* With every bucket in use. */
#define STATS_SIZE	(nla_total_size(sizeof(u32)) +			\
			 KA_NSTATS * nla_total_size_64bit(sizeof(u64)) + \
			 KA_NHISTS * KA_HIST_BUCKETS *			\
			 nla_total_size(2 * nla_total_size_64bit(sizeof(u64))))

static int stats_get(struct sk_buff *skb, struct genl_info *info)
{
	struct ka_net *kn = ka_net(genl_info_net(info));
	u64 v[KA_NSTATS];
	void *hdr;
	int err, i;

	skb = ka_netlink_reply_new(info, STATS_SIZE, &hdr);
	if (!skb)
		return -ENOMEM;
	ka_stats_read(kn, v);
	err = nla_put_u32(skb, TCP_KEEPALIVE_A_STATS_NETNS_INO,
			  kn->net->ns.inum);
	for (i = 0; !err && i < KA_NSTATS; i++)
		err = nla_put_u64_64bit(skb,
					TCP_KEEPALIVE_A_STATS_PROBES_SENT + i,
					v[i], TCP_KEEPALIVE_A_STATS_PAD);
	for (i = 0; !err && i < KA_NHISTS; i++)
		err = hist_put(skb, kn, i);
	return ka_netlink_reply_send(info, skb, hdr, err);
}

static const struct genl_ops ops[] = {
	{
		.cmd		= TCP_KEEPALIVE_CMD_POLICY_GET,
		.doit		= policy_get,
		.policy		= no_attrs,
		.maxattr	= ARRAY_SIZE(no_attrs) - 1,
	}, {
		.cmd		= TCP_KEEPALIVE_CMD_POLICY_SET,
		.doit		= policy_set,
		.policy		= ka_netlink_policy_attrs,
		.maxattr	= ARRAY_SIZE(ka_netlink_policy_attrs) - 1,
		.flags		= GENL_UNS_ADMIN_PERM,
	}, {
		.cmd		= TCP_KEEPALIVE_CMD_POLICY_RESET,
		.doit		= policy_reset,
		.policy		= no_attrs,
		.maxattr	= ARRAY_SIZE(no_attrs) - 1,
		.flags		= GENL_UNS_ADMIN_PERM,
	}, {
		.cmd		= TCP_KEEPALIVE_CMD_STATS_GET,
		.doit		= stats_get,
		.policy		= no_attrs,
		.maxattr	= ARRAY_SIZE(no_attrs) - 1,
	}, {
		.cmd		= TCP_KEEPALIVE_CMD_CONN_GET,
		.dumpit		= ka_netlink_conn_dump,
		.done		= ka_netlink_conn_done,
		.policy		= ka_netlink_conn_attrs,
		.maxattr	= ARRAY_SIZE(ka_netlink_conn_attrs) - 1,
	}, {
		.cmd		= TCP_KEEPALIVE_CMD_RULE_GET,
		.start		= ka_netlink_rule_start,
		.dumpit		= ka_netlink_rule_dump,
		.policy		= no_attrs,
		.maxattr	= ARRAY_SIZE(no_attrs) - 1,
	}, {
		.cmd		= TCP_KEEPALIVE_CMD_RULE_ADD,
		.doit		= ka_netlink_rule_add,
		.policy		= ka_netlink_rule_attrs,
		.maxattr	= ARRAY_SIZE(ka_netlink_rule_attrs) - 1,
		.flags		= GENL_UNS_ADMIN_PERM,
	}, {
		.cmd		= TCP_KEEPALIVE_CMD_RULE_REPLACE,
		.doit		= ka_netlink_rule_replace,
		.policy		= ka_netlink_rule_attrs,
		.maxattr	= ARRAY_SIZE(ka_netlink_rule_attrs) - 1,
		.flags		= GENL_UNS_ADMIN_PERM,
	}, {
		.cmd		= TCP_KEEPALIVE_CMD_RULE_DEL,
		.doit		= ka_netlink_rule_del,
		.policy		= rule_pref_attrs,
		.maxattr	= ARRAY_SIZE(rule_pref_attrs) - 1,
		.flags		= GENL_UNS_ADMIN_PERM,
	}, {
		.cmd		= TCP_KEEPALIVE_CMD_RULE_FLUSH,
		.doit		= ka_netlink_rule_flush,
		.policy		= no_attrs,
		.maxattr	= ARRAY_SIZE(no_attrs) - 1,
		.flags		= GENL_UNS_ADMIN_PERM,
	}, {
		.cmd		= TCP_KEEPALIVE_CMD_RULE_TEST,
		.doit		= ka_netlink_rule_test,
		.policy		= rule_match_attrs,
		.maxattr	= ARRAY_SIZE(rule_match_attrs) - 1,
	}, {
		.cmd		= TCP_KEEPALIVE_CMD_RESTORE,
		.doit		= ka_netlink_restore,
		.policy		= ka_netlink_restore_attrs,
		.maxattr	= ARRAY_SIZE(ka_netlink_restore_attrs) - 1,
		.flags		= GENL_UNS_ADMIN_PERM,
	}, {
		.cmd		= TCP_KEEPALIVE_CMD_APPLY,
		.dumpit		= ka_netlink_apply_dump,
		.done		= ka_netlink_apply_done,
		.policy		= ka_netlink_apply_attrs,
		.maxattr	= ARRAY_SIZE(ka_netlink_apply_attrs) - 1,
		.flags		= GENL_UNS_ADMIN_PERM,
	},
};

struct genl_family ka_netlink_family __ro_after_init = {
	.name		= TCP_KEEPALIVE_FAMILY_NAME,
	.version	= TCP_KEEPALIVE_FAMILY_VERSION,
	.module		= THIS_MODULE,
	.netnsok	= true,
	.parallel_ops	= true,
	.ops		= ops,
	.n_ops		= ARRAY_SIZE(ops),
	.mcgrps		= groups,
	.n_mcgrps	= ARRAY_SIZE(groups),
};

/**
 * ka_netlink_policy_event - begin an event of the group "policy"
 * @kn: the namespace
 * @size: room that it takes
 * @cmd: what it is
 * @hdr: for ka_netlink_policy_send()
 *
 * Under policy_lock, so that events leave in order.
 *
 * Return: the message; NULL if nobody listens, or for want of memory, which shows
 * as a gap in the numbers.
 */
struct sk_buff *ka_netlink_policy_event(struct ka_net *kn, size_t size, u8 cmd,
					void **hdr)
{
	struct sk_buff *skb;

	/* sysfs is there before the family and goes before it. */
	if (!READ_ONCE(netlink_open) ||
	    !genl_has_listeners(&ka_netlink_family, kn->net, KA_NETLINK_POLICY))
		return NULL;
	skb = genlmsg_new(size, GFP_KERNEL);
	if (!skb)
		return NULL;
	*hdr = genlmsg_put(skb, 0, 0, &ka_netlink_family, 0, cmd);
	if (*hdr)
		return skb;
	nlmsg_free(skb);
	return NULL;
}

/* Send an event; it is taken over. */
void ka_netlink_policy_send(struct ka_net *kn, struct sk_buff *skb, void *hdr)
{
	genlmsg_end(skb, hdr);
	genlmsg_multicast_netns(&ka_netlink_family, kn->net, skb, 0,
				KA_NETLINK_POLICY, GFP_KERNEL);
}

/**
 * ka_netlink_policy_changed - tell the listeners of a policy that it changed
 * @kn: the namespace
 * @p: the policy now
 * @seq: the event's number
 *
 * Under policy_lock.
 */
void ka_netlink_policy_changed(struct ka_net *kn, const struct ka_policy *p,
			       u32 seq)
{
	struct sk_buff *skb;
	void *hdr;

	skb = ka_netlink_policy_event(kn, NLMSG_DEFAULT_SIZE,
				      TCP_KEEPALIVE_CMD_POLICY_NTF, &hdr);
	if (!skb)
		return;
	if (policy_put(skb, kn, p) ||
	    nla_put_u32(skb, TCP_KEEPALIVE_A_POLICY_SEQ, seq) ||
	    nla_put_u64_64bit(skb, TCP_KEEPALIVE_A_POLICY_AT,
			      ktime_get_real_ns(),
			      TCP_KEEPALIVE_A_POLICY_PAD))
		nlmsg_free(skb);
	else
		ka_netlink_policy_send(kn, skb, hdr);
}

int ka_netlink_init(void)
{
	int err = genl_register_family(&ka_netlink_family);

	if (err)
		return err;
	WRITE_ONCE(netlink_open, true);
	ka_event_start();
	return 0;
}

/* Nobody is left who could change a policy. May sleep. */
void ka_netlink_exit(void)
{
	ka_event_stop();
	genl_unregister_family(&ka_netlink_family);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Rules over netlink: read, checked as a whole before anything is changed, shown.
 */
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/timekeeping.h>
#include <net/genetlink.h>

#include <linux/tcp_keepalive.h>

#include "compat/genetlink.h"
#include "enforce.h"
#include "match.h"
#include "net.h"
#include "netlink.h"
#include "policy.h"
#include "rule.h"
#include "ruleset.h"

#define RULE_SECONDS	NLA_POLICY_RANGE(NLA_S32, 1, TCP_KEEPALIVE_TIME_MAX)
#define RULE_COUNT	NLA_POLICY_RANGE(NLA_U32, 1, TCP_KEEPALIVE_PROBES_MAX)

static struct netlink_range_validation rule_user_timeout = {
	.min = 1,
	.max = INT_MAX,
};

const struct nla_policy ka_netlink_rule_attrs[TCP_KEEPALIVE_A_RULE_MAX + 1] = {
	[TCP_KEEPALIVE_A_RULE_PREF] =
		NLA_POLICY_RANGE(NLA_U32, 1, TCP_KEEPALIVE_PREF_MAX),
	[TCP_KEEPALIVE_A_RULE_MATCH] =
		NLA_POLICY_NESTED(ka_match_attrs),
	[TCP_KEEPALIVE_A_RULE_KEEPALIVE] =
		NLA_POLICY_MAX(NLA_U32, TCP_KEEPALIVE_ACTION_LEAVE),
	[TCP_KEEPALIVE_A_RULE_TIME]		= RULE_SECONDS,
	[TCP_KEEPALIVE_A_RULE_TIME_MIN]		= RULE_SECONDS,
	[TCP_KEEPALIVE_A_RULE_TIME_MAX]		= RULE_SECONDS,
	[TCP_KEEPALIVE_A_RULE_INTVL]		= RULE_SECONDS,
	[TCP_KEEPALIVE_A_RULE_INTVL_MIN]	= RULE_SECONDS,
	[TCP_KEEPALIVE_A_RULE_INTVL_MAX]	= RULE_SECONDS,
	[TCP_KEEPALIVE_A_RULE_PROBES]		= RULE_COUNT,
	[TCP_KEEPALIVE_A_RULE_PROBES_MIN]	= RULE_COUNT,
	[TCP_KEEPALIVE_A_RULE_PROBES_MAX]	= RULE_COUNT,
	[TCP_KEEPALIVE_A_RULE_USER_TIMEOUT_MS] =
		NLA_POLICY_FULL_RANGE(NLA_U32, &rule_user_timeout),
	[TCP_KEEPALIVE_A_RULE_OVERRIDE]		= { .type = NLA_FLAG },
};

const struct nla_policy
	ka_netlink_restore_attrs[TCP_KEEPALIVE_A_RESTORE_MAX + 1] = {
	[TCP_KEEPALIVE_A_RESTORE_POLICY] =
		NLA_POLICY_NESTED(ka_netlink_policy_attrs),
	[TCP_KEEPALIVE_A_RESTORE_RULE] =
		NLA_POLICY_NESTED(ka_netlink_rule_attrs),
};

/* A value's attribute, and those of its bounds if it has any. */
static const struct {
	int	attr;
	int	min;
	int	max;
} rule_value[KA_NVALUES] = {
	[KA_TIME]	= { TCP_KEEPALIVE_A_RULE_TIME,
			    TCP_KEEPALIVE_A_RULE_TIME_MIN,
			    TCP_KEEPALIVE_A_RULE_TIME_MAX },
	[KA_INTVL]	= { TCP_KEEPALIVE_A_RULE_INTVL,
			    TCP_KEEPALIVE_A_RULE_INTVL_MIN,
			    TCP_KEEPALIVE_A_RULE_INTVL_MAX },
	[KA_PROBES]	= { TCP_KEEPALIVE_A_RULE_PROBES,
			    TCP_KEEPALIVE_A_RULE_PROBES_MIN,
			    TCP_KEEPALIVE_A_RULE_PROBES_MAX },
	[KA_USER_TIMEOUT] = { TCP_KEEPALIVE_A_RULE_USER_TIMEOUT_MS, 0, 0 },
};

/* One value of a rule, or its bounds. */
static int rule_parse_value(struct ka_rule *r, enum ka_value value,
			    struct nlattr **a, struct netlink_ext_ack *extack)
{
	const struct nlattr *v = a[rule_value[value].attr];
	const struct nlattr *min, *max;

	if (v)
		r->v[value] = nla_get_u32(v);
	if (!rule_value[value].max)
		return 0;
	min = a[rule_value[value].min];
	max = a[rule_value[value].max];
	if (!min && !max)
		return 0;
	if (!min || !max)
		return ka_netlink_refuse(extack, min ?: max,
					 "a range has two ends: give both");
	if (v)
		return ka_netlink_refuse(extack, v,
					 "a value and a range exclude each other");
	r->min[value] = nla_get_u32(min);
	r->max[value] = nla_get_u32(max);
	if (r->min[value] > r->max[value])
		return ka_netlink_refuse(extack, min, "the range is empty");
	return 0;
}

static int rule_parse(struct ka_rule *r, struct nlattr **a,
		      struct user_namespace *user_ns,
		      struct netlink_ext_ack *extack)
{
	const struct nlattr *keepalive = a[TCP_KEEPALIVE_A_RULE_KEEPALIVE];
	struct ka_match *match;
	bool gives = false;
	int err, i;

	if (a[TCP_KEEPALIVE_A_RULE_PREF])
		r->pref = nla_get_u32(a[TCP_KEEPALIVE_A_RULE_PREF]);
	r->has_action = keepalive;
	r->action = keepalive ? nla_get_u32(keepalive) :
				TCP_KEEPALIVE_ACTION_LEAVE;
	r->override = nla_get_flag(a[TCP_KEEPALIVE_A_RULE_OVERRIDE]);
	for (i = 0; i < KA_NVALUES; i++) {
		err = rule_parse_value(r, i, a, extack);
		if (err)
			return err;
		gives |= r->v[i] || r->max[i];
	}
	if (!gives && !keepalive) {
		NL_SET_ERR_MSG(extack,
			       "a rule does something: give one or more of keepalive, time, intvl, probes, user-timeout");
		return -EINVAL;
	}
	if (r->override && !gives && r->action == TCP_KEEPALIVE_ACTION_LEAVE)
		return ka_netlink_refuse(extack,
					 a[TCP_KEEPALIVE_A_RULE_OVERRIDE],
					 "override: there is nothing to override with");
	match = ka_match_parse(a[TCP_KEEPALIVE_A_RULE_MATCH], user_ns, extack);
	if (IS_ERR(match))
		return PTR_ERR(match);
	r->match = match;
	return 0;
}

/* Read a rule; for ka_rule_put(), or an ERR_PTR. */
static struct ka_rule *rule_read(struct nlattr **a,
				 struct user_namespace *user_ns,
				 struct netlink_ext_ack *extack)
{
	struct ka_rule *r = ka_rule_alloc();
	int err;

	if (!r)
		return ERR_PTR(-ENOMEM);
	err = rule_parse(r, a, user_ns, extack);
	if (!err)
		return r;
	ka_rule_put(r);
	return ERR_PTR(err);
}

static struct user_namespace *asker_ns(struct sk_buff *skb)
{
	return sk_user_ns(NETLINK_CB(skb).sk);
}

static int rule_put_value(struct sk_buff *skb, const struct ka_rule *r,
			  enum ka_value value)
{
	if (r->v[value])
		return nla_put_u32(skb, rule_value[value].attr, r->v[value]);
	if (r->max[value])
		return nla_put_u32(skb, rule_value[value].min, r->min[value]) ?:
		       nla_put_u32(skb, rule_value[value].max, r->max[value]);
	return 0;
}

static int rule_put_match(struct sk_buff *skb, const struct ka_match *m,
			  struct user_namespace *user_ns)
{
	struct nlattr *nest = nla_nest_start(skb, TCP_KEEPALIVE_A_RULE_MATCH);

	if (!nest || ka_match_fill(skb, m, user_ns))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	/* A rule for every connection has none. */
	if (!nla_len(nest))
		nla_nest_cancel(skb, nest);
	return 0;
}

/* As whoever reads it, of @user_ns, understands it. */
static int rule_put(struct sk_buff *skb, const struct ka_net *kn,
		    const struct ka_rule *r, struct user_namespace *user_ns)
{
	int err, i;

	err = nla_put_u32(skb, TCP_KEEPALIVE_A_RULE_NETNS_INO,
			  kn->net->ns.inum) ?:
	      nla_put_u32(skb, TCP_KEEPALIVE_A_RULE_PREF, r->pref) ?:
	      rule_put_match(skb, r->match, user_ns);
	if (!err && r->has_action)
		err = nla_put_u32(skb, TCP_KEEPALIVE_A_RULE_KEEPALIVE,
				  r->action);
	for (i = 0; !err && i < KA_NVALUES; i++)
		err = rule_put_value(skb, r, i);
	if (!err && r->override)
		err = nla_put_flag(skb, TCP_KEEPALIVE_A_RULE_OVERRIDE);
	if (!err && ka_match_gone(r->match))
		err = nla_put_flag(skb, TCP_KEEPALIVE_A_RULE_CGROUP_GONE);
	return err ?: nla_put_u64_64bit(skb, TCP_KEEPALIVE_A_RULE_HITS,
					atomic64_read(&r->hits),
					TCP_KEEPALIVE_A_RULE_PAD);
}

/* Room for a rule, whose cgroup's path may be a page long. */
#define RULE_SIZE	(NLMSG_DEFAULT_SIZE + PATH_MAX)

/* Change the rules by @fn, and reply with the rule. */
static int rule_change(struct sk_buff *skb, struct genl_info *info,
		       int (*fn)(struct ka_net *kn, struct ka_rule *r,
				 struct netlink_ext_ack *extack))
{
	struct ka_net *kn = ka_net(genl_info_net(info));
	struct sk_buff *reply;
	struct ka_rule *r;
	void *hdr;
	int err;

	r = rule_read(info->attrs, asker_ns(skb), info->extack);
	if (IS_ERR(r))
		return PTR_ERR(r);
	reply = ka_netlink_reply_new(info, RULE_SIZE, &hdr);
	err = reply ? fn(kn, r, info->extack) : -ENOMEM;
	if (err)
		nlmsg_free(reply);
	else
		ka_netlink_reply_send(info, reply, hdr,
				      rule_put(reply, kn, r, asker_ns(skb)));
	ka_rule_put(r);
	/* What is changed is changed, be the asker's buffer full or not. */
	return err;
}

int ka_netlink_rule_add(struct sk_buff *skb, struct genl_info *info)
{
	return rule_change(skb, info, ka_ruleset_add);
}

static int rule_pref(struct genl_info *info, u32 *pref)
{
	if (!info->attrs[TCP_KEEPALIVE_A_RULE_PREF]) {
		NL_SET_ERR_MSG(info->extack, "pref: which rule?");
		return -EINVAL;
	}
	*pref = nla_get_u32(info->attrs[TCP_KEEPALIVE_A_RULE_PREF]);
	return 0;
}

int ka_netlink_rule_replace(struct sk_buff *skb, struct genl_info *info)
{
	u32 pref;

	return rule_pref(info, &pref) ?:
	       rule_change(skb, info, ka_ruleset_replace);
}

int ka_netlink_rule_del(struct sk_buff *skb, struct genl_info *info)
{
	struct ka_net *kn = ka_net(genl_info_net(info));
	struct sk_buff *reply;
	struct ka_rule *r;
	void *hdr;
	u32 pref;
	int err;

	err = rule_pref(info, &pref);
	if (err)
		return err;
	reply = ka_netlink_reply_new(info, RULE_SIZE, &hdr);
	if (!reply)
		return -ENOMEM;
	r = ka_ruleset_del(kn, pref, info->extack);
	if (IS_ERR(r)) {
		nlmsg_free(reply);
		return PTR_ERR(r);
	}
	ka_netlink_reply_send(info, reply, hdr,
			      rule_put(reply, kn, r, asker_ns(skb)));
	ka_rule_put(r);
	return 0;
}

int ka_netlink_rule_flush(struct sk_buff *skb, struct genl_info *info)
{
	ka_ruleset_flush(ka_net(genl_info_net(info)));
	return 0;
}

/* The first rule whose pref is @pref or higher, held, and the table's number. */
static struct ka_rule *rule_next(struct ka_net *kn, unsigned int pref, u32 *seq)
{
	const struct ka_rules *rules;
	struct ka_rule *r = NULL;
	unsigned int at;

	mutex_lock(&kn->policy_lock);
	rules = rcu_dereference_protected(kn->rules, true);
	at = ka_rules_find(rules, pref);
	if (rules && at < rules->n) {
		r = rules->rule[at];
		refcount_inc(&r->ref);
	}
	*seq = kn->rules_seq;
	mutex_unlock(&kn->policy_lock);
	return r;
}

/* A rule must find room in a message of its own. */
int ka_netlink_rule_start(struct netlink_callback *cb)
{
	cb->min_dump_alloc = RULE_SIZE;
	return 0;
}

int ka_netlink_rule_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct ka_net *kn = ka_net(sock_net(cb->skb->sk));
	unsigned int *pref = (void *)cb->ctx;
	struct ka_rule *r;
	int err = 0;
	void *hdr;
	u32 seq;

	while (!err) {
		r = rule_next(kn, *pref, &seq);
		cb->seq = seq + 1;	/* 0 would be no number */
		if (!r)
			break;
		hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				  cb->nlh->nlmsg_seq, &ka_netlink_family,
				  NLM_F_MULTI, TCP_KEEPALIVE_CMD_RULE_GET);
		err = hdr ? rule_put(skb, kn, r, asker_ns(cb->skb)) : -EMSGSIZE;
		if (!err) {
			genl_dump_check_consistent(cb, hdr);
			genlmsg_end(skb, hdr);
			*pref = r->pref + 1;
		} else if (hdr) {
			genlmsg_cancel(skb, hdr);
		}
		ka_rule_put(r);
	}
	return skb->len ?: err;
}

/* What a program that sets nothing would get of a value. */
static u32 rule_would(const struct ka_rule *r, enum ka_value value,
		      s32 of_netns)
{
	s32 v = r && r->v[value] ? r->v[value] : of_netns;

	if (r && r->max[value])
		v = clamp_t(s32, v, r->min[value], r->max[value]);
	return v;
}

static int rule_test_put(struct sk_buff *skb, struct ka_net *kn,
			 const struct ka_rule *r)
{
	struct ka_policy p;
	bool on;

	ka_policy_get(kn, &p);
	on = r ? r->action == TCP_KEEPALIVE_ACTION_ON : p.v[KA_POLICY_ENFORCE];
	return nla_put_u32(skb, TCP_KEEPALIVE_A_RULE_NETNS_INO,
			   kn->net->ns.inum) ?:
	       (r ? nla_put_u32(skb, TCP_KEEPALIVE_A_RULE_PREF, r->pref) : 0) ?:
	       nla_put_u32(skb, TCP_KEEPALIVE_A_RULE_KEEPALIVE,
			   on ? TCP_KEEPALIVE_ACTION_ON :
				TCP_KEEPALIVE_ACTION_OFF) ?:
	       nla_put_u32(skb, TCP_KEEPALIVE_A_RULE_TIME,
			   rule_would(r, KA_TIME, p.v[KA_POLICY_TIME])) ?:
	       nla_put_u32(skb, TCP_KEEPALIVE_A_RULE_INTVL,
			   rule_would(r, KA_INTVL, p.v[KA_POLICY_INTVL])) ?:
	       nla_put_u32(skb, TCP_KEEPALIVE_A_RULE_PROBES,
			   rule_would(r, KA_PROBES,
				      p.v[KA_POLICY_PROBES])) ?:
	       nla_put_u32(skb, TCP_KEEPALIVE_A_RULE_USER_TIMEOUT_MS,
			   rule_would(r, KA_USER_TIMEOUT, 0));
}

int ka_netlink_rule_test(struct sk_buff *skb, struct genl_info *info)
{
	struct ka_net *kn = ka_net(genl_info_net(info));
	struct ka_subject subject;
	struct sk_buff *reply;
	void *hdr;
	int err;

	err = ka_match_parse_subject(&subject,
				     info->attrs[TCP_KEEPALIVE_A_RULE_MATCH],
				     asker_ns(skb), info->extack);
	if (err)
		return err;
	reply = ka_netlink_reply_new(info, NLMSG_DEFAULT_SIZE, &hdr);
	if (reply) {
		rcu_read_lock();
		err = rule_test_put(reply, kn,
				    ka_rules_decide(rcu_dereference(kn->rules),
						    &subject));
		rcu_read_unlock();
	}
	ka_match_subject_put(&subject);
	return reply ? ka_netlink_reply_send(info, reply, hdr, err) : -ENOMEM;
}

/**
 * ka_netlink_rule_changed - tell the listeners that a rule came or went
 * @kn: the namespace
 * @r: the rule
 * @removed: it went
 * @seq: the event's number
 *
 * Under policy_lock.
 */
void ka_netlink_rule_changed(struct ka_net *kn, const struct ka_rule *r,
			     bool removed, u32 seq)
{
	struct sk_buff *skb;
	void *hdr;

	skb = ka_netlink_policy_event(kn, RULE_SIZE,
				      TCP_KEEPALIVE_CMD_RULE_NTF, &hdr);
	if (!skb)
		return;
	if (rule_put(skb, kn, r, kn->net->user_ns) ||
	    (removed && nla_put_flag(skb, TCP_KEEPALIVE_A_RULE_REMOVED)) ||
	    nla_put_u32(skb, TCP_KEEPALIVE_A_RULE_SEQ, seq) ||
	    nla_put_u64_64bit(skb, TCP_KEEPALIVE_A_RULE_AT, ktime_get_real_ns(),
			      TCP_KEEPALIVE_A_RULE_PAD))
		nlmsg_free(skb);
	else
		ka_netlink_policy_send(kn, skb, hdr);
}

static int rule_cmp_pref(const void *a, const void *b)
{
	const struct ka_rule *const *x = a, *const *y = b;

	return (*x)->pref - (*y)->pref;
}

/* Read the rules of a restore into a table. */
static int restore_read(struct ka_rules *rules, struct genl_info *info,
			struct user_namespace *user_ns)
{
	struct nlattr *a[TCP_KEEPALIVE_A_RULE_MAX + 1];
	const struct nlattr *attr;
	unsigned int i = 0;
	int err, rem;

	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem) {
		struct ka_rule *r;

		if (nla_type(attr) != TCP_KEEPALIVE_A_RESTORE_RULE)
			continue;
		err = nla_parse_nested(a, TCP_KEEPALIVE_A_RULE_MAX, attr,
				       ka_netlink_rule_attrs, info->extack);
		if (err)
			return err;
		if (!a[TCP_KEEPALIVE_A_RULE_PREF])
			return ka_netlink_refuse(info->extack, attr,
						 "pref: a rule to be restored needs one");
		r = rule_read(a, user_ns, info->extack);
		if (IS_ERR(r)) {
			/* Some refusals are of the rule as a whole. */
			if (info->extack && !info->extack->bad_attr)
				info->extack->bad_attr = attr;
			return PTR_ERR(r);
		}
		rules->rule[i++] = r;
	}
	sort(rules->rule, rules->n, sizeof(*rules->rule), rule_cmp_pref, NULL);
	for (i = 1; i < rules->n; i++)
		if (rules->rule[i]->pref == rules->rule[i - 1]->pref) {
			NL_SET_ERR_MSG(info->extack,
				       "pref: two rules have the same");
			return -EEXIST;
		}
	return 0;
}

static struct ka_rules *restore_rules(struct genl_info *info,
				      struct user_namespace *user_ns)
{
	struct ka_rules *rules;
	const struct nlattr *attr;
	unsigned int n = 0;
	int err, rem;

	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem)
		n += nla_type(attr) == TCP_KEEPALIVE_A_RESTORE_RULE;
	if (!n)
		return NULL;
	if (n > TCP_KEEPALIVE_RULES_MAX) {
		NL_SET_ERR_MSG(info->extack,
			       "more than 1024 rules, which is all that a namespace may have");
		return ERR_PTR(-ENOSPC);
	}
	rules = ka_rules_new(n);
	if (!rules)
		return ERR_PTR(-ENOMEM);
	err = restore_read(rules, info, user_ns) ?: ka_rules_index(rules);
	if (!err)
		return rules;
	ka_rules_free(rules);
	return ERR_PTR(err);
}

int ka_netlink_restore(struct sk_buff *skb, struct genl_info *info)
{
	const struct nlattr *nest = info->attrs[TCP_KEEPALIVE_A_RESTORE_POLICY];
	struct nlattr *a[TCP_KEEPALIVE_A_POLICY_INHERIT + 1];
	struct ka_rules *rules;
	struct ka_policy p;
	int err;

	if (nest) {
		err = nla_parse_nested(a, TCP_KEEPALIVE_A_POLICY_INHERIT, nest,
				       ka_netlink_policy_attrs, info->extack);
		if (err)
			return err;
		ka_netlink_policy_parse(a, &p);
	}
	rules = restore_rules(info, asker_ns(skb));
	if (IS_ERR(rules))
		return PTR_ERR(rules);
	ka_ruleset_restore(ka_net(genl_info_net(info)), rules,
			   nest ? &p : NULL);
	return 0;
}

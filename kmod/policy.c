// SPDX-License-Identifier: GPL-2.0
/*
 * A network namespace's policy. Its time, intvl and probes are the namespace's
 * own sysctls, read and written where TCP reads them: there is no copy that
 * could disagree.
 */
#include <linux/jiffies.h>

#include <linux/tcp_keepalive.h>

#include "enforce.h"
#include "net.h"
#include "netlink.h"
#include "policy.h"
#include "rule.h"
#include "ruleset.h"

/* The largest value that a policy accepts; the smallest is 1, of a switch 0. */
int ka_policy_max(enum ka_policy_field field)
{
	switch (field) {
	case KA_POLICY_TIME:
		return TCP_KEEPALIVE_TIME_MAX;
	case KA_POLICY_INTVL:
		return TCP_KEEPALIVE_INTVL_MAX;
	case KA_POLICY_PROBES:
		return TCP_KEEPALIVE_PROBES_MAX;
	default:
		return 1;
	}
}

bool ka_policy_allows(enum ka_policy_field field, int v)
{
	return v >= (field < KA_NSYSCTLS) && v <= ka_policy_max(field);
}

static int policy_read(const struct ka_net *kn, enum ka_policy_field field)
{
	const struct netns_ipv4 *ipv4 = &kn->net->ipv4;

	switch (field) {
	case KA_POLICY_TIME:
		return READ_ONCE(ipv4->sysctl_tcp_keepalive_time) / HZ;
	case KA_POLICY_INTVL:
		return READ_ONCE(ipv4->sysctl_tcp_keepalive_intvl) / HZ;
	case KA_POLICY_PROBES:
		return READ_ONCE(ipv4->sysctl_tcp_keepalive_probes);
	case KA_POLICY_ENFORCE:
		return READ_ONCE(kn->enforce);
	default:
		return READ_ONCE(kn->inherit);
	}
}

/* Write a sysctl; what it held. */
static int policy_swap(struct ka_net *kn, enum ka_policy_field field, int v)
{
	struct netns_ipv4 *ipv4 = &kn->net->ipv4;

	switch (field) {
	case KA_POLICY_TIME:
		return xchg(&ipv4->sysctl_tcp_keepalive_time, v * HZ) / HZ;
	case KA_POLICY_INTVL:
		return xchg(&ipv4->sysctl_tcp_keepalive_intvl, v * HZ) / HZ;
	default:
		return xchg(&ipv4->sysctl_tcp_keepalive_probes, v);
	}
}

/* Write a sysctl if it still holds @was. */
static void policy_swap_back(struct ka_net *kn, enum ka_policy_field field,
			     int was, int v)
{
	struct netns_ipv4 *ipv4 = &kn->net->ipv4;

	switch (field) {
	case KA_POLICY_TIME:
		cmpxchg(&ipv4->sysctl_tcp_keepalive_time, was * HZ, v * HZ);
		break;
	case KA_POLICY_INTVL:
		cmpxchg(&ipv4->sysctl_tcp_keepalive_intvl, was * HZ, v * HZ);
		break;
	default:
		cmpxchg(&ipv4->sysctl_tcp_keepalive_probes, was, v);
	}
}

/* Under policy_lock, which the sysctls' other writers do not take. */
static void policy_put(struct ka_net *kn, enum ka_policy_field field, int v)
{
	struct ka_sysctl *s;
	int was;

	switch (field) {
	case KA_POLICY_ENFORCE:
		WRITE_ONCE(kn->enforce, v);
		ka_enforce_changed(kn);
		return;
	case KA_POLICY_INHERIT:
		WRITE_ONCE(kn->inherit, v);
		return;
	default:
		s = &kn->sysctl[field];
		was = policy_swap(kn, field, v);
		if (!s->held || was != s->put)
			s->found = was;
		s->put = v;
		s->held = true;
	}
}

/*
 * Put back the fields of a mask; under policy_lock. What somebody else wrote
 * after the module stays.
 */
static void policy_put_back(struct ka_net *kn, unsigned int fields)
{
	int i;

	for (i = 0; i < KA_NSYSCTLS; i++) {
		struct ka_sysctl *s = &kn->sysctl[i];

		if (!(fields & BIT(i)))
			continue;
		if (s->held)
			policy_swap_back(kn, i, s->put, s->found);
		s->held = false;
	}
	if (fields & BIT(KA_POLICY_ENFORCE))
		policy_put(kn, KA_POLICY_ENFORCE, false);
	if (fields & BIT(KA_POLICY_INHERIT))
		policy_put(kn, KA_POLICY_INHERIT, false);
}

/**
 * ka_policy_get - read the policy in force
 * @kn: the namespace
 * @p: filled in whole
 *
 * Takes no lock: each field is read at once, as TCP itself reads it.
 */
void ka_policy_get(struct ka_net *kn, struct ka_policy *p)
{
	int i;

	for (i = 0; i < KA_NPOLICY; i++)
		p->v[i] = policy_read(kn, i);
	p->given = BIT(KA_NPOLICY) - 1;
}

/* Under policy_lock: *p becomes the policy in force. */
static void policy_changed(struct ka_net *kn, const struct ka_policy *was,
			   struct ka_policy *p)
{
	ka_policy_get(kn, p);
	if (memcmp(was, p, sizeof(*was)))
		ka_netlink_policy_changed(kn, p, ++kn->policy_seq);
}

/**
 * ka_policy_set - change some fields of the policy, or all
 * @kn: the namespace
 * @p: the fields, held against ka_policy_allows() by the caller; on return the
 *	policy that results
 *
 * May sleep. Listeners are told if anything changed.
 */
void ka_policy_set(struct ka_net *kn, struct ka_policy *p)
{
	struct ka_policy was;
	int i;

	mutex_lock(&kn->policy_lock);
	ka_policy_get(kn, &was);
	for (i = 0; i < KA_NPOLICY; i++)
		if (p->given & BIT(i))
			policy_put(kn, i, p->v[i]);
	policy_changed(kn, &was, p);
	mutex_unlock(&kn->policy_lock);
}

/**
 * ka_policy_reset - put back what was found
 * @kn: the namespace
 * @p: the policy that results
 *
 * May sleep. Listeners are told if anything changed.
 */
void ka_policy_reset(struct ka_net *kn, struct ka_policy *p)
{
	struct ka_policy was;

	mutex_lock(&kn->policy_lock);
	ka_policy_get(kn, &was);
	policy_put_back(kn, ~0U);
	policy_changed(kn, &was, p);
	mutex_unlock(&kn->policy_lock);
}

/**
 * ka_policy_restore - set some fields and put back the others
 * @kn: the namespace; its policy_lock is held
 * @p: the fields, held against ka_policy_allows() by the caller; on return the
 *	policy that results
 *
 * May sleep. Listeners are told if anything changed.
 */
void ka_policy_restore(struct ka_net *kn, struct ka_policy *p)
{
	struct ka_policy was;
	int i;

	ka_policy_get(kn, &was);
	policy_put_back(kn, ~p->given);
	for (i = 0; i < KA_NPOLICY; i++)
		if (p->given & BIT(i))
			policy_put(kn, i, p->v[i]);
	policy_changed(kn, &was, p);
}

void ka_policy_init(struct ka_net *kn)
{
	mutex_init(&kn->policy_lock);
}

/**
 * ka_policy_inherit - start a new namespace with its maker's policy and rules
 * @kn: the new namespace, which nobody else knows yet
 * @from: the maker's
 *
 * May sleep. Does nothing unless @from's policy says inherit.
 *
 * Return: 0 or -ENOMEM.
 */
int ka_policy_inherit(struct ka_net *kn, struct ka_net *from)
{
	struct ka_rules *rules;
	struct ka_policy p;
	int i;

	if (!READ_ONCE(from->inherit))
		return 0;
	rules = ka_ruleset_lend(from, &p);
	if (!rules)
		return -ENOMEM;
	if (!p.v[KA_POLICY_INHERIT]) {
		ka_rules_free(rules);
		return 0;
	}
	for (i = 0; i < KA_NPOLICY; i++)
		policy_put(kn, i, p.v[i]);
	return ka_ruleset_inherit(kn, rules);
}

void ka_policy_exit(struct ka_net *kn)
{
	mutex_lock(&kn->policy_lock);
	policy_put_back(kn, ~0U);
	mutex_unlock(&kn->policy_lock);
	ka_ruleset_exit(kn);
	mutex_destroy(&kn->policy_lock);
}

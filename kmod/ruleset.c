// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of a namespace's rules. Each makes a table anew beside the old one,
 * which connections read meanwhile; what fails has changed nothing.
 */
#include <linux/err.h>
#include <linux/mutex.h>
#include <linux/netlink.h>
#include <linux/rcupdate.h>

#include <linux/tcp_keepalive.h>

#include "enforce.h"
#include "net.h"
#include "netlink.h"
#include "rule.h"
#include "ruleset.h"

#define RULESET_STEP	10	/* from one pref to the next */

/* Under policy_lock. */
static struct ka_rules *ruleset_now(const struct ka_net *kn)
{
	return rcu_dereference_protected(kn->rules,
					 lockdep_is_held(&kn->policy_lock));
}

/*
 * Put a table, or NULL, in the place of the one there is, which is returned; under
 * policy_lock.
 */
static struct ka_rules *ruleset_swap(struct ka_net *kn, struct ka_rules *rules)
{
	struct ka_rules *old = ruleset_now(kn);

	rcu_assign_pointer(kn->rules, rules);
	WRITE_ONCE(kn->rules_seq, kn->rules_seq + 1);
	ka_enforce_changed(kn);
	return old;
}

/* The same, done with the old one. */
static void ruleset_publish(struct ka_net *kn, struct ka_rules *rules)
{
	ka_rules_free_rcu(ruleset_swap(kn, rules));
}

static void ruleset_tell(struct ka_net *kn, const struct ka_rule *r,
			 bool removed)
{
	ka_netlink_rule_changed(kn, r, removed, ++kn->policy_seq);
}

/*
 * A table like @old with @r put in at place @at; @gone rules that were there are
 * left out. It takes references of its own.
 */
static struct ka_rules *ruleset_edit(const struct ka_rules *old,
				     unsigned int at, unsigned int gone,
				     struct ka_rule *r)
{
	unsigned int i, n = 0, was = old ? old->n : 0;
	struct ka_rules *rules;

	rules = ka_rules_new(was - gone + !!r);
	if (!rules)
		return NULL;
	for (i = 0; i <= was; i++) {
		if (i == at && r)
			rules->rule[n++] = r;
		if (i < was && (i < at || i >= at + gone))
			rules->rule[n++] = old->rule[i];
	}
	for (i = 0; i < n; i++)
		refcount_inc(&rules->rule[i]->ref);
	if (!ka_rules_index(rules))
		return rules;
	ka_rules_free(rules);
	return NULL;
}

/* Under policy_lock. */
static int ruleset_put(struct ka_net *kn, struct ka_rule *r,
		       struct netlink_ext_ack *extack)
{
	struct ka_rules *old = ruleset_now(kn), *rules;
	unsigned int at = ka_rules_find(old, r->pref);
	bool there = old && at < old->n && old->rule[at]->pref == r->pref;

	if (old && !there && old->n >= TCP_KEEPALIVE_RULES_MAX) {
		NL_SET_ERR_MSG(extack,
			       "there are 1024 rules already, which is all that a namespace may have");
		return -ENOSPC;
	}
	rules = ruleset_edit(old, at, there, r);
	if (!rules)
		return -ENOMEM;
	if (there)
		ruleset_tell(kn, old->rule[at], true);
	ruleset_publish(kn, rules);
	ruleset_tell(kn, r, false);
	return 0;
}

/**
 * ka_ruleset_add - add a rule
 * @kn: the namespace
 * @r: the rule; with a pref of 0 it gets the next one. The caller keeps its
 *	reference
 * @extack: told why not
 *
 * May sleep.
 *
 * Return: 0, -EEXIST, -ENOSPC, -ERANGE or -ENOMEM.
 */
int ka_ruleset_add(struct ka_net *kn, struct ka_rule *r,
		   struct netlink_ext_ack *extack)
{
	const struct ka_rules *old;
	unsigned int at, pref;
	int err = 0;

	mutex_lock(&kn->policy_lock);
	old = ruleset_now(kn);
	pref = r->pref;
	if (!pref)
		pref = old ? old->rule[old->n - 1]->pref + RULESET_STEP :
			     RULESET_STEP;
	at = ka_rules_find(old, pref);
	if (pref > TCP_KEEPALIVE_PREF_MAX) {
		NL_SET_ERR_MSG(extack,
			       "pref: none is left after the highest in use (1 to 32767 allowed); give one");
		err = -ERANGE;
	} else if (old && at < old->n && old->rule[at]->pref == pref) {
		NL_SET_ERR_MSG(extack, "pref: there is a rule with this one");
		err = -EEXIST;
	} else {
		r->pref = pref;
		err = ruleset_put(kn, r, extack);
	}
	mutex_unlock(&kn->policy_lock);
	return err;
}

/**
 * ka_ruleset_replace - put a rule where there is one with its pref, or none
 * @kn: the namespace
 * @r: the rule; the caller keeps its reference
 * @extack: told why not
 *
 * May sleep.
 *
 * Return: 0, -ENOSPC or -ENOMEM.
 */
int ka_ruleset_replace(struct ka_net *kn, struct ka_rule *r,
		       struct netlink_ext_ack *extack)
{
	int err;

	mutex_lock(&kn->policy_lock);
	err = ruleset_put(kn, r, extack);
	mutex_unlock(&kn->policy_lock);
	return err;
}

/* Under policy_lock. */
static struct ka_rule *ruleset_del(struct ka_net *kn, unsigned int pref,
				   struct netlink_ext_ack *extack)
{
	struct ka_rules *old = ruleset_now(kn), *rules = NULL;
	unsigned int at = ka_rules_find(old, pref);
	struct ka_rule *r;

	if (!old || at == old->n || old->rule[at]->pref != pref) {
		NL_SET_ERR_MSG(extack, "pref: there is no rule with this one");
		return ERR_PTR(-ENOENT);
	}
	if (old->n > 1) {
		rules = ruleset_edit(old, at, 1, NULL);
		if (!rules)
			return ERR_PTR(-ENOMEM);
	}
	r = old->rule[at];
	refcount_inc(&r->ref);
	ruleset_publish(kn, rules);
	ruleset_tell(kn, r, true);
	return r;
}

/**
 * ka_ruleset_del - remove a rule
 * @kn: the namespace
 * @pref: its pref
 * @extack: told why not
 *
 * May sleep.
 *
 * Return: the rule, for ka_rule_put(), or an ERR_PTR: -ENOENT, -ENOMEM.
 */
struct ka_rule *ka_ruleset_del(struct ka_net *kn, unsigned int pref,
			       struct netlink_ext_ack *extack)
{
	struct ka_rule *r;

	mutex_lock(&kn->policy_lock);
	r = ruleset_del(kn, pref, extack);
	mutex_unlock(&kn->policy_lock);
	return r;
}

/* Under policy_lock: all rules, and the policy unless @p is NULL. */
static void ruleset_restore(struct ka_net *kn, struct ka_rules *rules,
			    struct ka_policy *p)
{
	struct ka_rules *old = ruleset_swap(kn, rules);
	unsigned int i;

	/* Before anybody is told, which takes time. */
	if (p)
		ka_policy_restore(kn, p);
	for (i = 0; old && i < old->n; i++)
		ruleset_tell(kn, old->rule[i], true);
	for (i = 0; rules && i < rules->n; i++)
		ruleset_tell(kn, rules->rule[i], false);
	ka_rules_free_rcu(old);
}

/**
 * ka_ruleset_flush - remove all rules
 * @kn: the namespace
 *
 * May sleep.
 */
void ka_ruleset_flush(struct ka_net *kn)
{
	ka_ruleset_restore(kn, NULL, NULL);
}

/**
 * ka_ruleset_restore - set rules and policy at once
 * @kn: the namespace
 * @rules: all rules, indexed, or NULL for none; taken over
 * @p: fields of the policy to be set while the others are reset; NULL leaves the
 *	policy alone
 *
 * May sleep. Cannot fail. A connection that is opened in the microseconds between
 * the one and the other may find new rules and the old policy.
 */
void ka_ruleset_restore(struct ka_net *kn, struct ka_rules *rules,
			struct ka_policy *p)
{
	mutex_lock(&kn->policy_lock);
	ruleset_restore(kn, rules, p);
	mutex_unlock(&kn->policy_lock);
}

/**
 * ka_ruleset_lend - begin a table with references on a namespace's rules
 * @kn: the namespace; its policy_lock is held
 *
 * May sleep.
 *
 * Return: for ka_ruleset_inherit(); NULL if there are no rules, or an ERR_PTR.
 */
struct ka_rules *ka_ruleset_lend(struct ka_net *kn)
{
	const struct ka_rules *now = ruleset_now(kn);
	struct ka_rules *rules;
	unsigned int i;

	if (!now)
		return NULL;
	rules = ka_rules_new(now->n);
	if (!rules)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < now->n; i++) {
		rules->rule[i] = now->rule[i];
		refcount_inc(&rules->rule[i]->ref);
	}
	return rules;
}

/**
 * ka_ruleset_inherit - start a new namespace with its maker's rules
 * @kn: the new namespace, which nobody else knows yet
 * @rules: what ka_ruleset_lend() made of the maker's, not NULL; taken over
 *
 * May sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int ka_ruleset_inherit(struct ka_net *kn, struct ka_rules *rules)
{
	int err = ka_rules_own(rules);

	if (err) {
		ka_rules_free(rules);
		return err;
	}
	rcu_assign_pointer(kn->rules, rules);
	ka_enforce_changed(kn);
	return 0;
}

/* The namespace is going, and nobody reads its rules any more. */
void ka_ruleset_exit(struct ka_net *kn)
{
	mutex_lock(&kn->policy_lock);
	ruleset_publish(kn, NULL);
	mutex_unlock(&kn->policy_lock);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of a namespace's rules. Each makes a table anew beside the old one,
 * which connections read meanwhile; what fails has changed nothing.
 *
 * With many rules that takes milliseconds. It is done with no lock held, and again
 * if somebody else has changed the rules by then.
 */
#include <linux/err.h>
#include <linux/mutex.h>
#include <linux/netlink.h>
#include <linux/rcupdate.h>

#include <linux/tcp_keepalive.h>

#include "enforce.h"
#include "net.h"
#include "netlink.h"
#include "policy.h"
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
	kn->rules_seq++;
	ka_enforce_changed(kn);
	return old;
}

static void ruleset_tell(struct ka_net *kn, const struct ka_rule *r,
			 bool removed)
{
	ka_netlink_rule_changed(kn, r, removed, ++kn->policy_seq);
}

/* Room that a table with one rule more needs, unless the rules change. */
static unsigned int ruleset_room(const struct ka_net *kn)
{
	const struct ka_rules *now;
	unsigned int room;

	rcu_read_lock();
	now = rcu_dereference(kn->rules);
	room = now ? now->n + 1 : 1;
	rcu_read_unlock();
	return room;
}

/*
 * Begin a table with references on the rules that there are, none perhaps, and
 * room for one more. *seq says which rules, *p the policy beside them.
 */
static struct ka_rules *ruleset_copy(struct ka_net *kn, u32 *seq,
				     struct ka_policy *p)
{
	const struct ka_rules *now;
	struct ka_rules *rules;
	unsigned int i, n;

again:
	rules = ka_rules_new(ruleset_room(kn));
	if (!rules)
		return NULL;
	mutex_lock(&kn->policy_lock);
	now = ruleset_now(kn);
	n = now ? now->n : 0;
	if (n >= rules->n) {
		mutex_unlock(&kn->policy_lock);
		ka_rules_free(rules);
		goto again;
	}
	for (i = 0; i < n; i++) {
		rules->rule[i] = now->rule[i];
		refcount_inc(&rules->rule[i]->ref);
	}
	rules->n = n;
	*seq = kn->rules_seq;
	ka_policy_get(kn, p);
	mutex_unlock(&kn->policy_lock);
	return rules;
}

enum ruleset_op {
	RULESET_ADD,
	RULESET_REPLACE,
	RULESET_DEL,
};

/*
 * Put @r in the place of @pref, 0 being the next, or nothing if it is NULL; the rule
 * that was there goes into *gone with its reference.
 */
static int ruleset_edit(struct ka_rules *rules, enum ruleset_op op,
			unsigned int pref, struct ka_rule *r,
			struct ka_rule **gone, struct netlink_ext_ack *extack)
{
	unsigned int at;
	bool there;

	if (!pref)
		pref = (rules->n ? rules->rule[rules->n - 1]->pref : 0) +
		       RULESET_STEP;
	at = ka_rules_find(rules, pref);
	there = at < rules->n && rules->rule[at]->pref == pref;
	if (op == RULESET_DEL && !there) {
		NL_SET_ERR_MSG(extack, "pref: there is no rule with this one");
		return -ENOENT;
	}
	if (pref > TCP_KEEPALIVE_PREF_MAX) {
		NL_SET_ERR_MSG(extack,
			       "pref: none is left after the highest in use (1 to 32767 allowed); give one");
		return -ERANGE;
	}
	if (op == RULESET_ADD && there) {
		NL_SET_ERR_MSG(extack, "pref: there is a rule with this one");
		return -EEXIST;
	}
	if (!there && rules->n >= TCP_KEEPALIVE_RULES_MAX) {
		NL_SET_ERR_MSG(extack,
			       "there are 1024 rules already, which is all that a namespace may have");
		return -ENOSPC;
	}

	if (there)
		*gone = rules->rule[at];
	memmove(&rules->rule[at + !!r], &rules->rule[at + there],
		(rules->n - at - there) * sizeof(*rules->rule));
	if (r) {
		r->pref = pref;
		refcount_inc(&r->ref);
		rules->rule[at] = r;
	}
	rules->n += !!r - there;
	return 0;
}

/* If the rules are those of @seq still: @rules from now on, which is taken over. */
static bool ruleset_publish(struct ka_net *kn, struct ka_rules *rules, u32 seq,
			    const struct ka_rule *gone, const struct ka_rule *r)
{
	mutex_lock(&kn->policy_lock);
	if (kn->rules_seq != seq) {
		mutex_unlock(&kn->policy_lock);
		ka_rules_free(rules);
		return false;
	}
	if (gone)
		ruleset_tell(kn, gone, true);
	ka_rules_free_rcu(ruleset_swap(kn, rules));
	if (r)
		ruleset_tell(kn, r, false);
	mutex_unlock(&kn->policy_lock);
	return true;
}

/* Make a change, as ruleset_edit() says. */
static int ruleset_change(struct ka_net *kn, enum ruleset_op op,
			  unsigned int pref, struct ka_rule *r,
			  struct ka_rule **gone, struct netlink_ext_ack *extack)
{
	struct ka_rules *rules;
	struct ka_policy p;
	int err;
	u32 seq;

	do {
		ka_rule_put(*gone);
		*gone = NULL;
		rules = ruleset_copy(kn, &seq, &p);
		if (!rules)
			return -ENOMEM;
		err = ruleset_edit(rules, op, pref, r, gone, extack);
		if (!err && rules->n)
			err = ka_rules_index(rules);
		if (err || !rules->n) {
			ka_rules_free(rules);
			rules = NULL;
		}
	} while (!err && !ruleset_publish(kn, rules, seq, *gone, r));
	return err;
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
	struct ka_rule *gone = NULL;

	return ruleset_change(kn, RULESET_ADD, r->pref, r, &gone, extack);
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
	struct ka_rule *gone = NULL;
	int err;

	err = ruleset_change(kn, RULESET_REPLACE, r->pref, r, &gone, extack);
	ka_rule_put(gone);
	return err;
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
	struct ka_rule *gone = NULL;
	int err;

	err = ruleset_change(kn, RULESET_DEL, pref, NULL, &gone, extack);
	if (!err)
		return gone;
	ka_rule_put(gone);
	return ERR_PTR(err);
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
	struct ka_rules *old;
	unsigned int i;

	mutex_lock(&kn->policy_lock);
	old = ruleset_swap(kn, rules);
	/* Before anybody is told, which takes time. */
	if (p)
		ka_policy_restore(kn, p);
	for (i = 0; old && i < old->n; i++)
		ruleset_tell(kn, old->rule[i], true);
	for (i = 0; rules && i < rules->n; i++)
		ruleset_tell(kn, rules->rule[i], false);
	mutex_unlock(&kn->policy_lock);
	ka_rules_free_rcu(old);
}

/**
 * ka_ruleset_lend - begin a table with references on a namespace's rules
 * @kn: the namespace
 * @p: its policy at the same time
 *
 * May sleep.
 *
 * Return: for ka_ruleset_inherit() or ka_rules_free(); NULL for want of memory.
 */
struct ka_rules *ka_ruleset_lend(struct ka_net *kn, struct ka_policy *p)
{
	u32 seq;

	return ruleset_copy(kn, &seq, p);
}

/**
 * ka_ruleset_inherit - start a new namespace with its maker's rules
 * @kn: the new namespace, which nobody else knows yet
 * @rules: what ka_ruleset_lend() made of the maker's; taken over
 *
 * May sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int ka_ruleset_inherit(struct ka_net *kn, struct ka_rules *rules)
{
	int err = rules->n ? ka_rules_own(rules) : 0;

	if (err || !rules->n) {
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
	ka_rules_free_rcu(ruleset_swap(kn, NULL));
	mutex_unlock(&kn->policy_lock);
}

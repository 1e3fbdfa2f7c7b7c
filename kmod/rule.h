/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_RULE_H
#define KA_RULE_H

#include <linux/atomic.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/types.h>

#include "match.h"

/* What a rule can give a connection, beside keepalive itself. */
enum ka_value {
	KA_TIME,
	KA_INTVL,
	KA_PROBES,
	KA_USER_TIMEOUT,
	KA_NVALUES
};

/**
 * struct ka_rule - which connections, and what is done
 * @ref: one for each table that it is in, and for each request that uses it
 * @match: which connections; shared with rules that are inherited
 * @hits: connections that it decided
 * @v: values to be set, by &enum ka_value; seconds, seconds, a count,
 *	milliseconds; 0 for none
 * @min: what is in effect is made no less; 0 for no bounds
 * @max: and no more
 * @pref: its place
 * @action: &enum tcp_keepalive_action
 * @has_action: it says so itself
 * @override: the program's own are replaced too
 *
 * Constant but for @ref and @hits.
 */
struct ka_rule {
	refcount_t	ref;
	struct ka_match	*match;
	atomic64_t	hits;
	u32		v[KA_NVALUES];
	u32		min[KA_NVALUES];
	u32		max[KA_NVALUES];
	u16		pref;
	u8		action;
	bool		has_action;
	bool		override;
};

/**
 * struct ka_rule_key - rules by the values of one key
 * @n: how many stretches of values
 * @from: where each begins, rising; it ends where the next one does begin
 * @list: where in @rule the list of each begins, with one more for the end
 * @rule: lists of places in the table, rising
 */
struct ka_rule_key {
	unsigned int		n;
	struct ka_match_value	*from;
	u16			*list;
	u16			*rule;
};

/**
 * struct ka_rules - the rules of a namespace
 * @rcu: to be freed by
 * @n: how many
 * @holds: one of them has bounds or overrides
 * @users: one of them asks for a user
 * @nrest: how many are in no key's lists
 * @key: those of which a key leaves few values
 * @rest: the others: places in the table, rising
 * @rule: the table, by rising pref
 *
 * Constant. Read under RCU; a namespace with no rules has none.
 */
struct ka_rules {
	struct rcu_head		rcu;
	unsigned int		n;
	unsigned int		nrest;
	bool			holds;
	bool			users;
	struct ka_rule_key	key[KA_MATCH_NKEYS];
	u16			*rest;
	struct ka_rule		*rule[];
};

struct ka_rule *ka_rule_alloc(void);
void ka_rule_put(struct ka_rule *r);

struct ka_rules *ka_rules_new(unsigned int n);
int ka_rules_index(struct ka_rules *rules);
void ka_rules_free(struct ka_rules *rules);
void ka_rules_free_rcu(struct ka_rules *rules);
int ka_rules_own(struct ka_rules *rules);
unsigned int ka_rules_find(const struct ka_rules *rules, unsigned int pref);
struct ka_rule *ka_rules_decide(const struct ka_rules *rules,
				const struct ka_subject *s);

#endif

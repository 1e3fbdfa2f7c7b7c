// SPDX-License-Identifier: GPL-2.0
/*
 * Rules: tables that never change, each built whole and put in the place of the
 * one before, so that a connection reads them under RCU alone.
 *
 * A table is indexed, so that a connection is held against few of its rules. A
 * rule that a key (a port, an address, a user) leaves few values is in the lists
 * of those values; the rest is in a list of its own. Keys are cut into stretches
 * at all ends of all rules' ranges, so that within one the same rules apply.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include <linux/tcp_keepalive.h>

#include "match.h"
#include "net.h"
#include "rule.h"

/* Stretches that a rule may be listed in, else it is one of the rest. */
#define RULE_STRETCHES	8

/* Lists are made of 16-bit places. */
static_assert(TCP_KEEPALIVE_RULES_MAX * RULE_STRETCHES < U16_MAX);

struct ka_rule *ka_rule_alloc(void)
{
	struct ka_rule *r = kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);

	if (r)
		refcount_set(&r->ref, 1);
	return r;
}

/* May be given NULL. Does not sleep. */
void ka_rule_put(struct ka_rule *r)
{
	if (!r || !refcount_dec_and_test(&r->ref))
		return;
	ka_match_put(r->match);
	kfree(r);
}

static int rule_cmp(const struct ka_match_value *a,
		    const struct ka_match_value *b)
{
	int i = a->v[0] == b->v[0];

	return a->v[i] < b->v[i] ? -1 : a->v[i] > b->v[i];
}

static int rule_cmp_sort(const void *a, const void *b)
{
	return rule_cmp(a, b);
}

/* The stretch that the value lies in, -1 if it is before the first. */
static int rule_stretch(const struct ka_rule_key *k,
			const struct ka_match_value *value)
{
	int low = 0, high = k->n;

	while (low < high) {
		int mid = (low + high) / 2;

		if (rule_cmp(&k->from[mid], value) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low - 1;
}

/* Cut a key into stretches at the ends of all ranges. */
static int rule_cut(const struct ka_rules *rules, enum ka_match_key key,
		    struct ka_rule_key *k)
{
	struct ka_match_value from, to;
	unsigned int i, n = 0;

	for (i = 0; i < rules->n; i++)
		n += ka_match_range(rules->rule[i]->match, key, &from, &to);
	if (!n)
		return 0;
	k->from = kvmalloc_array(2 * n, sizeof(*k->from), GFP_KERNEL_ACCOUNT);
	if (!k->from)
		return -ENOMEM;

	for (i = 0, n = 0; i < rules->n; i++) {
		if (!ka_match_range(rules->rule[i]->match, key, &from, &to))
			continue;
		k->from[n++] = from;
		/* After the last value of all nothing begins. */
		if (!++to.v[1] && !++to.v[0])
			continue;
		k->from[n++] = to;
	}
	sort(k->from, n, sizeof(*k->from), rule_cmp_sort, NULL);
	for (i = 0; i < n; i++)
		if (!k->n || rule_cmp(&k->from[k->n - 1], &k->from[i]))
			k->from[k->n++] = k->from[i];
	return 0;
}

/* The stretches that the key leaves of a rule's values, or false for all. */
static bool rule_span(const struct ka_rules *rules, enum ka_match_key key,
		      unsigned int rule, int *first, int *last)
{
	const struct ka_rule_key *k = &rules->key[key];
	struct ka_match_value from, to;

	if (!ka_match_range(rules->rule[rule]->match, key, &from, &to))
		return false;
	*first = rule_stretch(k, &from);
	*last = rule_stretch(k, &to);
	return *first >= 0;
}

/* The key that leaves a rule the fewest stretches; KA_MATCH_NKEYS for none. */
static u8 rule_best_key(const struct ka_rules *rules, unsigned int rule)
{
	int key, first, last, best = RULE_STRETCHES + 1;
	u8 best_key = KA_MATCH_NKEYS;

	for (key = 0; key < KA_MATCH_NKEYS; key++) {
		if (!rule_span(rules, key, rule, &first, &last) ||
		    last - first + 1 >= best)
			continue;
		best = last - first + 1;
		best_key = key;
	}
	return best_key;
}

/* Make the lists of a key, of the rules that have chosen it. */
static int rule_list(const struct ka_rules *rules, enum ka_match_key key,
		     struct ka_rule_key *k, const u8 *chosen)
{
	int first, last, s;
	unsigned int i;

	if (!k->n)
		return 0;
	k->list = kvcalloc(k->n + 1, sizeof(*k->list), GFP_KERNEL_ACCOUNT);
	if (!k->list)
		return -ENOMEM;
	for (i = 0; i < rules->n; i++)
		if (chosen[i] == key &&
		    rule_span(rules, key, i, &first, &last))
			for (s = first; s <= last; s++)
				k->list[s + 1]++;
	for (s = 0; s < k->n; s++)
		k->list[s + 1] += k->list[s];
	if (!k->list[k->n]) {
		k->n = 0;
		return 0;
	}
	k->rule = kvcalloc(k->list[k->n], sizeof(*k->rule), GFP_KERNEL_ACCOUNT);
	if (!k->rule)
		return -ENOMEM;

	/* Filled from their ends, with the last rules first: lists rise. */
	for (s = 0; s < k->n; s++)
		k->list[s] = k->list[s + 1];
	for (i = rules->n; i--; )
		if (chosen[i] == key &&
		    rule_span(rules, key, i, &first, &last))
			for (s = first; s <= last; s++)
				k->rule[--k->list[s]] = i;
	return 0;
}

/**
 * ka_rules_index - make a table ready to be read
 * @rules: the table, filled in
 *
 * May sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int ka_rules_index(struct ka_rules *rules)
{
	unsigned int i, j;
	int key, err = 0;
	u8 *chosen;

	chosen = kvmalloc(rules->n, GFP_KERNEL_ACCOUNT);
	rules->rest = kvmalloc_array(rules->n, sizeof(*rules->rest),
				     GFP_KERNEL_ACCOUNT);
	if (!chosen || !rules->rest)
		err = -ENOMEM;
	for (key = 0; !err && key < KA_MATCH_NKEYS; key++)
		err = rule_cut(rules, key, &rules->key[key]);
	for (i = 0; !err && i < rules->n; i++) {
		const struct ka_rule *r = rules->rule[i];

		rules->users |= ka_match_asks_user(r->match);
		rules->holds |= r->override;
		for (j = 0; j < KA_NVALUES; j++)
			rules->holds |= r->max[j] > 0;
		chosen[i] = rule_best_key(rules, i);
		if (chosen[i] == KA_MATCH_NKEYS)
			rules->rest[rules->nrest++] = i;
	}
	for (key = 0; !err && key < KA_MATCH_NKEYS; key++)
		err = rule_list(rules, key, &rules->key[key], chosen);
	kvfree(chosen);
	return err;
}

/**
 * ka_rules_new - begin a table
 * @n: of how many rules, the caller puts in the table with a reference each; at
 *	least 1
 *
 * May sleep.
 *
 * Return: for ka_rules_index(), then ka_rules_free(); NULL for want of memory.
 */
struct ka_rules *ka_rules_new(unsigned int n)
{
	struct ka_rules *rules;

	rules = kvzalloc(struct_size(rules, rule, n), GFP_KERNEL_ACCOUNT);
	if (rules)
		rules->n = n;
	return rules;
}

/**
 * ka_rules_free - free a table that nobody reads, and let go of its rules
 * @rules: the table, complete or not; may be NULL
 *
 * Does not sleep.
 */
void ka_rules_free(struct ka_rules *rules)
{
	unsigned int i;

	if (!rules)
		return;
	for (i = 0; i < rules->n; i++)
		ka_rule_put(rules->rule[i]);
	for (i = 0; i < KA_MATCH_NKEYS; i++) {
		kvfree(rules->key[i].from);
		kvfree(rules->key[i].list);
		kvfree(rules->key[i].rule);
	}
	kvfree(rules->rest);
	kvfree(rules);
}

static void rules_free_cb(struct rcu_head *rcu)
{
	ka_rules_free(container_of(rcu, struct ka_rules, rcu));
}

/* The same once nobody reads it any more, without waiting for that. */
void ka_rules_free_rcu(struct ka_rules *rules)
{
	if (rules)
		call_rcu(&rules->rcu, rules_free_cb);
}

/**
 * ka_rules_own - make a table's rules its own, with no hits yet
 * @rules: the table, with references on another's rules; not indexed
 *
 * May sleep. What they match is shared with the other's: nothing changes that.
 *
 * Return: 0, the table indexed, or -ENOMEM.
 */
int ka_rules_own(struct ka_rules *rules)
{
	unsigned int i;

	for (i = 0; i < rules->n; i++) {
		struct ka_rule *other = rules->rule[i], *r;

		r = ka_rule_alloc();
		if (!r)
			return -ENOMEM;
		/* What others count in it meanwhile is set anew. */
		data_race(*r = *other);
		refcount_set(&r->ref, 1);
		atomic64_set(&r->hits, 0);
		ka_match_get(r->match);
		rules->rule[i] = r;
		ka_rule_put(other);
	}
	return ka_rules_index(rules);
}

/**
 * ka_rules_find - find a rule's place
 * @rules: the table; may be NULL
 * @pref: its pref
 *
 * Return: the place of the first rule with that pref or a higher one; the
 * number of rules if there is none.
 */
unsigned int ka_rules_find(const struct ka_rules *rules, unsigned int pref)
{
	unsigned int low = 0, high = rules ? rules->n : 0;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (rules->rule[mid]->pref < pref)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The first place below @best of a list whose rule matches, or @best. */
static unsigned int rules_first(const struct ka_rules *rules, const u16 *list,
				const u16 *end, unsigned int best,
				const struct ka_subject *s)
{
	for (; list < end && *list < best; list++)
		if (ka_match(rules->rule[*list]->match, s))
			return *list;
	return best;
}

/**
 * ka_rules_decide - find the rule that decides about a connection
 * @rules: the table, read under RCU; may be NULL
 * @s: the connection
 *
 * Return: the first rule that matches, or NULL.
 */
struct ka_rule *ka_rules_decide(const struct ka_rules *rules,
				const struct ka_subject *s)
{
	unsigned int best;
	int key, at;

	if (!rules)
		return NULL;
	best = rules_first(rules, rules->rest, rules->rest + rules->nrest,
			   rules->n, s);
	for (key = 0; key < KA_MATCH_NKEYS; key++) {
		const struct ka_rule_key *k = &rules->key[key];
		struct ka_match_value value;

		if (!k->n)
			continue;
		ka_match_value(s, key, &value);
		at = rule_stretch(k, &value);
		if (at >= 0)
			best = rules_first(rules, k->rule + k->list[at],
					   k->rule + k->list[at + 1], best, s);
	}
	return best < rules->n ? rules->rule[best] : NULL;
}

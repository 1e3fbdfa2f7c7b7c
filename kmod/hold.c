// SPDX-License-Identifier: GPL-2.0
/*
 * Connections whose program has just set something that a rule bounds or
 * overrides. The hook sees a setsockopt() begin, not end, and the program may
 * sleep in between: a worker looks soon, and once more before the second is over,
 * and again for as long as it finds the program busy with the socket. A program
 * that manages to sleep for longer before it has locked the socket (its memory is
 * on a slow disk) is held to the rule when it sets something the next time.
 */
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <net/sock.h>

#include "enforce.h"
#include "hold.h"
#include "net.h"
#include "pool.h"

#define HOLD_BITS	8
/* Sockets looked at between two holds of the lock. */
#define HOLD_BATCH	16

/* When to look, after a setsockopt() began. */
#define HOLD_SOON	(HZ / 20)
#define HOLD_LAST	(HZ * 7 / 10)

/**
 * struct ka_hold - a socket to be looked at
 * @node: in its chain
 * @sk: the socket, held
 * @soon: when to look first, jiffies, if @begun
 * @last: when to look for the last time
 * @begun: a setsockopt() has begun since the last look
 */
struct ka_hold {
	struct hlist_node	node;
	struct sock		*sk;
	unsigned long		soon;
	unsigned long		last;
	bool			begun;
};

static_assert(sizeof(struct ka_hold) <= KA_POOL_SIZE);

static struct hlist_head hold_hash[1 << HOLD_BITS];
static unsigned int hold_count;
/* Protects all of it. Raw: hooks run with preemption off with PREEMPT_RT. */
static DEFINE_RAW_SPINLOCK(hold_lock);
static void hold_work_fn(struct work_struct *work);
static DECLARE_DELAYED_WORK(hold_work, hold_work_fn);

static struct ka_hold *hold_find(struct hlist_head *chain, struct sock *sk)
{
	struct ka_hold *h;

	hlist_for_each_entry(h, chain, node)
		if (h->sk == sk)
			return h;
	h = ka_pool_get();
	if (!h)
		return NULL;
	sock_hold(sk);
	h->sk = sk;
	hlist_add_head(&h->node, chain);
	hold_count++;
	return h;
}

/**
 * ka_hold_add - look at a socket soon
 * @sk: the socket, held by the caller
 *
 * Interrupts are off. What there is no memory for is held
 * to its rule when the program sets something again.
 */
void ka_hold_add(struct sock *sk)
{
	struct ka_hold *h;

	raw_spin_lock(&hold_lock);
	h = hold_find(&hold_hash[hash_ptr(sk, HOLD_BITS)], sk);
	if (h) {
		h->last = jiffies + HOLD_LAST;
		if (!h->begun)
			h->soon = jiffies + HOLD_SOON;
		h->begun = true;
	}
	raw_spin_unlock(&hold_lock);
	if (h)
		queue_delayed_work(system_unbound_wq, &hold_work, HOLD_SOON);
}

/* Pick the sockets of a chain that are due, with a reference each. */
static unsigned int hold_pick(struct hlist_head *chain,
			      struct sock *due[HOLD_BATCH])
{
	HLIST_HEAD(over);
	struct hlist_node *next;
	unsigned int n = 0;
	struct ka_hold *h;

	raw_spin_lock_bh(&hold_lock);
	hlist_for_each_entry_safe(h, next, chain, node) {
		if (n == HOLD_BATCH)
			break;
		if (time_after_eq(jiffies, h->last)) {
			due[n++] = h->sk;
			hlist_del(&h->node);
			hlist_add_head(&h->node, &over);
			hold_count--;
		} else if (h->begun && time_after_eq(jiffies, h->soon)) {
			h->begun = false;
			sock_hold(h->sk);
			due[n++] = h->sk;
		}
	}
	raw_spin_unlock_bh(&hold_lock);

	hlist_for_each_entry_safe(h, next, &over, node)
		kfree(h);
	return n;
}

/* One that a program is busy with, for however long, is looked at again. */
static void hold_look(struct sock *sk)
{
	unsigned long flags;
	bool busy;

	local_bh_disable();
	bh_lock_sock(sk);
	busy = sock_owned_by_user(sk);
	if (!busy)
		ka_enforce_hold(ka_net(sock_net(sk)), sk);
	bh_unlock_sock(sk);
	local_bh_enable();
	if (busy) {
		local_irq_save(flags);
		ka_hold_add(sk);
		local_irq_restore(flags);
	}
	sock_put(sk);
}

static void hold_work_fn(struct work_struct *work)
{
	struct sock *due[HOLD_BATCH];
	unsigned int i, n, slot = 0;

	while (slot < ARRAY_SIZE(hold_hash)) {
		n = hold_pick(&hold_hash[slot], due);
		for (i = 0; i < n; i++)
			hold_look(due[i]);
		if (n < HOLD_BATCH)
			slot++;
		cond_resched();
	}
	if (READ_ONCE(hold_count))
		queue_delayed_work(system_unbound_wq, &hold_work, HOLD_SOON);
}

/* No hook is left that could add. May sleep. */
void ka_hold_stop(void)
{
	struct hlist_node *next;
	struct ka_hold *h;
	int slot;

	cancel_delayed_work_sync(&hold_work);
	for (slot = 0; slot < ARRAY_SIZE(hold_hash); slot++)
		hlist_for_each_entry_safe(h, next, &hold_hash[slot], node) {
			hlist_del(&h->node);
			sock_put(h->sk);
			kfree(h);
		}
	hold_count = 0;
}

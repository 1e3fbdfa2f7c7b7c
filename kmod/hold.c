// SPDX-License-Identifier: GPL-2.0
/*
 * Connections whose program has just set something that a rule bounds or
 * overrides. The hook sees a setsockopt() begin, not end, and the program may
 * sleep in between: a worker looks soon, and once more before the second is over,
 * and again for as long as it finds the program busy with the socket. A program
 * that manages to sleep for longer before it has locked the socket (its memory is
 * on a slow disk) is held to the rule when it sets something the next time.
 *
 * As many wait as there are sockets: a note is small beside its socket, which is
 * charged to its program, and the socket is let go of soon after it has closed.
 */
#include <linux/atomic.h>
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <net/sock.h>

#include "compat/workqueue.h"
#include "enforce.h"
#include "hold.h"
#include "net.h"
#include "pool.h"

#define HOLD_BITS	12
/* Sockets looked at between two holds of a lock. */
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

/* Raw: hooks run with preemption off with PREEMPT_RT. */
static struct hold_chain {
	raw_spinlock_t		lock;
	struct hlist_head	head;
} *hold_chains;
/* How many wait, in all namespaces. */
static atomic_t hold_count;
static void hold_work_fn(struct work_struct *work);
static DECLARE_DELAYED_WORK(hold_work, hold_work_fn);

/* Under the chain's lock. */
static struct ka_hold *hold_find(const struct hold_chain *chain,
				 const struct sock *sk)
{
	struct ka_hold *h;

	hlist_for_each_entry(h, &chain->head, node)
		if (h->sk == sk)
			return h;
	return NULL;
}

/* A setsockopt() has begun; under the chain's lock. */
static void hold_begun(struct ka_hold *h)
{
	h->last = jiffies + HOLD_LAST;
	if (!h->begun)
		h->soon = jiffies + HOLD_SOON;
	h->begun = true;
}

/* Do that to a socket that waits already. */
static bool hold_again(struct hold_chain *chain, struct sock *sk)
{
	struct ka_hold *h;

	raw_spin_lock(&chain->lock);
	h = hold_find(chain, sk);
	if (h)
		hold_begun(h);
	raw_spin_unlock(&chain->lock);
	return h;
}

/* Let a socket wait; false if it did already. */
static bool hold_new(struct hold_chain *chain, struct ka_hold *h,
		     struct sock *sk)
{
	struct ka_hold *other;

	h->sk = sk;
	raw_spin_lock(&chain->lock);
	other = hold_find(chain, sk);
	hold_begun(other ?: h);
	if (!other) {
		sock_hold(sk);
		atomic_inc(&hold_count);
		hlist_add_head(&h->node, &chain->head);
	}
	raw_spin_unlock(&chain->lock);
	return !other;
}

/**
 * ka_hold_add - look at a socket soon
 * @sk: the socket, held by the caller
 *
 * Interrupts are off. What there is no memory for is held to its rule when the
 * program sets something again.
 */
void ka_hold_add(struct sock *sk)
{
	struct hold_chain *chain = &hold_chains[hash_ptr(sk, HOLD_BITS)];
	struct ka_hold *h;

	if (!hold_again(chain, sk)) {
		h = ka_pool_get();
		if (!h)
			return;
		if (!hold_new(chain, h, sk))
			ka_pool_put(h);
	}
	queue_delayed_work(system_dfl_wq, &hold_work, HOLD_SOON);
}

/* Pick the sockets of a chain that are due, with a reference each. */
static unsigned int hold_pick(struct hold_chain *chain,
			      struct sock *due[HOLD_BATCH])
{
	HLIST_HEAD(over);
	struct hlist_node *next;
	unsigned int n = 0;
	struct ka_hold *h;

	raw_spin_lock_irq(&chain->lock);
	hlist_for_each_entry_safe(h, next, &chain->head, node) {
		if (n == HOLD_BATCH)
			break;
		if (time_after_eq(jiffies, h->last) ||
		    READ_ONCE(h->sk->sk_state) == TCP_CLOSE) {
			due[n++] = h->sk;
			hlist_del(&h->node);
			hlist_add_head(&h->node, &over);
			atomic_dec(&hold_count);
		} else if (h->begun && time_after_eq(jiffies, h->soon)) {
			h->begun = false;
			sock_hold(h->sk);
			due[n++] = h->sk;
		}
	}
	raw_spin_unlock_irq(&chain->lock);

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

static void hold_look_chain(struct hold_chain *chain)
{
	struct sock *due[HOLD_BATCH];
	unsigned int i, n;

	do {
		n = hold_pick(chain, due);
		for (i = 0; i < n; i++)
			hold_look(due[i]);
		cond_resched();
	} while (n == HOLD_BATCH);
}

static void hold_work_fn(struct work_struct *work)
{
	unsigned int i;

	for (i = 0; i < BIT(HOLD_BITS); i++)
		if (!hlist_empty(&hold_chains[i].head))
			hold_look_chain(&hold_chains[i]);
	if (atomic_read(&hold_count))
		queue_delayed_work(system_dfl_wq, &hold_work, HOLD_SOON);
}

int ka_hold_init(void)
{
	unsigned int i;

	hold_chains = kvcalloc(BIT(HOLD_BITS), sizeof(*hold_chains),
			       GFP_KERNEL);
	if (!hold_chains)
		return -ENOMEM;
	for (i = 0; i < BIT(HOLD_BITS); i++)
		raw_spin_lock_init(&hold_chains[i].lock);
	return 0;
}

/* No hook is left that could add. May sleep. */
void ka_hold_stop(void)
{
	struct hlist_node *next;
	struct ka_hold *h;
	unsigned int i;

	cancel_delayed_work_sync(&hold_work);
	for (i = 0; i < BIT(HOLD_BITS); i++) {
		hlist_for_each_entry_safe(h, next, &hold_chains[i].head, node) {
			hlist_del(&h->node);
			atomic_dec(&hold_count);
			sock_put(h->sk);
			kfree(h);
		}
		cond_resched();
	}
}

void ka_hold_exit(void)
{
	kvfree(hold_chains);
}

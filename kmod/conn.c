// SPDX-License-Identifier: GPL-2.0
/*
 * Records of connections that have been probed, found by socket, and the watch
 * over those that owe an answer.
 *
 * Locks, outermost first: the socket's; then a hash chain's or a namespace's
 * watch_lock, never both. Those two are raw: the hooks run with preemption off
 * even on a kernel with PREEMPT_RT.
 */
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/llist.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "conn.h"
#include "net.h"
#include "probe.h"

#define CONN_HASH_BITS	15
#define CONN_LOCK_BITS	8

/* Half of the 100 ms in which an answer is to be counted, less the wait. */
#define CONN_WATCH_PERIOD	(HZ / 25)
/* Records looked at under one hold of watch_lock. */
#define CONN_WATCH_BATCH	32
/* Records in reserve on each CPU, for when memory cannot be had at once. */
#define CONN_RESERVE		16

unsigned int ka_max_conns = 65536;
unsigned int ka_max_conns_total = 262144;

static struct hlist_head *conn_hash;
static raw_spinlock_t conn_lock[1 << CONN_LOCK_BITS];
static atomic_t conn_total;

/* Taken from by the CPU itself with preemption off, added to by anyone. */
struct conn_reserve {
	struct llist_head	free;
	atomic_t		n;
};

static DEFINE_PER_CPU(struct conn_reserve, conn_reserve);
static void conn_reserve_fill(struct work_struct *work);
static DECLARE_WORK(conn_reserve_work, conn_reserve_fill);

static_assert(sizeof(struct ka_conn) <= 192);

static void conn_reserve_fill(struct work_struct *work)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct conn_reserve *r = per_cpu_ptr(&conn_reserve, cpu);

		while (atomic_read(&r->n) < CONN_RESERVE) {
			struct ka_conn *c = kmalloc(sizeof(*c), GFP_KERNEL);

			if (!c)
				return;
			atomic_inc(&r->n);
			llist_add(&c->free, &r->free);
		}
	}
}

static struct ka_conn *conn_reserve_take(void)
{
	struct conn_reserve *r = this_cpu_ptr(&conn_reserve);
	struct llist_node *n = llist_del_first(&r->free);

	schedule_work(&conn_reserve_work);
	if (!n)
		return NULL;
	atomic_dec(&r->n);
	return llist_entry(n, struct ka_conn, free);
}

static struct ka_conn *conn_alloc(void)
{
	struct ka_conn *c = NULL;

	/* With PREEMPT_RT the allocator may sleep where the hooks may not. */
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		c = kmalloc(sizeof(*c), GFP_ATOMIC | __GFP_NOWARN);
	if (!c)
		c = conn_reserve_take();
	if (c)
		memset(c, 0, sizeof(*c));
	return c;
}

static u32 conn_slot(const struct sock *sk)
{
	return hash_ptr(sk, CONN_HASH_BITS);
}

static raw_spinlock_t *conn_slot_lock(u32 slot)
{
	return &conn_lock[slot & (BIT(CONN_LOCK_BITS) - 1)];
}

/**
 * ka_conn_find - find a socket's record
 * @kn: its namespace
 * @sk: the socket; only as an address, but for the record to stay it is locked
 *
 * Under rcu_read_lock().
 *
 * Return: the record or NULL.
 */
struct ka_conn *ka_conn_find(struct ka_net *kn, const struct sock *sk)
{
	struct ka_conn *c;

	if (!atomic_read(&kn->records))
		return NULL;
	hlist_for_each_entry_rcu(c, &conn_hash[conn_slot(sk)], node)
		if (c->sk == sk)
			return c;
	return NULL;
}

/* Count the record as a lasting one, if both bounds allow. */
static bool conn_keep(struct ka_net *kn)
{
	if (atomic_inc_return(&conn_total) > READ_ONCE(ka_max_conns_total))
		goto out_total;
	if (atomic_inc_return(&kn->tracked) > READ_ONCE(ka_max_conns))
		goto out_net;
	return true;

out_net:
	atomic_dec(&kn->tracked);
out_total:
	atomic_dec(&conn_total);
	return false;
}

/**
 * ka_conn_make - make a record for a socket that has none
 * @kn: its namespace
 * @sk: the socket, locked; BHs are off
 *
 * A connection that no bound leaves room for gets a record that lasts until it
 * owes no answer: the statistics need that much. It costs less than a tenth of
 * the socket it belongs to.
 *
 * Return: the record, or NULL for want of memory.
 */
struct ka_conn *ka_conn_make(struct ka_net *kn, struct sock *sk)
{
	struct ka_conn *c = conn_alloc();
	u32 slot = conn_slot(sk);

	if (c) {
		sock_hold(sk);
		c->sk = sk;
		c->kn = kn;
		c->lasting = conn_keep(kn);
		atomic_inc(&kn->records);
		raw_spin_lock(conn_slot_lock(slot));
		hlist_add_head_rcu(&c->node, &conn_hash[slot]);
		raw_spin_unlock(conn_slot_lock(slot));
	}
	if (!c || !c->lasting)
		ka_stats_add(kn, KA_CONNS_UNTRACKED, 1);
	return c;
}

/**
 * ka_conn_drop - unlink a record and free it after a grace period
 * @c: the record; nothing is out
 *
 * The socket is locked, by somebody with a reference of his own, or no hook
 * can run for it any more. BHs are off.
 */
void ka_conn_drop(struct ka_conn *c)
{
	u32 slot = conn_slot(c->sk);

	ka_conn_unwatch(c);
	raw_spin_lock(conn_slot_lock(slot));
	hlist_del_rcu(&c->node);
	raw_spin_unlock(conn_slot_lock(slot));
	atomic_dec(&c->kn->records);
	if (c->lasting) {
		atomic_dec(&c->kn->tracked);
		atomic_dec(&conn_total);
	}
	sock_put(c->sk);
	kfree_rcu(c, rcu);
}

/**
 * ka_conn_watch - look for an answer from now on
 * @c: the record; its socket is locked and BHs are off
 */
void ka_conn_watch(struct ka_conn *c)
{
	struct ka_net *kn = c->kn;

	if (c->watched)
		return;
	raw_spin_lock(&kn->watch_lock);
	list_add_tail(&c->watch, &kn->watch);
	c->watched = true;
	kn->watched++;
	raw_spin_unlock(&kn->watch_lock);
	queue_delayed_work(system_unbound_wq, &kn->watch_work,
			   CONN_WATCH_PERIOD);
}

/**
 * ka_conn_unwatch - it owes no answer any more
 * @c: the record; its socket is locked and BHs are off
 */
void ka_conn_unwatch(struct ka_conn *c)
{
	struct ka_net *kn = c->kn;

	if (!c->watched)
		return;
	raw_spin_lock(&kn->watch_lock);
	list_del(&c->watch);
	c->watched = false;
	kn->watched--;
	raw_spin_unlock(&kn->watch_lock);
}

/*
 * Pass over up to CONN_WATCH_BATCH of the *left records, longest unseen first,
 * and pick the sockets that seem to have had an answer, with a reference each.
 */
static unsigned int conn_watch_pick(struct ka_net *kn, unsigned int *left,
				    struct sock **heard)
{
	unsigned int i, n = 0;

	raw_spin_lock_bh(&kn->watch_lock);
	for (i = 0; *left && i < CONN_WATCH_BATCH; i++, --*left) {
		struct ka_conn *c;

		c = list_first_entry_or_null(&kn->watch, struct ka_conn, watch);
		if (!c) {
			*left = 0;
			break;
		}
		list_move_tail(&c->watch, &kn->watch);
		if (ka_probe_maybe_answered(c)) {
			sock_hold(c->sk);
			heard[n++] = c->sk;
		}
	}
	raw_spin_unlock_bh(&kn->watch_lock);
	return n;
}

/* A socket that a process has locked is left to the next pass. */
static void conn_watch_look(struct ka_net *kn, struct sock *sk)
{
	local_bh_disable();
	bh_lock_sock(sk);
	if (!sock_owned_by_user(sk)) {
		struct ka_conn *c;

		rcu_read_lock();
		c = ka_conn_find(kn, sk);
		if (c)
			ka_probe_look(c);
		rcu_read_unlock();
	}
	bh_unlock_sock(sk);
	local_bh_enable();
	sock_put(sk);
}

static void conn_watch_work(struct work_struct *work)
{
	struct ka_net *kn = container_of(to_delayed_work(work), struct ka_net,
					 watch_work);
	unsigned long start = jiffies;
	unsigned int left = READ_ONCE(kn->watched);

	while (left) {
		struct sock *heard[CONN_WATCH_BATCH];
		unsigned int n = conn_watch_pick(kn, &left, heard);

		while (n)
			conn_watch_look(kn, heard[--n]);
		cond_resched();
	}

	/* However many there are, at most a fifth of one CPU goes into this. */
	if (READ_ONCE(kn->watched))
		queue_delayed_work(system_unbound_wq, &kn->watch_work,
				   max_t(unsigned long, CONN_WATCH_PERIOD,
					 4 * (jiffies - start)));
}

void ka_conn_net_init(struct ka_net *kn)
{
	raw_spin_lock_init(&kn->watch_lock);
	INIT_LIST_HEAD(&kn->watch);
	INIT_DELAYED_WORK(&kn->watch_work, conn_watch_work);
}

/**
 * ka_conn_net_exit - drop the records of a namespace that goes
 * @kn: the namespace; no hook is inside any more
 *
 * A kernel socket does not hold its namespace, so some may be left.
 */
void ka_conn_net_exit(struct ka_net *kn)
{
	u32 slot;

	cancel_delayed_work_sync(&kn->watch_work);

	for (slot = 0; slot < BIT(CONN_HASH_BITS); slot++) {
		struct ka_conn *c;

		if (!atomic_read(&kn->records))
			break;
		local_bh_disable();
		rcu_read_lock();
		hlist_for_each_entry_rcu(c, &conn_hash[slot], node)
			if (c->kn == kn)
				ka_probe_abandon(c);
		rcu_read_unlock();
		local_bh_enable();
		cond_resched();
	}
}

int ka_conn_init(void)
{
	int i;

	conn_hash = kvcalloc(BIT(CONN_HASH_BITS), sizeof(*conn_hash),
			     GFP_KERNEL);
	if (!conn_hash)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(conn_lock); i++)
		raw_spin_lock_init(&conn_lock[i]);
	conn_reserve_fill(NULL);
	return 0;
}

/* Hooks and namespaces are gone. */
void ka_conn_exit(void)
{
	int cpu;

	cancel_work_sync(&conn_reserve_work);
	for_each_possible_cpu(cpu) {
		struct conn_reserve *r = per_cpu_ptr(&conn_reserve, cpu);
		struct ka_conn *c, *next;

		llist_for_each_entry_safe(c, next, llist_del_all(&r->free),
					  free)
			kfree(c);
	}
	kvfree(conn_hash);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Records of connections that have been probed, found by socket.
 *
 * Locks, outermost first: the socket's; then a hash chain's or the watch's,
 * never both. Those two are raw: the hooks run with preemption off even on a
 * kernel with PREEMPT_RT.
 */
#include <linux/log2.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <net/inet_hashtables.h>
#include <net/net_namespace.h>

#include "conn.h"
#include "net.h"
#include "pool.h"
#include "probe.h"
#include "watch.h"

#define CONN_LOCK_BITS	8

unsigned int ka_max_conns = 65536;
unsigned int ka_max_conns_total = 262144;

/* As many chains as TCP has for the connections themselves. */
struct hlist_head *ka_conn_hash __read_mostly;
unsigned int ka_conn_hash_bits __read_mostly;
static raw_spinlock_t conn_lock[1 << CONN_LOCK_BITS];
static atomic_t conn_total;

static_assert(sizeof(struct ka_conn) <= KA_POOL_SIZE);

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
	hlist_for_each_entry_rcu(c, &ka_conn_hash[ka_conn_slot(sk)], node)
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
	struct ka_conn *c = ka_pool_get();
	u32 slot = ka_conn_slot(sk);

	if (c) {
		sock_hold(sk);
		c->sk = sk;
		c->kn = kn;
		c->lasting = conn_keep(kn);
		atomic_inc(&kn->records);
		raw_spin_lock(conn_slot_lock(slot));
		hlist_add_head_rcu(&c->node, &ka_conn_hash[slot]);
		raw_spin_unlock(conn_slot_lock(slot));
	}
	if (!c || !c->lasting)
		ka_stats_add(kn, KA_CONNS_UNTRACKED, 1);
	return c;
}

/**
 * ka_conn_lasts - is the record to be kept now that nothing is owed?
 * @c: the record; its socket is locked and BHs are off
 *
 * One that no bound left room for lasts from now on if there is room by now.
 */
bool ka_conn_lasts(struct ka_conn *c)
{
	if (!c->lasting)
		c->lasting = conn_keep(c->kn);
	return c->lasting;
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
	u32 slot = ka_conn_slot(c->sk);

	ka_watch_remove(c);
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
 * ka_conn_net_exit - drop the records of a namespace that goes
 * @kn: the namespace; it is going, and no hook is inside any more
 *
 * At unload there may be many, else only those of kernel sockets, which do not
 * hold their namespace. Nobody looks for answers any more: the namespace's
 * readers are gone, and the watch is stopped or holds those that it visits. May
 * sleep.
 */
void ka_conn_net_exit(struct ka_net *kn)
{
	u32 slot;

	for (slot = 0; slot < BIT(ka_conn_hash_bits); slot++) {
		struct ka_conn *c;

		if (!atomic_read(&kn->records))
			break;
		local_bh_disable();
		rcu_read_lock();
		hlist_for_each_entry_rcu(c, &ka_conn_hash[slot], node)
			if (c->kn == kn)
				ka_probe_abandon(c);
		rcu_read_unlock();
		local_bh_enable();
		cond_resched();
	}
}

int ka_conn_init(void)
{
	const struct inet_hashinfo *tcp = init_net.ipv4.tcp_death_row.hashinfo;
	int i;

	ka_conn_hash_bits = max(CONN_LOCK_BITS, ilog2(tcp->ehash_mask + 1));
	ka_conn_hash = kvcalloc(BIT(ka_conn_hash_bits), sizeof(*ka_conn_hash),
				GFP_KERNEL);
	if (!ka_conn_hash)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(conn_lock); i++)
		raw_spin_lock_init(&conn_lock[i]);
	return 0;
}

/* Hooks, watch and namespaces are gone. */
void ka_conn_exit(void)
{
	kvfree(ka_conn_hash);
}

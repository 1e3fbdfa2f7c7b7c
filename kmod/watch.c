// SPDX-License-Identifier: GPL-2.0
/*
 * The watch over connections that owe an answer: all records with a probe out,
 * or with one lost, are looked at every 40 ms, so that an answer is counted
 * within 100 ms of its arrival. There is one watch for all namespaces, and
 * however many are watched it takes at most a fifth of one CPU: beyond some
 * 100 000 the looks come less often, and an answer may wait for the next event.
 *
 * The socket's lock is outside watch_lock. That one is raw, as the hooks run
 * with preemption off on a kernel with PREEMPT_RT.
 */
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <net/sock.h>

#include "conn.h"
#include "net.h"
#include "probe.h"
#include "watch.h"

#define WATCH_PERIOD	(HZ / 25)
/* Records looked at under one hold of watch_lock. */
#define WATCH_BATCH	32

static DEFINE_RAW_SPINLOCK(watch_lock);
/* Both under watch_lock. */
static LIST_HEAD(watch_list);
static unsigned int watch_count;

static void watch_pass(struct work_struct *work);
static DECLARE_DELAYED_WORK(watch_work, watch_pass);

/**
 * ka_watch_add - look for an answer from now on
 * @c: the record; its socket is locked and BHs are off
 */
void ka_watch_add(struct ka_conn *c)
{
	if (c->watched)
		return;
	raw_spin_lock(&watch_lock);
	list_add_tail(&c->watch, &watch_list);
	c->watched = true;
	watch_count++;
	raw_spin_unlock(&watch_lock);
	queue_delayed_work(system_unbound_wq, &watch_work, WATCH_PERIOD);
}

/**
 * ka_watch_remove - it owes no answer any more
 * @c: the record; its socket is locked and BHs are off
 */
void ka_watch_remove(struct ka_conn *c)
{
	if (!c->watched)
		return;
	raw_spin_lock(&watch_lock);
	list_del(&c->watch);
	c->watched = false;
	watch_count--;
	raw_spin_unlock(&watch_lock);
}

/*
 * Pass over up to WATCH_BATCH of the *left records, longest unseen first, and
 * pick the sockets that seem to have had an answer, with a reference each. A
 * record on the list holds one, and leaves the list before it gives that up.
 */
static unsigned int watch_pick(unsigned int *left, struct sock **heard)
{
	unsigned int i, n = 0;

	raw_spin_lock_bh(&watch_lock);
	for (i = 0; *left && i < WATCH_BATCH; i++, --*left) {
		struct ka_conn *c;

		c = list_first_entry_or_null(&watch_list, struct ka_conn,
					     watch);
		if (!c) {
			*left = 0;
			break;
		}
		list_move_tail(&c->watch, &watch_list);
		if (ka_probe_maybe_answered(c)) {
			sock_hold(c->sk);
			heard[n++] = c->sk;
		}
	}
	raw_spin_unlock_bh(&watch_lock);
	return n;
}

/* A socket that a process has locked is left to the next pass. */
static void watch_look(struct sock *sk)
{
	local_bh_disable();
	bh_lock_sock(sk);
	if (!sock_owned_by_user(sk)) {
		struct ka_conn *c;

		rcu_read_lock();
		c = ka_conn_find(ka_net(sock_net(sk)), sk);
		if (c)
			ka_probe_look(c);
		rcu_read_unlock();
	}
	bh_unlock_sock(sk);
	local_bh_enable();
	sock_put(sk);
}

static void watch_pass(struct work_struct *work)
{
	unsigned long start = jiffies;
	unsigned int left = READ_ONCE(watch_count);

	while (left) {
		struct sock *heard[WATCH_BATCH];
		unsigned int n = watch_pick(&left, heard);

		while (n)
			watch_look(heard[--n]);
		cond_resched();
	}

	if (READ_ONCE(watch_count))
		queue_delayed_work(system_unbound_wq, &watch_work,
				   max_t(unsigned long, WATCH_PERIOD,
					 4 * (jiffies - start)));
}

/**
 * ka_watch_flush - wait until the watch has let go of the sockets it picked
 *
 * May sleep.
 */
void ka_watch_flush(void)
{
	flush_work(&watch_work.work);
}

/* Nothing is watched any more, and nobody can add. May sleep. */
void ka_watch_exit(void)
{
	cancel_delayed_work_sync(&watch_work);
}

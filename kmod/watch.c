// SPDX-License-Identifier: GPL-2.0
/*
 * The watch over connections that owe an answer: records with a probe out, or
 * with one lost. They are looked at before anything is read, so that whoever
 * reads finds each answer counted that has arrived. Nobody wakes a CPU for them
 * otherwise, which would cost more than a probe and its answer do, but while
 * somebody listens: then soon after the probe, and again and again.
 *
 * The socket's lock is outside watch_lock. That one is raw, as the hooks run
 * with preemption off on a kernel with PREEMPT_RT. Who is in no hook takes it with
 * interrupts off: raw_spin_lock_bh() leaves preemption on there, so that a hook
 * could spin for a holder that waits for its CPU.
 */
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <net/sock.h>

#include "compat/workqueue.h"
#include "conn.h"
#include "net.h"
#include "probe.h"
#include "watch.h"

/* How soon a listener hears of an answer: half of what users may rely on. */
#define WATCH_PERIOD	(HZ / 20)
/* Records looked at under one hold of watch_lock. */
#define WATCH_BATCH	32

static void watch_work_fn(struct work_struct *work);
static DECLARE_DELAYED_WORK(watch_work, watch_work_fn);

/**
 * ka_watch_add - it owes an answer from now on
 * @c: the record; its socket is locked and BHs are off
 */
void ka_watch_add(struct ka_conn *c)
{
	struct ka_net *kn = c->kn;

	if (c->watched)
		return;
	raw_spin_lock(&kn->watch_lock);
	list_add_tail(&c->watch, &kn->watch);
	c->watched = true;
	WRITE_ONCE(kn->watched, kn->watched + 1);
	raw_spin_unlock(&kn->watch_lock);
}

/* Somebody waits to hear of an answer. */
void ka_watch_hurry(void)
{
	queue_delayed_work(system_dfl_wq, &watch_work, WATCH_PERIOD);
}

/**
 * ka_watch_remove - it owes no answer any more
 * @c: the record; its socket is locked and BHs are off
 */
void ka_watch_remove(struct ka_conn *c)
{
	struct ka_net *kn = c->kn;

	if (!c->watched)
		return;
	raw_spin_lock(&kn->watch_lock);
	list_del(&c->watch);
	c->watched = false;
	WRITE_ONCE(kn->watched, kn->watched - 1);
	raw_spin_unlock(&kn->watch_lock);
}

/*
 * Pass over up to WATCH_BATCH of the *left records, longest unseen first, and
 * pick the sockets that seem to have had an answer, with a reference each. A
 * record on the list holds one, and leaves the list before it gives that up.
 */
static unsigned int watch_pick(struct ka_net *kn, unsigned int *left,
			       struct sock **heard)
{
	unsigned int i, n = 0;

	raw_spin_lock_irq(&kn->watch_lock);
	for (i = 0; *left && i < WATCH_BATCH; i++, --*left) {
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
	raw_spin_unlock_irq(&kn->watch_lock);
	return n;
}

/* A socket that a process has locked is left to the next pass. */
static void watch_look(struct ka_net *kn, struct sock *sk)
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

/**
 * ka_watch_pass - look for answers of a namespace's connections
 * @kn: the namespace, which does not go meanwhile
 *
 * May sleep.
 */
void ka_watch_pass(struct ka_net *kn)
{
	unsigned int left = READ_ONCE(kn->watched);

	/*
	 * Passes may take turns: what one has moved to the list's end, or taken
	 * off it, it has counted when the other gets the mutex. So that is taken
	 * with an empty list too.
	 */
	do {
		struct sock *heard[WATCH_BATCH];
		unsigned int n;

		mutex_lock(&kn->watch_mutex);
		n = watch_pick(kn, &left, heard);
		while (n)
			watch_look(kn, heard[--n]);
		mutex_unlock(&kn->watch_mutex);
		cond_resched();
	} while (left);
}

/*
 * One pass over all namespaces. The one that is looked at is held, and so stays
 * on the list; however many are watched, a fifth of one CPU goes into it at most.
 */
static void watch_work_fn(struct work_struct *work)
{
	unsigned long start = jiffies;
	struct net *net, *held = NULL;
	bool more = false;

	rcu_read_lock();
	for_each_net_rcu(net) {
		struct ka_net *kn = ka_net(net);

		if (!READ_ONCE(kn->watched) || !maybe_get_net(net))
			continue;
		rcu_read_unlock();
		if (held)
			put_net(held);
		held = net;
		ka_watch_pass(kn);
		rcu_read_lock();
		more |= READ_ONCE(kn->watched) && ka_probe_heeded(kn);
	}
	rcu_read_unlock();
	if (held)
		put_net(held);

	if (more)
		queue_delayed_work(system_dfl_wq, &watch_work,
				   max_t(unsigned long, WATCH_PERIOD,
					 4 * (jiffies - start)));
}

void ka_watch_init(struct ka_net *kn)
{
	raw_spin_lock_init(&kn->watch_lock);
	INIT_LIST_HEAD(&kn->watch);
	mutex_init(&kn->watch_mutex);
}

void ka_watch_exit(struct ka_net *kn)
{
	mutex_destroy(&kn->watch_mutex);
}

/* No hook is left that could add. May sleep. */
void ka_watch_stop(void)
{
	cancel_delayed_work_sync(&watch_work);
}

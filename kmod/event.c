// SPDX-License-Identifier: GPL-2.0
/*
 * Events of connections, for those who listen. A hook, which can neither wait
 * for memory nor, with PREEMPT_RT, take netlink's locks, numbers and notes what
 * happened; a worker sends the notes in that order, of one namespace after the
 * other, so that a flood of one's is its own.
 */
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>
#include <net/genetlink.h>

#include "compat/workqueue.h"
#include "event.h"
#include "ident.h"
#include "net.h"
#include "netlink.h"
#include "pool.h"
#include "watch.h"

/**
 * struct ka_event - an event that waits to be sent
 * @node: in its namespace's queue
 * @ident: the connection
 * @at: when, nanoseconds of CLOCK_REALTIME
 * @uid: the user that its socket belongs to
 * @inode: the socket's inode number
 * @lost: probes lost in a row
 * @idle_ms: milliseconds for which the peer was silent
 * @seq: its number
 * @what: what happened
 */
struct ka_event {
	struct list_head	node;
	struct ka_ident		ident;
	u64			at;
	kuid_t			uid;
	u32			inode;
	u32			lost;
	u32			idle_ms;
	u32			seq;
	u8			what;
};

/* Room for the attributes of one; a listener's buffer is charged for it. */
#define EVENT_SIZE	256

static_assert(sizeof(struct ka_event) <= KA_POOL_SIZE);

/* Events that may wait, of a namespace and of all: 3 MB and 12 MB of them. */
#define EVENT_NET_MAX	16384
#define EVENT_MAX	65536

/* Namespaces with events that wait, and how many do; the lock of all of it, taken as watch.c's. */
static LIST_HEAD(event_nets);
static unsigned int event_queued;
static DEFINE_RAW_SPINLOCK(event_lock);
/* An event is being sent: its namespace does not go meanwhile. */
static DEFINE_MUTEX(event_sending);
static void event_work_fn(struct work_struct *work);
static DECLARE_WORK(event_work, event_work_fn);

/* The family is there to send by; hooks that read it are under RCU. */
static bool event_open __read_mostly;

/**
 * ka_event_wanted - does anybody listen?
 * @kn: a namespace
 *
 * In any namespace: generic netlink knows no better. Under rcu_read_lock(), for
 * as long as it takes to add what is wanted.
 *
 * Return: 0 if nobody does.
 */
int ka_event_wanted(const struct ka_net *kn)
{
	if (!READ_ONCE(event_open))
		return 0;
	return genl_has_listeners(&ka_netlink_family, kn->net,
				  KA_NETLINK_EVENTS);
}

/**
 * ka_event_heard - did the last event reach somebody, and does anybody listen?
 * @kn: the namespace
 *
 * Under rcu_read_lock().
 */
bool ka_event_heard(const struct ka_net *kn)
{
	return READ_ONCE(kn->events_heard) && ka_event_wanted(kn);
}

/* Number an event of the namespace, and queue it unless it is NULL. */
static void event_queue_add(struct ka_net *kn, struct ka_event *e)
{
	raw_spin_lock(&event_lock);
	kn->event_seq++;
	if (e) {
		e->seq = kn->event_seq;
		list_add_tail(&e->node, &kn->events);
		if (!kn->events_queued)
			list_add_tail(&kn->events_node, &event_nets);
		WRITE_ONCE(kn->events_queued, kn->events_queued + 1);
		WRITE_ONCE(event_queued, event_queued + 1);
	}
	raw_spin_unlock(&event_lock);
	queue_work(system_dfl_wq, &event_work);
}

/**
 * ka_event_queue - tell the listeners, of whom there are some
 * @kn: the namespace
 * @sk: the connection's socket, locked
 * @what: what happened
 * @lost: probes lost in a row
 * @idle_ms: milliseconds for which the peer was silent
 *
 * See ka_event_add(). What there is no room for shows as a gap in the numbers.
 */
void ka_event_queue(struct ka_net *kn, const struct sock *sk,
		    enum tcp_keepalive_event what, u32 lost, u32 idle_ms)
{
	struct ka_event *e;

	/* With PREEMPT_RT nothing could be freed here again. */
	e = READ_ONCE(event_queued) < EVENT_MAX &&
	    READ_ONCE(kn->events_queued) < EVENT_NET_MAX ? ka_pool_get() : NULL;
	if (e) {
		ka_ident_read(&e->ident, sk);
		e->at = ktime_get_real_ns();
		e->uid = READ_ONCE(sk->sk_uid);
		e->inode = ka_ident_inode(sk);
		e->lost = lost;
		e->idle_ms = idle_ms;
		e->what = what;
	}
	event_queue_add(kn, e);
}

static int event_put(struct sk_buff *skb, const struct net *net,
		     const struct ka_event *e)
{
	return nla_put_u32(skb, TCP_KEEPALIVE_A_EVENT_EVENT, e->what) ?:
	       nla_put_u32(skb, TCP_KEEPALIVE_A_EVENT_SEQ, e->seq) ?:
	       nla_put_u64_64bit(skb, TCP_KEEPALIVE_A_EVENT_AT, e->at,
				 TCP_KEEPALIVE_A_EVENT_PAD) ?:
	       nla_put_u32(skb, TCP_KEEPALIVE_A_EVENT_NETNS_INO,
			   net->ns.inum) ?:
	       ka_ident_put(skb, &e->ident, TCP_KEEPALIVE_A_EVENT_LOCAL) ?:
	       nla_put_u32(skb, TCP_KEEPALIVE_A_EVENT_UID,
			   from_kuid_munged(net->user_ns, e->uid)) ?:
	       nla_put_u32(skb, TCP_KEEPALIVE_A_EVENT_INODE, e->inode) ?:
	       nla_put_u32(skb, TCP_KEEPALIVE_A_EVENT_LOST, e->lost) ?:
	       nla_put_u32(skb, TCP_KEEPALIVE_A_EVENT_IDLE_MS, e->idle_ms);
}

static void event_send(struct ka_net *kn, const struct ka_event *e)
{
	struct sk_buff *skb;
	void *hdr;
	int err;

	skb = genlmsg_new(EVENT_SIZE, GFP_KERNEL);
	if (!skb)
		return;
	hdr = genlmsg_put(skb, 0, 0, &ka_netlink_family, 0,
			  TCP_KEEPALIVE_CMD_EVENT_NTF);
	if (!hdr || event_put(skb, kn->net, e)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, hdr);
	err = genlmsg_multicast_netns(&ka_netlink_family, kn->net, skb, 0,
				      KA_NETLINK_EVENTS, GFP_KERNEL);
	WRITE_ONCE(kn->events_heard, err != -ESRCH);
	/* Of a loss it may be, and who heard of that waits for the recovery. */
	if (err != -ESRCH)
		ka_watch_hurry();
}

/* The first event of the namespace whose turn it is; it goes to the end then. */
static struct ka_event *event_next(struct ka_net **from)
{
	struct ka_event *e = NULL;
	struct ka_net *kn;

	raw_spin_lock_irq(&event_lock);
	kn = list_first_entry_or_null(&event_nets, struct ka_net, events_node);
	if (kn) {
		e = list_first_entry(&kn->events, struct ka_event, node);
		list_del(&e->node);
		WRITE_ONCE(event_queued, event_queued - 1);
		WRITE_ONCE(kn->events_queued, kn->events_queued - 1);
		if (kn->events_queued)
			list_move_tail(&kn->events_node, &event_nets);
		else
			list_del(&kn->events_node);
	}
	raw_spin_unlock_irq(&event_lock);
	*from = kn;
	return e;
}

static void event_work_fn(struct work_struct *work)
{
	struct ka_event *e;
	struct ka_net *kn;

	do {
		mutex_lock(&event_sending);
		e = event_next(&kn);
		if (e)
			event_send(kn, e);
		mutex_unlock(&event_sending);
		kfree(e);
		cond_resched();
	} while (e);
}

void ka_event_net_init(struct ka_net *kn)
{
	INIT_LIST_HEAD(&kn->events);
}

/**
 * ka_event_net_exit - forget the events of a namespace that goes
 * @kn: the namespace; it is going, and no hook is inside any more
 *
 * Nobody can listen there any more. May sleep, for as long as it takes to send
 * one event.
 */
void ka_event_net_exit(struct ka_net *kn)
{
	struct ka_event *e, *next;
	LIST_HEAD(forgotten);

	mutex_lock(&event_sending);
	raw_spin_lock_irq(&event_lock);
	if (kn->events_queued)
		list_del(&kn->events_node);
	WRITE_ONCE(event_queued, event_queued - kn->events_queued);
	list_splice(&kn->events, &forgotten);
	raw_spin_unlock_irq(&event_lock);
	mutex_unlock(&event_sending);
	list_for_each_entry_safe(e, next, &forgotten, node)
		kfree(e);
}

/* The family is there. */
void ka_event_start(void)
{
	WRITE_ONCE(event_open, true);
}

/* The family is about to go. May sleep. */
void ka_event_stop(void)
{
	WRITE_ONCE(event_open, false);
	synchronize_rcu();
	flush_work(&event_work);
}

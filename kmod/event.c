// SPDX-License-Identifier: GPL-2.0
/*
 * Events of connections, for those who listen. A hook, which can neither wait
 * for memory nor, with PREEMPT_RT, take netlink's locks, numbers and notes what
 * happened; a worker sends the notes in that order.
 */
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>
#include <net/genetlink.h>

#include "event.h"
#include "ident.h"
#include "net.h"
#include "netlink.h"
#include "pool.h"

/**
 * struct ka_event - an event that waits to be sent
 * @node: in the queue
 * @kn: where it happened; stays until the queue is flushed
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
	struct ka_net		*kn;
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

/* Events that may wait, in all namespaces: 3 MB of them. */
#define EVENT_QUEUE_MAX	16384

/* In the order of their numbers; how many; the lock of both, and of the numbers. */
static LIST_HEAD(event_queue);
static unsigned int event_queued;
static DEFINE_RAW_SPINLOCK(event_lock);
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
 * ka_event_heard - did the last event reach anybody?
 * @kn: the namespace
 */
bool ka_event_heard(const struct ka_net *kn)
{
	return READ_ONCE(kn->events_heard);
}

/* Number an event of the namespace, and queue it unless it is NULL. */
static void event_queue_add(struct ka_net *kn, struct ka_event *e)
{
	raw_spin_lock(&event_lock);
	kn->event_seq++;
	if (e) {
		e->seq = kn->event_seq;
		list_add_tail(&e->node, &event_queue);
		event_queued++;
	}
	raw_spin_unlock(&event_lock);
	queue_work(system_unbound_wq, &event_work);
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
	e = READ_ONCE(event_queued) < EVENT_QUEUE_MAX ? ka_pool_get() : NULL;
	if (e) {
		e->kn = kn;
		ka_ident_read(&e->ident, sk);
		e->at = ktime_get_real_ns();
		e->uid = sk->sk_uid;
		e->inode = ka_ident_inode(sk);
		e->lost = lost;
		e->idle_ms = idle_ms;
		e->what = what;
	}
	event_queue_add(kn, e);
}

static int event_put(struct sk_buff *skb, const struct ka_event *e)
{
	const struct net *net = e->kn->net;

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

static void event_send(const struct ka_event *e)
{
	struct sk_buff *skb;
	void *hdr;
	int err;

	skb = genlmsg_new(EVENT_SIZE, GFP_KERNEL);
	if (!skb)
		return;
	hdr = genlmsg_put(skb, 0, 0, &ka_netlink_family, 0,
			  TCP_KEEPALIVE_CMD_EVENT_NTF);
	if (!hdr || event_put(skb, e)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, hdr);
	err = genlmsg_multicast_netns(&ka_netlink_family, e->kn->net, skb, 0,
				      KA_NETLINK_EVENTS, GFP_KERNEL);
	WRITE_ONCE(e->kn->events_heard, err != -ESRCH);
}

static void event_work_fn(struct work_struct *work)
{
	struct ka_event *e;

	for (;;) {
		raw_spin_lock_bh(&event_lock);
		e = list_first_entry_or_null(&event_queue, struct ka_event,
					     node);
		if (e) {
			list_del(&e->node);
			event_queued--;
		}
		raw_spin_unlock_bh(&event_lock);
		if (!e)
			break;
		event_send(e);
		kfree(e);
		cond_resched();
	}
}

/* Wait until what was added before this call has been sent. */
void ka_event_flush(void)
{
	/* Whoever added may not have come that far yet. */
	queue_work(system_unbound_wq, &event_work);
	flush_work(&event_work);
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
	ka_event_flush();
}

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_CONN_H
#define KA_CONN_H

#include <linux/hash.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/rcupdate.h>
#include <linux/types.h>
#include <net/sock.h>

struct ka_net;

/**
 * struct ka_conn - the record of a connection that has been probed
 * @node: in its hash chain; written under the chain's lock, read under RCU
 * @free: or in a CPU's reserve
 * @watch: in the namespace's list of those that owe an answer; under
 *	watch_lock
 * @rcu: to be freed by
 * @sk: the connection's socket; the record holds a reference on it
 * @kn: its namespace
 * @rcv_tstamp: tcp_sock's rcv_tstamp when the last probe was sent
 * @lrcvtime: icsk_ack's lrcvtime then
 * @lost_in_row: probes lost since the peer was last heard
 * @out: segments of the probe that is out, 0 if none is
 * @lasting: counted in tracked and kept until the connection ends; otherwise,
 *	a bound being reached, until it owes no answer
 * @watched: on that list; likewise
 *
 * Made, changed and unlinked with the socket locked, or where no hook can run
 * any more. The watch reads @rcv_tstamp and @lrcvtime without it, as a hint.
 */
struct ka_conn {
	union {
		struct hlist_node	node;
		struct llist_node	free;
	};
	struct list_head	watch;
	struct rcu_head		rcu;
	struct sock		*sk;
	struct ka_net		*kn;
	u32			rcv_tstamp;
	u32			lrcvtime;
	u16			lost_in_row;
	u8			out;
	bool			lasting;
	bool			watched;
};

#define KA_CONN_HASH_BITS	15

extern struct hlist_head *ka_conn_hash;
extern unsigned int ka_max_conns;
extern unsigned int ka_max_conns_total;

static inline u32 ka_conn_slot(const struct sock *sk)
{
	return hash_ptr(sk, KA_CONN_HASH_BITS);
}

/**
 * ka_conn_maybe - can the socket have a record?
 * @sk: the socket; if it is locked, no is a sure answer
 *
 * For the many that have none, when they close: takes no lock, not even RCU.
 */
static inline bool ka_conn_maybe(const struct sock *sk)
{
	return !hlist_empty(&ka_conn_hash[ka_conn_slot(sk)]);
}

struct ka_conn *ka_conn_find(struct ka_net *kn, const struct sock *sk);
struct ka_conn *ka_conn_make(struct ka_net *kn, struct sock *sk);
bool ka_conn_lasts(struct ka_conn *c);
void ka_conn_drop(struct ka_conn *c);

void ka_conn_net_exit(struct ka_net *kn);
int ka_conn_init(void);
void ka_conn_exit(void);

#endif

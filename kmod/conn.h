/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_CONN_H
#define KA_CONN_H

#include <linux/hash.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/types.h>
#include <net/sock.h>

struct ka_net;

/**
 * struct ka_conn - the record of a connection that has been probed
 * @node: in its hash chain; written under the chain's lock, read under RCU
 * @watch: in the namespace's list of those that owe an answer; under
 *	watch_lock
 * @rcu: to be freed by
 * @sk: the connection's socket; the record holds a reference on it
 * @kn: its namespace
 * @mstamp: the last probe's time, microseconds, as tcp_sock's tcp_mstamp
 * @sent_at: likewise, as tcp_jiffies32
 * @rcv_tstamp: tcp_sock's rcv_tstamp when the last probe was sent
 * @lrcvtime: icsk_ack's lrcvtime then
 * @segs_in: and more of tcp_sock's, then: see probe_rtt_us()
 * @segs_out: likewise
 * @rcv_nxt: likewise
 * @copied_seq: likewise
 * @write_seq: likewise
 * @snd_wnd: likewise
 * @sent: probes sent
 * @answered: of those, answered
 * @lost: of those, lost
 * @rtt_us: from the last probe whose time could be told to its answer, or 0
 * @rtt_min_us: the smallest of them, or 0
 * @lost_in_row: probes lost since the peer was last heard
 * @out: segments of the probe that is out, 0 if none is
 * @ticked: the keepalive timer has run since the last probe; written by the
 *	timer itself without the lock too
 * @lasting: counted in tracked and kept until the connection ends; otherwise,
 *	a bound being reached, until it owes no answer
 * @watched: on that list; likewise
 *
 * Made, changed and unlinked with the socket locked, or where no hook can run
 * any more. The watch reads @rcv_tstamp and @lrcvtime without it, as a hint, a
 * dump what it shows.
 */
struct ka_conn {
	struct hlist_node	node;
	struct list_head	watch;
	struct rcu_head		rcu;
	struct sock		*sk;
	struct ka_net		*kn;
	u64			mstamp;
	u32			sent_at;
	u32			rcv_tstamp;
	u32			lrcvtime;
	u32			segs_in;
	u32			segs_out;
	u32			rcv_nxt;
	u32			copied_seq;
	u32			write_seq;
	u32			snd_wnd;
	u32			sent;
	u32			answered;
	u32			lost;
	u32			rtt_us;
	u32			rtt_min_us;
	u16			lost_in_row;
	u8			out;
	bool			ticked;
	bool			lasting;
	bool			watched;
};

extern struct hlist_head *ka_conn_hash;
extern unsigned int ka_conn_hash_bits;
extern unsigned int ka_max_conns;
extern unsigned int ka_max_conns_total;

static inline u32 ka_conn_slot(const struct sock *sk)
{
	return hash_ptr(sk, ka_conn_hash_bits);
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

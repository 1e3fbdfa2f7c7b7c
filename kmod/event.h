/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_EVENT_H
#define KA_EVENT_H

#include <linux/types.h>
#include <net/sock.h>

#include <linux/tcp_keepalive.h>

struct ka_net;

bool ka_event_heard(const struct ka_net *kn);
int ka_event_wanted(const struct ka_net *kn);
void ka_event_queue(struct ka_net *kn, const struct sock *sk,
		    enum tcp_keepalive_event what, u32 lost, u32 idle_ms);
void ka_event_net_init(struct ka_net *kn);
void ka_event_net_exit(struct ka_net *kn);
void ka_event_start(void);
void ka_event_stop(void);

/**
 * ka_event_add - tell the listeners that something happened
 * @kn: the namespace
 * @sk: the connection's socket, locked
 * @what: what happened
 * @lost: probes lost in a row
 * @idle_ms: milliseconds for which the peer was silent
 *
 * Does nothing if nobody listens. BHs are off, or in a hook with PREEMPT_RT
 * preemption, under rcu_read_lock().
 */
static inline void ka_event_add(struct ka_net *kn, const struct sock *sk,
				enum tcp_keepalive_event what, u32 lost,
				u32 idle_ms)
{
	if (ka_event_wanted(kn))
		ka_event_queue(kn, sk, what, lost, idle_ms);
}

#endif

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_NET_H
#define KA_NET_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/device.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "policy.h"
#include "rule.h"
#include "stats.h"

/**
 * struct ka_net - what the module keeps of a network namespace
 * @net: the namespace
 * @going: the namespace or the module is leaving, hooks stay out; set before
 *	a grace period, after which no hook is inside
 * @enforces: it has a policy that enforces, or rules; written under
 *	@policy_lock, read by anyone, as the next two are
 * @holds: it has rules with bounds or that override
 * @enforce: see &struct ka_policy
 * @rules: see &struct ka_rules; NULL for none; likewise, read under RCU
 * @inherit: see &struct ka_policy
 * @records: records of this namespace's connections, lasting or not; what
 *	precedes it and itself is what opening and closing a connection reads
 * @policy_lock: serialises the writers of policy and rules, and their events
 * @sysctl: what was found in and put into the sysctls; under @policy_lock
 * @policy_seq: number of the last event of policy or rules; under @policy_lock
 * @rules_seq: tables of rules that there have been; likewise
 * @stats: per-CPU counters
 * @mib_base: TcpExtTCPKeepAlive less the probes seen, when counting began;
 *	constant after ka_stats_start()
 * @unseen: probes known not to have been seen; under @unseen_lock
 * @unseen_lock: protects @unseen
 * @pending: probes that are out
 * @tracked: records that last
 * @hist: histograms; not per CPU, where 128 CPUs would take 100 KB of them, as
 *	each probe writes to @pending in any case
 * @event_seq: number of the last event of a connection; under event.c's lock
 * @events: those that wait to be sent; likewise, as the next two are
 * @events_queued: how many
 * @events_node: among the namespaces that have any
 * @events_heard: the last one reached somebody; written by the worker that sends
 *	them
 * @watch_lock: protects @watch and @watched; inside a socket's lock
 * @watch: records whose connection owes an answer
 * @watched: how many
 * @watch_mutex: one pass at a time looks at records of @watch
 * @dev: /sys/class/tcp_keepalive/netns
 * @own_work: gives it to the namespace's root, once there is one
 * @own_tries: how often that work has looked
 */
struct ka_net {
	struct net		*net;
	bool			going;
	bool			enforces;
	bool			holds;
	bool			enforce;
	struct ka_rules __rcu	*rules;
	bool			inherit;
	atomic_t		records;

	struct mutex		policy_lock;
	struct ka_sysctl	sysctl[KA_NSYSCTLS];
	u32			policy_seq;
	u32			rules_seq;

	struct ka_stats __percpu *stats;
	unsigned long		mib_base;
	u64			unseen;
	struct mutex		unseen_lock;
	atomic_t		pending ____cacheline_aligned_in_smp;
	atomic_t		tracked;
	atomic64_t		hist[KA_NHISTS][KA_HIST_BUCKETS];

	u32			event_seq;
	struct list_head	events;
	unsigned int		events_queued;
	struct list_head	events_node;
	bool			events_heard;

	raw_spinlock_t		watch_lock;
	struct list_head	watch;
	unsigned int		watched;
	struct mutex		watch_mutex;

	struct device		*dev;
	struct delayed_work	own_work;
	unsigned int		own_tries;
};

extern unsigned int ka_net_id;

static inline struct ka_net *ka_net(const struct net *net)
{
	return net_generic(net, ka_net_id);
}

/* The same for the hooks, which are under rcu_read_lock() already. */
static inline struct ka_net *ka_net_rcu(const struct net *net)
{
	return rcu_dereference(net->gen)->ptr[ka_net_id];
}

#endif

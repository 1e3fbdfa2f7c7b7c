// SPDX-License-Identifier: GPL-2.0
/*
 * A network namespace's statistics: per-CPU counters of what the hooks saw,
 * held against the kernel's own count of the probes sent.
 */
#include <linux/cpu.h>
#include <linux/percpu.h>
#include <net/ip.h>
#include <net/snmp.h>

#include <linux/tcp_keepalive.h>

#include "net.h"
#include "stats.h"
#include "watch.h"

/**
 * ka_stats_add - count
 * @kn: the namespace
 * @stat: what; not a gauge
 * @n: how many
 *
 * BHs are off.
 */
void ka_stats_add(struct ka_net *kn, enum ka_stat stat, unsigned int n)
{
	struct ka_stats *s = this_cpu_ptr(kn->stats);

	u64_stats_update_begin(&s->syncp);
	u64_stats_add(&s->v[stat], n);
	u64_stats_update_end(&s->syncp);
}

/* The same from a process, with BHs on. */
void ka_stats_add_bh(struct ka_net *kn, enum ka_stat stat, unsigned int n)
{
	local_bh_disable();
	ka_stats_add(kn, stat, n);
	local_bh_enable();
}

/**
 * ka_stats_sample - count a value in a histogram
 * @kn: the namespace
 * @hist: which
 * @value: the value
 *
 * From any context.
 */
void ka_stats_sample(struct ka_net *kn, enum ka_hist hist, u64 value)
{
	unsigned int i = value ? fls64(value - 1) : 0;

	i = min_t(unsigned int, i, KA_HIST_BUCKETS - 1);
	atomic64_inc(&kn->hist[hist][i]);
}

static void stats_sum(const struct ka_net *kn, u64 v[KA_NSTATS])
{
	int cpu;

	memset(v, 0, KA_NSTATS * sizeof(*v));
	for_each_possible_cpu(cpu) {
		const struct ka_stats *s = per_cpu_ptr(kn->stats, cpu);
		u64 copy[KA_NSTATS];
		unsigned int start;
		int i;

		do {
			start = u64_stats_fetch_begin(&s->syncp);
			for (i = 0; i < KA_NSTATS; i++)
				copy[i] = u64_stats_read(&s->v[i]);
		} while (u64_stats_fetch_retry(&s->syncp, start));

		for (i = 0; i < KA_NSTATS; i++)
			v[i] += copy[i];
	}
}

/* A CPU's share of what the kernel counts of this namespace's probes. */
static unsigned long stats_mib_cpu(const struct net *net, int cpu)
{
	const struct linux_mib *mib = per_cpu_ptr(net->mib.net_statistics, cpu);

	return READ_ONCE(mib->mibs[LINUX_MIB_TCPKEEPALIVE]);
}

/* The kernel's count of this namespace's probes since counting began. */
static u64 stats_mib(const struct ka_net *kn)
{
	unsigned long mib = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		mib += stats_mib_cpu(kn->net, cpu);
	/* As wide as the MIB itself, so that both wrap alike. */
	mib -= kn->mib_base;
	return mib;
}

/**
 * ka_stats_read - read all statistics
 * @kn: the namespace
 * @v: filled in, by &enum ka_stat
 *
 * May sleep. Answers that have arrived are counted first. A probe that the
 * kernel has counted and the hook has not may still be on its way through the
 * hook, and is waited for before it is called unseen.
 */
void ka_stats_read(struct ka_net *kn, u64 v[KA_NSTATS])
{
	u64 sent;

	ka_watch_pass(kn);
	sent = stats_mib(kn);
	stats_sum(kn, v);
	if ((s64)(sent - v[KA_PROBES_SENT]) > (s64)READ_ONCE(kn->unseen)) {
		synchronize_rcu();
		stats_sum(kn, v);
	}
	mutex_lock(&kn->unseen_lock);
	if ((s64)(sent - v[KA_PROBES_SENT]) > (s64)kn->unseen)
		WRITE_ONCE(kn->unseen, sent - v[KA_PROBES_SENT]);
	v[KA_PROBES_UNSEEN] = kn->unseen;
	mutex_unlock(&kn->unseen_lock);

	v[KA_PROBES_SENT] += v[KA_PROBES_UNSEEN];
	v[KA_PROBES_PENDING] = atomic_read(&kn->pending);
	v[KA_CONNS_TRACKED] = atomic_read(&kn->tracked);
}

/**
 * ka_stats_hist - read a histogram
 * @kn: the namespace
 * @hist: which
 * @count: filled in, by bucket
 */
void ka_stats_hist(struct ka_net *kn, enum ka_hist hist,
		   u64 count[KA_HIST_BUCKETS])
{
	int i;

	for (i = 0; i < KA_HIST_BUCKETS; i++)
		count[i] = atomic64_read(&kn->hist[hist][i]);
}

/*
 * With BHs off on the CPU in question the keepalive timer, a softirq, is not at
 * work there: what the hook saw and what the kernel counted belong together.
 */
static long stats_start_cpu(void *arg)
{
	int cpu = (long)arg;
	struct net *net;

	local_bh_disable();
	rcu_read_lock();
	for_each_net_rcu(net) {
		struct ka_net *kn = ka_net(net);
		struct ka_stats *s = per_cpu_ptr(kn->stats, cpu);

		kn->mib_base += stats_mib_cpu(net, cpu);
		kn->mib_base -= u64_stats_read(&s->v[KA_PROBES_SENT]);
	}
	rcu_read_unlock();
	local_bh_enable();
	return 0;
}

/**
 * ka_stats_start - begin to count, once the hooks are in place
 *
 * May sleep. What the kernel had counted before, or while the hooks were being
 * put in, is not ours. Namespaces made later start at 0.
 *
 * Return: 0 or a negative error.
 */
int ka_stats_start(void)
{
	int cpu, err = 0;

	cpus_read_lock();
	for_each_possible_cpu(cpu) {
		void *arg = (void *)(long)cpu;

		err = cpu_online(cpu) ? work_on_cpu(cpu, stats_start_cpu, arg) :
					stats_start_cpu(arg);
		if (err)
			break;
	}
	cpus_read_unlock();
	return err;
}

int ka_stats_init(struct ka_net *kn)
{
	int cpu;

	kn->stats = alloc_percpu_gfp(struct ka_stats, GFP_KERNEL_ACCOUNT);
	if (!kn->stats)
		return -ENOMEM;
	for_each_possible_cpu(cpu)
		u64_stats_init(&per_cpu_ptr(kn->stats, cpu)->syncp);
	mutex_init(&kn->unseen_lock);
	return 0;
}

void ka_stats_exit(struct ka_net *kn)
{
	mutex_destroy(&kn->unseen_lock);
	free_percpu(kn->stats);
}

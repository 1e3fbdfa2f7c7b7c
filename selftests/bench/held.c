// SPDX-License-Identifier: GPL-2.0
/*
 * How long the module holds its locks: /sys/module/tcp_keepalive/parameters/held
 * has a line for each place that takes one: function, what it calls, how often,
 * how often for longer than a millisecond, and the longest in nanoseconds.
 *
 * Locks that spin are let go in the opposite order, on the CPU that took them,
 * and what interrupts them does so too: a stack on each CPU knows which it is.
 */
#include <linux/hash.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/timekeeping.h>

#define HELD_DEPTH	16
#define HELD_MUTEX_BITS	8

struct held_now {
	struct held_site	*site;
	u64			since;
};

static DEFINE_PER_CPU(struct held_now [HELD_DEPTH], held_stack);
static DEFINE_PER_CPU(unsigned int, held_depth);
static struct held_now held_mutexes[1 << HELD_MUTEX_BITS];
static struct held_site *held_sites;

static void held_count(const struct held_now *now)
{
	s64 ns = ktime_get_mono_fast_ns() - now->since;
	struct held_site *site = now->site;
	s64 longest;

	if (!atomic_xchg(&site->known, 1)) {
		do {
			site->next = READ_ONCE(held_sites);
		} while (cmpxchg(&held_sites, site->next, site) != site->next);
	}
	atomic64_inc(&site->times);
	if (ns > NSEC_PER_MSEC)
		atomic64_inc(&site->over);
	longest = atomic64_read(&site->longest);
	while (ns > longest &&
	       !atomic64_try_cmpxchg(&site->longest, &longest, ns))
		;
}

void held_begin(struct held_site *site)
{
	unsigned int depth = this_cpu_inc_return(held_depth) - 1;

	if (!WARN_ON_ONCE(depth >= HELD_DEPTH)) {
		struct held_now *now = this_cpu_ptr(&held_stack[depth]);

		now->site = site;
		now->since = ktime_get_mono_fast_ns();
	}
}

void held_end(void)
{
	unsigned int depth = this_cpu_dec_return(held_depth);

	if (!WARN_ON_ONCE(depth >= HELD_DEPTH))
		held_count(this_cpu_ptr(&held_stack[depth]));
}

/* Two mutexes with the same slot would show as one that is held too long. */
static struct held_now *held_mutex(const struct mutex *lock)
{
	return &held_mutexes[hash_ptr(lock, HELD_MUTEX_BITS)];
}

void held_mutex_begin(struct held_site *site, struct mutex *lock)
{
	struct held_now *now = held_mutex(lock);

	now->site = site;
	now->since = ktime_get_mono_fast_ns();
}

void held_mutex_end(struct mutex *lock)
{
	held_count(held_mutex(lock));
}

static int held_get(char *page, const struct kernel_param *unused)
{
	const struct held_site *site;
	int n = 0;

	for (site = READ_ONCE(held_sites); site; site = site->next)
		n += scnprintf(page + n, PAGE_SIZE - n,
			       "%s\t%s\t%lld\t%lld\t%lld\n", site->function,
			       site->what, atomic64_read(&site->times),
			       atomic64_read(&site->over),
			       atomic64_read(&site->longest));
	return n;
}

static const struct kernel_param_ops held_ops = { .get = held_get };

module_param_cb(held, &held_ops, NULL, 0444);

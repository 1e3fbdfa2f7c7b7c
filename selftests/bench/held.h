/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Into each file of the module that make bench-churn loads, before its first
 * line: from here on every lock that it takes is timed, and so is what it does
 * with BHs off, or in softirq, where TCP holds the socket's lock. A trylock that
 * fails takes none.
 */
#ifndef HELD_H
#define HELD_H

/* As the module's own files have it; some headers use it. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/bottom_half.h>
#include <linux/kprobes.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/tracepoint.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <net/genetlink.h>
#include <net/inet_hashtables.h>
#include <net/mptcp.h>
#include <net/netns/generic.h>
#include <net/sock.h>
#include <net/tcp.h>

/**
 * struct held_site - where a lock is taken
 * @next: in the list of those that have been
 * @known: it is on that list
 * @function: its function
 * @what: what it calls
 * @times: how often
 * @over: how often it was held for longer than a millisecond
 * @longest: nanoseconds
 */
struct held_site {
	struct held_site	*next;
	atomic_t		known;
	const char		*function;
	const char		*what;
	atomic64_t		times;
	atomic64_t		over;
	atomic64_t		longest;
};

void held_begin(struct held_site *site);
void held_end(void);
void held_mutex_begin(struct held_site *site, struct mutex *lock);
void held_mutex_end(struct mutex *lock);

#define HELD_SITE(_what)						\
	({								\
		static struct held_site site = {			\
			.function = __func__, .what = (_what),		\
		};							\
		&site;							\
	})

#define HELD_LOCK(name, arg)						\
	do {								\
		(name)(arg);						\
		held_begin(HELD_SITE(#name));				\
	} while (0)

#define HELD_UNLOCK(name, arg)						\
	do {								\
		held_end();						\
		(name)(arg);						\
	} while (0)

#undef raw_spin_lock
#undef raw_spin_unlock
#undef raw_spin_lock_bh
#undef raw_spin_unlock_bh
#undef bh_lock_sock
#undef bh_unlock_sock
#undef mutex_lock
#undef mutex_unlock
#undef spin_trylock
#define raw_spin_lock(lock)		HELD_LOCK(_raw_spin_lock, lock)
#define raw_spin_unlock(lock)		HELD_UNLOCK(_raw_spin_unlock, lock)
#define raw_spin_lock_bh(lock)		HELD_LOCK(_raw_spin_lock_bh, lock)
#define raw_spin_unlock_bh(lock)	HELD_UNLOCK(_raw_spin_unlock_bh, lock)
#define spin_lock_bh(lock)		HELD_LOCK(spin_lock_bh, lock)
#define spin_unlock_bh(lock)		HELD_UNLOCK(spin_unlock_bh, lock)
#define spin_unlock(lock)		HELD_UNLOCK(spin_unlock, lock)
#define bh_lock_sock(sk)		HELD_LOCK(spin_lock, &(sk)->sk_lock.slock)
#define bh_unlock_sock(sk)		HELD_UNLOCK(spin_unlock, &(sk)->sk_lock.slock)
#define local_bh_disable()		HELD_LOCK(local_bh_disable, )
#define local_bh_enable()		HELD_UNLOCK(local_bh_enable, )

#define spin_trylock(lock)						\
	({								\
		bool got = raw_spin_trylock(&(lock)->rlock);		\
									\
		if (got)						\
			held_begin(HELD_SITE("spin_trylock"));		\
		got;							\
	})

#define rcu_read_lock()							\
	do {								\
		(rcu_read_lock)();					\
		if (in_serving_softirq())				\
			held_begin(HELD_SITE("rcu_read_lock in softirq")); \
	} while (0)

#define rcu_read_unlock()						\
	do {								\
		if (in_serving_softirq())				\
			held_end();					\
		(rcu_read_unlock)();					\
	} while (0)

#define mutex_lock(lock)						\
	do {								\
		(mutex_lock)(lock);					\
		held_mutex_begin(HELD_SITE("mutex_lock"), lock);	\
	} while (0)

#define mutex_unlock(lock)						\
	do {								\
		held_mutex_end(lock);					\
		(mutex_unlock)(lock);					\
	} while (0)

#endif

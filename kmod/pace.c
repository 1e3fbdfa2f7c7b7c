// SPDX-License-Identifier: GPL-2.0
/*
 * First probes at an even pace. The timer wheel is exact for some 60 jiffies and
 * gets coarser beyond: thousands of timers seconds ahead would run in bursts. So
 * a socket whose turn is farther away waits in the slot of its turn, and its
 * timer is set when that has come. Until then the timer stands for later, and
 * serves if there was no memory.
 */
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <linux/xarray.h>
#include <net/tcp.h>

#include "compat/workqueue.h"
#include "enforce.h"
#include "pace.h"

/* Jiffies of a slot, well within what the wheel does exactly. */
#define PACE_SLOT	32
/* And from one look for slots that have come to the next. */
#define PACE_NAP	(PACE_SLOT / 4)
/* Slots that are swept at a look: those of ten minutes within 20 s. */
#define PACE_SWEEP	8

/**
 * struct pace_chunk - sockets whose turn is in the same slot
 * @next: more of them
 * @n: how many there are in this one
 * @sk: the sockets, held
 */
struct pace_chunk {
	struct pace_chunk	*next;
	unsigned int		n;
	struct sock		*sk[];
};

#define PACE_CHUNK \
	((PAGE_SIZE - sizeof(struct pace_chunk)) / sizeof(struct sock *))

/* Whoever is at its memory's limit does not keep all others waiting for the lock. */
#define PACE_GFP	(GFP_NOWAIT | __GFP_ACCOUNT | __GFP_NOWARN)

/* Chunks by slot: jiffies over PACE_SLOT. */
static DEFINE_XARRAY_FLAGS(pace_slots, XA_FLAGS_ACCOUNT);
static DEFINE_MUTEX(pace_lock);
static void pace_work_fn(struct work_struct *work);
static DECLARE_DELAYED_WORK(pace_work, pace_work_fn);

/* Under pace_lock. */
static bool pace_add(struct sock *sk, unsigned long slot)
{
	struct pace_chunk *c = xa_load(&pace_slots, slot);

	if (!c || c->n == PACE_CHUNK) {
		struct pace_chunk *more;

		more = (void *)__get_free_page(PACE_GFP);
		if (!more)
			return false;
		more->next = c;
		more->n = 0;
		if (xa_err(xa_store(&pace_slots, slot, more, PACE_GFP))) {
			free_page((unsigned long)more);
			return false;
		}
		c = more;
	}
	sock_hold(sk);
	c->sk[c->n++] = sk;
	return true;
}

/**
 * ka_pace_timer - set a connection's timer for when its turn comes
 * @sk: its socket, locked
 * @delay: jiffies until then
 *
 * One that waits for a turn already is not made to wait twice: where the new one
 * is sooner the timer serves.
 *
 * Return: true if it is to be given to ka_pace() once it is unlocked.
 */
bool ka_pace_timer(struct sock *sk, unsigned long delay)
{
	bool later = delay > PACE_SLOT;

	ka_enforce_rearm(sk, later ? delay + 2 * PACE_SLOT : delay);
	return later && !ka_enforce_pace(sk, true);
}

/* It waits no more. With a program busy it is not paced again, and the timer serves. */
static void pace_forget(struct sock *sk)
{
	local_bh_disable();
	bh_lock_sock(sk);
	if (!sock_owned_by_user(sk))
		ka_enforce_pace(sk, false);
	bh_unlock_sock(sk);
	local_bh_enable();
}

/**
 * ka_pace - probe a connection when its turn comes
 * @sk: its socket, held by the caller and not locked
 * @delay: jiffies until then
 *
 * May sleep.
 */
void ka_pace(struct sock *sk, unsigned long delay)
{
	bool added;

	mutex_lock(&pace_lock);
	added = pace_add(sk, (jiffies + delay) / PACE_SLOT);
	if (added)
		queue_delayed_work(system_dfl_wq, &pace_work, PACE_NAP);
	mutex_unlock(&pace_lock);
	if (!added)
		pace_forget(sk);
}

/*
 * Set the timer, unless the peer has been heard since, or it runs by now. With a
 * program busy, for however long, it stands as it was set before.
 */
static void pace_arm(struct sock *sk, unsigned long delay)
{
	local_bh_disable();
	bh_lock_sock(sk);
	if (!sock_owned_by_user(sk)) {
		ka_enforce_pace(sk, false);
		if (!ka_enforce_closed(sk) && sock_flag(sk, SOCK_KEEPOPEN) &&
		    !ka_enforce_probing(sk) &&
		    keepalive_time_elapsed(tcp_sk(sk)) >=
		    keepalive_time_when(tcp_sk(sk)))
			ka_enforce_rearm(sk, delay);
	}
	bh_unlock_sock(sk);
	local_bh_enable();
	sock_put(sk);
}

/* Set the timers of a slot, evenly over its length. */
static void pace_run(struct pace_chunk *c)
{
	unsigned int total = 0, i = 0;
	struct pace_chunk *next;

	for (next = c; next; next = next->next)
		total += next->n;
	for (; c; c = next) {
		next = c->next;
		while (c->n) {
			pace_arm(c->sk[--c->n], i++ * PACE_SLOT / total);
			cond_resched();
		}
		free_page((unsigned long)c);
	}
}

/* Let go of those of a slot that have closed. */
static void pace_sweep_slot(struct pace_chunk *c)
{
	unsigned int i;

	for (; c; c = c->next) {
		for (i = c->n; i--; ) {
			struct sock *sk = c->sk[i];

			if (READ_ONCE(sk->sk_state) != TCP_CLOSE)
				continue;
			c->sk[i] = c->sk[--c->n];
			sock_put(sk);
		}
		cond_resched();
	}
}

/*
 * Go on over what waits, some slots at a time: a socket that is held keeps its
 * memory and, once its program has gone, its namespace.
 */
static void pace_sweep(void)
{
	static unsigned long swept;
	struct pace_chunk *c;
	int i;

	mutex_lock(&pace_lock);
	for (i = 0; i < PACE_SWEEP; i++) {
		c = xa_find_after(&pace_slots, &swept, ULONG_MAX, XA_PRESENT);
		if (!c) {
			swept = 0;
			break;
		}
		pace_sweep_slot(c);
	}
	mutex_unlock(&pace_lock);
}

static void pace_work_fn(struct work_struct *work)
{
	struct pace_chunk *c;
	unsigned long slot;
	bool more;

	for (;;) {
		slot = 0;
		mutex_lock(&pace_lock);
		c = xa_find(&pace_slots, &slot, jiffies / PACE_SLOT,
			    XA_PRESENT);
		if (c)
			xa_erase(&pace_slots, slot);
		more = !xa_empty(&pace_slots);
		mutex_unlock(&pace_lock);
		if (!c)
			break;
		pace_run(c);
	}
	if (!more)
		return;
	pace_sweep();
	queue_delayed_work(system_dfl_wq, &pace_work, PACE_NAP);
}

/* Nobody is left who could add. May sleep. */
void ka_pace_stop(void)
{
	struct pace_chunk *c, *next;
	unsigned long slot;

	cancel_delayed_work_sync(&pace_work);
	xa_for_each(&pace_slots, slot, c) {
		for (; c; c = next) {
			next = c->next;
			while (c->n) {
				pace_forget(c->sk[--c->n]);
				sock_put(c->sk[c->n]);
				cond_resched();
			}
			free_page((unsigned long)c);
		}
	}
	xa_destroy(&pace_slots);
}

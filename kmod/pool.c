// SPDX-License-Identifier: GPL-2.0
/*
 * Memory for the hooks, which cannot wait for it: an allocation that does not
 * sleep or, where that fails or is not allowed, an object that was put aside.
 */
#include <linux/llist.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/slab.h>

#include "compat/workqueue.h"
#include "pool.h"

/* In reserve on each CPU; with PREEMPT_RT, where all come from there, more. */
#define POOL_RESERVE	(IS_ENABLED(CONFIG_PREEMPT_RT) ? 512 : 16)

/* Taken from by the CPU itself with preemption off, added to by anyone. */
struct pool_reserve {
	struct llist_head	free;
	atomic_t		n;
};

static DEFINE_PER_CPU(struct pool_reserve, pool_reserve);
static void pool_fill(struct work_struct *work);
static DECLARE_WORK(pool_work, pool_fill);

static void pool_fill(struct work_struct *work)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct pool_reserve *r = per_cpu_ptr(&pool_reserve, cpu);

		while (atomic_read(&r->n) < POOL_RESERVE) {
			struct llist_node *n;

			n = kmalloc(KA_POOL_SIZE, GFP_KERNEL);
			if (!n)
				return;
			atomic_inc(&r->n);
			llist_add(n, &r->free);
		}
	}
}

static void *pool_take(void)
{
	struct pool_reserve *r = get_cpu_ptr(&pool_reserve);
	struct llist_node *n = llist_del_first(&r->free);

	if (atomic_read(&r->n) < POOL_RESERVE / 2)
		queue_work(system_dfl_wq, &pool_work);
	if (n)
		atomic_dec(&r->n);
	put_cpu_ptr(&pool_reserve);
	return n;
}

/**
 * ka_pool_get - get an object
 *
 * BHs or interrupts are off.
 *
 * Return: KA_POOL_SIZE bytes of zeros, for kfree(), or NULL.
 */
void *ka_pool_get(void)
{
	void *object = NULL;

	/*
	 * With PREEMPT_RT the allocator may sleep where the hooks may not, and it
	 * is not for a kprobe that is a trap, as it is without ftrace.
	 */
	if (!IS_ENABLED(CONFIG_PREEMPT_RT) && !in_nmi())
		object = kmalloc(KA_POOL_SIZE, GFP_ATOMIC | __GFP_NOWARN);
	if (!object)
		object = pool_take();
	if (object)
		memset(object, 0, KA_POOL_SIZE);
	return object;
}

/**
 * ka_pool_put - give an object back where kfree() may not be called
 * @object: from ka_pool_get()
 *
 * BHs or interrupts are off.
 */
void ka_pool_put(void *object)
{
	struct pool_reserve *r;

	if (!IS_ENABLED(CONFIG_PREEMPT_RT)) {
		kfree(object);
		return;
	}
	r = get_cpu_ptr(&pool_reserve);
	atomic_inc(&r->n);
	llist_add(object, &r->free);
	put_cpu_ptr(&pool_reserve);
}

void ka_pool_init(void)
{
	pool_fill(NULL);
}

/* The hooks are gone. May sleep. */
void ka_pool_exit(void)
{
	int cpu;

	cancel_work_sync(&pool_work);
	for_each_possible_cpu(cpu) {
		struct llist_node *n, *next;

		n = llist_del_all(&per_cpu_ptr(&pool_reserve, cpu)->free);
		llist_for_each_safe(n, next, n)
			kfree(n);
	}
}

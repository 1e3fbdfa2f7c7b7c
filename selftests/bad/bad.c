// SPDX-License-Identifier: GPL-2.0
/*
 * For tests of the kernels that check themselves: each of the mistakes that they
 * are there for, made on purpose as the module is loaded. See selftests/bad/run.
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>

static char *mistake = "";
module_param(mistake, charp, 0444);
MODULE_PARM_DESC(mistake, "which");

static int bad_use_after_free(void)
{
	char *p = kmalloc(64, GFP_KERNEL);

	if (!p)
		return -ENOMEM;
	kfree(p);
	return READ_ONCE(*p) & 0;
}

static int bad_shift(void)
{
	static int by = 77;

	return (READ_ONCE(by) << READ_ONCE(by)) & 0;
}

static int bad_sleep(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	might_sleep();
	spin_unlock(&lock);
	return 0;
}

static void bad_timeout(struct timer_list *timer)
{
}

static int bad_freed_timer(void)
{
	struct timer_list *timer = kmalloc(sizeof(*timer), GFP_KERNEL);

	if (!timer)
		return -ENOMEM;
	timer_setup(timer, bad_timeout, 0);
	mod_timer(timer, jiffies + 1000 * HZ);
	kfree(timer);
	return 0;
}

static int bad_no_rcu_read_lock(void)
{
	static int __rcu *pointer;

	return rcu_dereference(pointer) ? 1 : 0;
}

static int bad_lock_order(void)
{
	static DEFINE_MUTEX(a);
	static DEFINE_MUTEX(b);

	mutex_lock(&a);
	mutex_lock(&b);
	mutex_unlock(&b);
	mutex_unlock(&a);
	mutex_lock(&b);
	mutex_lock(&a);
	mutex_unlock(&a);
	mutex_unlock(&b);
	return 0;
}

static int bad_leak(void)
{
	static void *lost;

	WRITE_ONCE(lost, kmalloc(64, GFP_KERNEL));
	WRITE_ONCE(lost, NULL);
	return 0;
}

static int bad_counter;

static int bad_count(void *unused)
{
	while (!kthread_should_stop())
		bad_counter++;
	return 0;
}

static int bad_race(void)
{
	unsigned long end = jiffies + 2 * HZ;
	struct task_struct *other;

	other = kthread_run(bad_count, NULL, "bad");
	if (IS_ERR(other))
		return PTR_ERR(other);
	while (time_before(jiffies, end)) {
		bad_counter++;
		barrier();	/* or it is counted in a register */
	}
	return kthread_stop(other);
}

static const struct {
	const char	*name;
	int		(*make)(void);
} bad_mistakes[] = {
	{ "use-after-free", bad_use_after_free },
	{ "shift", bad_shift },
	{ "sleep", bad_sleep },
	{ "freed-timer", bad_freed_timer },
	{ "no-rcu-read-lock", bad_no_rcu_read_lock },
	{ "lock-order", bad_lock_order },
	{ "leak", bad_leak },
	{ "race", bad_race },
};

static int __init bad_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(bad_mistakes); i++)
		if (!strcmp(bad_mistakes[i].name, mistake))
			return bad_mistakes[i].make();
	return -EINVAL;
}

static void __exit bad_exit(void)
{
}

module_init(bad_init);
module_exit(bad_exit);

MODULE_DESCRIPTION("mistakes");
MODULE_LICENSE("GPL");

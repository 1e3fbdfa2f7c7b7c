// SPDX-License-Identifier: GPL-2.0
/*
 * What an event of tcp_keepalive costs the hook that it happens in if nobody
 * listens, in nanoseconds: loading this waits for one, calls the module's
 * ka_event_wanted() again and again as it was called then, and leaves in the
 * parameter cost what that takes, less what a function that does nothing takes.
 */
#include <linux/bottom_half.h>
#include <linux/completion.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/timekeeping.h>

#include "../../nomem/ftrace.h"

#define EVENT_CALLS	10000

static unsigned int cost;
module_param(cost, uint, 0444);
MODULE_PARM_DESC(cost, "nanoseconds that one call takes");

static unsigned long event_wanted, event_net;
static DECLARE_COMPLETION(event_happened);

/* A kprobe would not be heard in the kprobes that most events happen in. */
static void notrace event_entry(unsigned long ip, unsigned long parent_ip,
				struct ftrace_ops *ops,
				struct ftrace_regs *fregs)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);

	if (!regs || event_wanted)
		return;
	event_net = regs_get_kernel_argument(regs, 0);
	event_wanted = ip;
	complete(&event_happened);
}

static struct ftrace_ops event_ops = {
	.func	= event_entry,
	.flags	= FTRACE_OPS_FL_SAVE_REGS | FTRACE_UNGUARDED,
};

static int event_nothing(unsigned long kn)
{
	return 0;
}

/* That of all calls; true if one said that somebody listens. */
static bool event_time(int (*wanted)(unsigned long kn), u64 *time)
{
	u64 start;
	int i, heard = 0;

	local_bh_disable();
	rcu_read_lock();
	start = ktime_get_ns();
	for (i = 0; i < EVENT_CALLS; i++)
		heard |= wanted(event_net);
	*time = ktime_get_ns() - start;
	rcu_read_unlock();
	local_bh_enable();
	return heard;
}

static int __init event_init(void)
{
	char function[] = "ka_event_wanted";
	u64 time, nothing;
	int err;

	err = ftrace_set_filter(&event_ops, function, sizeof(function) - 1, 1);
	if (!err)
		err = register_ftrace_function(&event_ops);
	if (err)
		return err;
	wait_for_completion_timeout(&event_happened, 10 * HZ);
	unregister_ftrace_function(&event_ops);
	ftrace_free_filter(&event_ops);
	if (!event_wanted)
		return -ETIMEDOUT;
	event_time(event_nothing, &nothing);
	if (event_time((void *)event_wanted, &time))
		return -EBUSY;
	cost = div_u64(time - nothing, EVENT_CALLS);
	return 0;
}

static void __exit event_exit(void)
{
}

module_init(event_init);
module_exit(event_exit);

MODULE_DESCRIPTION("What an event of tcp_keepalive costs, for its bench");
MODULE_AUTHOR("The tcp-keepalive authors");
MODULE_LICENSE("GPL");

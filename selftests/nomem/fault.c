// SPDX-License-Identifier: GPL-2.0
/*
 * For tests: of what the module tcp_keepalive asks the kernel for, the messages
 * that it sends included, while a process of a certain name runs, or in softirqs,
 * the n-th fails, alone or with all that come after it. Release kernels have no
 * fault injection; ftrace leads the calls elsewhere instead. A kprobe would not
 * be heard inside of the kprobes that the module asks in. To be loaded before
 * tcp_keepalive.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/kallsyms.h>
#include <linux/module.h>
#include <linux/netlink.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <net/sock.h>

#include "ftrace.h"

#define SITES		96
#define SITE_LEN	48

static char *null = "";
module_param(null, charp, 0444);
MODULE_PARM_DESC(null, "functions that return NULL when they fail, with commas between");
static char *error = "";
module_param(error, charp, 0444);
MODULE_PARM_DESC(error, "functions that return a negative error");
static char *send = "";
module_param(send, charp, 0444);
MODULE_PARM_DESC(send, "functions that send a message, their second argument, and do away with it");

static char task[TASK_COMM_LEN];
module_param_string(task, task, sizeof(task), 0644);
MODULE_PARM_DESC(task, "name of the processes that it happens to; empty: softirqs; * for all");
static unsigned int family;
module_param(family, uint, 0644);
MODULE_PARM_DESC(family, "the netlink family's number: of these messages some are not sent");
static bool sends;
module_param(sends, bool, 0644);
MODULE_PARM_DESC(sends, "nothing but messages fails");
static bool only;
module_param(only, bool, 0644);
MODULE_PARM_DESC(only, "the n-th fails and those after it do not");

static unsigned int nth;
static atomic_t made, failed;

static int fault_set_nth(const char *val, const struct kernel_param *kp)
{
	atomic_set(&made, 0);
	atomic_set(&failed, 0);
	return param_set_uint(val, kp);
}

static const struct kernel_param_ops fault_nth_ops = {
	.set = fault_set_nth,
	.get = param_get_uint,
};

module_param_cb(nth, &fault_nth_ops, &nth, 0644);
MODULE_PARM_DESC(nth, "which fails, counted from when this is written; 0: none");
module_param_named(made, made.counter, int, 0444);
MODULE_PARM_DESC(made, "calls since, if nth is not 0");
module_param_named(failed, failed.counter, int, 0444);
MODULE_PARM_DESC(failed, "of those, how many have failed");

/* Where something failed: each call once, as a symbol and an offset. */
static char site[SITES][SITE_LEN];
static unsigned int nr_sites;
static DEFINE_RAW_SPINLOCK(site_lock);

static int fault_get_sites(char *to, const struct kernel_param *kp)
{
	unsigned int i;
	int len = 0;

	for (i = 0; i < READ_ONCE(nr_sites); i++)
		len += scnprintf(to + len, PAGE_SIZE - len, "%s\n", site[i]);
	return len;
}

static const struct kernel_param_ops fault_sites_ops = {
	.get = fault_get_sites,
};

module_param_cb(sites, &fault_sites_ops, NULL, 0444);
MODULE_PARM_DESC(sites, "where something has failed since this was loaded");

static void notrace fault_note(unsigned long where)
{
	static char name[KSYM_SYMBOL_LEN];
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&site_lock, flags);
	sprint_symbol(name, where);
	/* Without the symbol's size and its module. */
	name[strcspn(name, "/")] = '\0';
	for (i = 0; i < nr_sites && strcmp(site[i], name); i++)
		;
	if (i == nr_sites && i < SITES) {
		strscpy(site[i], name, SITE_LEN);
		WRITE_ONCE(nr_sites, i + 1);
	}
	raw_spin_unlock_irqrestore(&site_lock, flags);
}

/* The module whose calls are meant, from before its init on. */
static struct module *fault_module;

static void *fault_null(void)
{
	return NULL;
}

/* An int, or a pointer. */
static long fault_error(void)
{
	return -ENOMEM;
}

static long fault_send(struct sock *from, struct sk_buff *skb)
{
	kfree_skb(skb);
	return -ENOBUFS;
}

/* Is it one of the module's calls, of a task that is meant? */
static bool notrace fault_meant(unsigned long caller)
{
	struct module *mod = READ_ONCE(fault_module);

	if (!mod || !within_module(caller, mod))
		return false;
	if (!*task)
		return in_serving_softirq();
	return *task == '*' || (in_task() && !strcmp(current->comm, task));
}

/* Does it fail? */
static bool notrace fault_now(void)
{
	unsigned int which = READ_ONCE(nth), n;

	if (!which)
		return false;
	n = atomic_inc_return(&made);
	if (only ? n != which : n < which)
		return false;
	atomic_inc(&failed);
	return true;
}

static void notrace fault_divert(unsigned long ip, unsigned long parent_ip,
				 struct ftrace_ops *ops,
				 struct ftrace_regs *fregs)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);

	if (!regs || READ_ONCE(sends) || !fault_meant(parent_ip) ||
	    !fault_now())
		return;
	fault_note(parent_ip);
	instruction_pointer_set(regs, (unsigned long)ops->private);
}

/*
 * A message is known by what it is: where a function ends with sending it, it is
 * not the module that seems to call.
 */
static void notrace fault_divert_send(unsigned long ip, unsigned long parent_ip,
				      struct ftrace_ops *ops,
				      struct ftrace_regs *fregs)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);
	struct module *mod = READ_ONCE(fault_module);
	struct sk_buff *skb;
	struct sock *sk;

	if (!regs || !mod || !READ_ONCE(family))
		return;
	sk = (void *)regs_get_kernel_argument(regs, 0);
	skb = (void *)regs_get_kernel_argument(regs, 1);
	/*
	 * Rtnetlink has messages of the same numbers, and a family's is another
	 * each time that it is registered. A process's request goes the same way.
	 */
	if (sk->sk_protocol != NETLINK_GENERIC || NETLINK_CB(skb).portid ||
	    nlmsg_hdr(skb)->nlmsg_type != READ_ONCE(family) ||
	    (*task != '*' && strcmp(current->comm, task)) || !fault_now())
		return;
	fault_note(within_module(parent_ip, mod) ? parent_ip : ip);
	instruction_pointer_set(regs, (unsigned long)ops->private);
}

#define FAULT_OPS(divert, to) {						\
	.func		= (divert),					\
	.private	= (to),						\
	.flags		= FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY | \
			  FTRACE_UNGUARDED,				\
}

static struct {
	struct ftrace_ops	ops;
	char			**functions;
} fault[] = {
	{ FAULT_OPS(fault_divert, fault_null), &null },
	{ FAULT_OPS(fault_divert, fault_error), &error },
	{ FAULT_OPS(fault_divert_send, fault_send), &send },
};

static int fault_register(struct ftrace_ops *ops, char *functions)
{
	char *name;
	int err;

	if (!*functions)
		return 0;
	while ((name = strsep(&functions, ","))) {
		err = ftrace_set_filter(ops, name, strlen(name), 0);
		if (err)
			return err;
	}
	return register_ftrace_function(ops);
}

static void fault_unregister(int n)
{
	while (n--) {
		if (fault[n].ops.flags & FTRACE_OPS_FL_ENABLED)
			unregister_ftrace_function(&fault[n].ops);
		ftrace_free_filter(&fault[n].ops);
	}
}

static int fault_notify(struct notifier_block *nb, unsigned long state,
			void *data)
{
	struct module *mod = data;

	if (!strcmp(mod->name, "tcp_keepalive"))
		WRITE_ONCE(fault_module,
			   state == MODULE_STATE_GOING ? NULL : mod);
	return NOTIFY_OK;
}

static struct notifier_block fault_notifier = {
	.notifier_call = fault_notify,
};

static int __init fault_init(void)
{
	int err, i;

	for (i = 0; i < ARRAY_SIZE(fault); i++) {
		err = fault_register(&fault[i].ops, *fault[i].functions);
		if (err)
			goto out;
	}
	err = register_module_notifier(&fault_notifier);
	if (!err)
		return 0;
out:
	fault_unregister(min_t(int, i + 1, ARRAY_SIZE(fault)));
	return err;
}

static void __exit fault_exit(void)
{
	unregister_module_notifier(&fault_notifier);
	fault_unregister(ARRAY_SIZE(fault));
}

module_init(fault_init);
module_exit(fault_exit);

MODULE_DESCRIPTION("What tcp_keepalive asks for fails, for its tests");
MODULE_AUTHOR("The tcp-keepalive authors");
MODULE_LICENSE("GPL");

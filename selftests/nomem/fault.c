// SPDX-License-Identifier: GPL-2.0
/*
 * For tests: of what the module tcp_keepalive asks the kernel for while a process
 * of a certain name runs, or in softirqs, the n-th fails, alone or with all that
 * come after it. Release kernels have no fault injection; ftrace leads the calls
 * elsewhere instead. A kprobe would not be heard inside of the kprobes that the
 * module asks in. To be loaded before tcp_keepalive.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "ftrace.h"

static char *null = "";
module_param(null, charp, 0444);
MODULE_PARM_DESC(null, "functions that return NULL when they fail, with commas between");
static char *error = "";
module_param(error, charp, 0444);
MODULE_PARM_DESC(error, "functions that return a negative error");

static char task[TASK_COMM_LEN];
module_param_string(task, task, sizeof(task), 0644);
MODULE_PARM_DESC(task, "name of the processes that it happens to; empty: softirqs");
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

/* The module whose calls are meant, from before its init on. */
static struct module *fault_module;

static void *fault_null(void)
{
	return NULL;
}

static int fault_error(void)
{
	return -ENOMEM;
}

/* Does this call fail? */
static bool notrace fault_now(unsigned long caller)
{
	struct module *mod = READ_ONCE(fault_module);
	unsigned int which = READ_ONCE(nth), n;

	if (!which || !mod || !within_module(caller, mod))
		return false;
	if (*task ? !in_task() || strcmp(current->comm, task) :
		    !in_serving_softirq())
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

	if (regs && fault_now(parent_ip))
		instruction_pointer_set(regs, (unsigned long)ops->private);
}

#define FAULT_OPS(to) {							\
	.func		= fault_divert,					\
	.private	= (to),						\
	.flags		= FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY | \
			  FTRACE_UNGUARDED,				\
}

static struct {
	struct ftrace_ops	ops;
	char			**functions;
} fault[] = {
	{ FAULT_OPS(fault_null), &null },
	{ FAULT_OPS(fault_error), &error },
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

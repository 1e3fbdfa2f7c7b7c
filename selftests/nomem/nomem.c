// SPDX-License-Identifier: GPL-2.0
/*
 * For tests: as long as this is loaded no memory of the size of the module's
 * objects is to be had without leave to wait. The kernel's own fault injection
 * would do, but release kernels have none; where the allocator asks whether to
 * fail, ftrace leads it here instead. A kprobe would not be heard inside of the
 * kprobes that the allocations are made in.
 */
#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/slab.h>

#define NOMEM_SIZE	192

/* Older kernels hand over what newer ones have inside of it. */
#ifndef NOMEM_HAVE_FTRACE_REGS
#define ftrace_regs pt_regs
#define ftrace_get_regs(fregs) (fregs)
#endif

static int nomem_should_fail(struct kmem_cache *cache, gfp_t flags)
{
	return !(flags & __GFP_DIRECT_RECLAIM) &&
	       kmem_cache_size(cache) == NOMEM_SIZE ? -ENOMEM : 0;
}

static void notrace nomem_divert(unsigned long ip, unsigned long parent_ip,
				 struct ftrace_ops *ops,
				 struct ftrace_regs *fregs)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);

	if (regs)
		instruction_pointer_set(regs, (unsigned long)nomem_should_fail);
}

static struct ftrace_ops nomem_ops = {
	.func	= nomem_divert,
	.flags	= FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY,
};

static int __init nomem_init(void)
{
	char function[] = "should_failslab";
	int err;

	err = ftrace_set_filter(&nomem_ops, function, sizeof(function) - 1, 1);
	return err ?: register_ftrace_function(&nomem_ops);
}

static void __exit nomem_exit(void)
{
	unregister_ftrace_function(&nomem_ops);
	/* As ftrace_free_filter(), which older kernels do not export. */
	ftrace_set_filter(&nomem_ops, NULL, 0, 1);
}

module_init(nomem_init);
module_exit(nomem_exit);

MODULE_DESCRIPTION("No memory for the hooks of tcp_keepalive, for its tests");
MODULE_AUTHOR("The tcp-keepalive authors");
MODULE_LICENSE("GPL");

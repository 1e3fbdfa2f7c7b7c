/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NOMEM_FTRACE_H
#define NOMEM_FTRACE_H

#include <linux/ftrace.h>

/*
 * Before 5.11 what a callback is handed are the registers themselves, it is not
 * called in another's unless it asks for that, and the filter's end is not
 * exported.
 */
#ifdef HAVE_FTRACE_REGS
#define FTRACE_UNGUARDED 0
#else
#define FTRACE_UNGUARDED FTRACE_OPS_FL_RECURSION_SAFE
#define ftrace_regs pt_regs
#define ftrace_get_regs(fregs) (fregs)
#define ftrace_free_filter(ops) ftrace_set_filter(ops, NULL, 0, 1)
#endif

#endif

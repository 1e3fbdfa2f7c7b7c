/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_COMPAT_FTRACE_H
#define KA_COMPAT_FTRACE_H

#include <linux/ftrace.h>

/* Older kernels hand over what newer ones have inside of it. */
#ifndef KA_HAVE_FTRACE_REGS
#define ftrace_regs pt_regs
#define ftrace_get_regs(fregs) (fregs)
#endif

#endif

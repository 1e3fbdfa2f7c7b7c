# SPDX-License-Identifier: GPL-2.0
# Which of the two ftraces of ftrace.h this kernel has.
ccflags-y += $(shell grep -q 'struct ftrace_regs;\|struct ftrace_regs {' \
	$(srctree)/include/linux/ftrace.h && echo -DHAVE_FTRACE_REGS)

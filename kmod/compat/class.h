/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_COMPAT_CLASS_H
#define KA_COMPAT_CLASS_H

/* What a class's callbacks are lent is const in newer kernels. */
#ifdef KA_HAVE_CLASS_CONST_DEVICE
#define ka_class_const const
#else
#define ka_class_const
#endif

#endif

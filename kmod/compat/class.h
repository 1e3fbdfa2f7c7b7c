/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_COMPAT_CLASS_H
#define KA_COMPAT_CLASS_H

/* What a class's callbacks are lent is const in newer kernels. */
#ifdef KA_HAVE_CLASS_CONST_DEVICE
#define ka_class_const const
#else
#define ka_class_const
#endif

/* A namespace's tag is what all kinds of them have in common, once the whole. */
#ifdef KA_HAVE_CLASS_NS_COMMON
#define ka_class_tag		struct ns_common
#define ka_class_tag_of(net)	(&(net)->ns)
#else
#define ka_class_tag		void
#define ka_class_tag_of(net)	(net)
#endif

#endif

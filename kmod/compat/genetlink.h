/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_COMPAT_GENETLINK_H
#define KA_COMPAT_GENETLINK_H

#include <net/genetlink.h>

static inline struct nlattr **ka_genl_dump_attrs(struct netlink_callback *cb)
{
#ifdef KA_HAVE_GENL_INFO_DUMP
	return genl_info_dump(cb)->attrs;
#else
	return genl_dumpit_info(cb)->attrs;
#endif
}

#endif

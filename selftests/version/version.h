/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Included into each file of a module that is to be of another version than
 * the tool: newer, with more in each message and values that have no name yet,
 * and older, without some of what there is to ask for.
 */
#include <linux/tcp_keepalive.h>

/* selftests/build puts it in the place of genlmsg_end(). */
#define version_genlmsg_end(skb, hdr)					\
	do {								\
		nla_put_u32(skb, 60, 4711);				\
		nla_put(skb, 61, 5, "newer");				\
		genlmsg_end(skb, hdr);					\
	} while (0)

#define TCP_KEEPALIVE_STATUS_UNPROTECTED	60
#define TCP_KEEPALIVE_SOURCE_NETNS		61

/* Under other numbers they are not what the tool knows them as. */
#define TCP_KEEPALIVE_A_STATS_DETECT_MS		62
/* Likewise, in the place of the number of a counter's attribute. */
#define version_stat(i)							\
	((i) == KA_CONNS_APPLIED ? 63 : TCP_KEEPALIVE_A_STATS_PROBES_SENT + (i))

#define TCP_KEEPALIVE_CMD_RULE_TEST		60
#define TCP_KEEPALIVE_CMD_RESTORE		61
#define TCP_KEEPALIVE_CMD_APPLY			62
#define TCP_KEEPALIVE_A_MATCH_MARK		TCP_KEEPALIVE_A_MATCH_MARK_MASK

/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM tcp_keepalive

#if !defined(KA_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KA_TRACE_H

#include <linux/tracepoint.h>
#include <net/sock.h>

#include "ident.h"

/*
 * Every event names the connection: its namespace by inode number, its two ends
 * as socket addresses.
 */
#define KA_TRACE_CONN						\
	__field(__u32, netns_ino)				\
	__field(__u16, family)					\
	__field(__u16, lport)					\
	__field(__u16, rport)					\
	__array(__u8, local, KA_SOCKADDR_SIZE)			\
	__array(__u8, remote, KA_SOCKADDR_SIZE)

#define KA_TRACE_CONN_ASSIGN					\
	do {							\
		struct sockaddr_in6 *local = (void *)__entry->local; \
		struct sockaddr_in6 *remote = (void *)__entry->remote; \
								\
		ka_ident_sockaddr(sk, local, remote);		\
		__entry->netns_ino = sock_net(sk)->ns.inum;	\
		__entry->family = local->sin6_family;		\
		__entry->lport = ntohs(local->sin6_port);	\
		__entry->rport = ntohs(remote->sin6_port);	\
	} while (0)

#define KA_TRACE_CONN_FMT	"netns=%u local=%pISpc remote=%pISpc"
#define KA_TRACE_CONN_ARGS	\
	__entry->netns_ino, __entry->local, __entry->remote

/*
 * TCP built a probe and handed it down, be it refused there; @out: those before
 * it that are unanswered.
 */
TRACE_EVENT(probe_sent,
	TP_PROTO(const struct sock *sk, u32 out),
	TP_ARGS(sk, out),
	TP_STRUCT__entry(
		KA_TRACE_CONN
		__field(__u32, out)
	),
	TP_fast_assign(
		KA_TRACE_CONN_ASSIGN;
		__entry->out = out;
	),
	TP_printk(KA_TRACE_CONN_FMT " out=%u", KA_TRACE_CONN_ARGS,
		  __entry->out)
);

/*
 * The peer was heard; @rtt_us: after so many microseconds, -1 if that cannot be
 * told; @lost: probes lost in a row before.
 */
TRACE_EVENT(probe_answered,
	TP_PROTO(const struct sock *sk, s64 rtt_us, u32 lost),
	TP_ARGS(sk, rtt_us, lost),
	TP_STRUCT__entry(
		KA_TRACE_CONN
		__field(__s64, rtt_us)
		__field(__u32, lost)
	),
	TP_fast_assign(
		KA_TRACE_CONN_ASSIGN;
		__entry->rtt_us = rtt_us;
		__entry->lost = lost;
	),
	TP_printk(KA_TRACE_CONN_FMT " rtt_us=%lld lost=%u", KA_TRACE_CONN_ARGS,
		  __entry->rtt_us, __entry->lost)
);

/* No answer; @lost: probes lost in a row, this one included. */
TRACE_EVENT(probe_lost,
	TP_PROTO(const struct sock *sk, u32 lost),
	TP_ARGS(sk, lost),
	TP_STRUCT__entry(
		KA_TRACE_CONN
		__field(__u32, lost)
	),
	TP_fast_assign(
		KA_TRACE_CONN_ASSIGN;
		__entry->lost = lost;
	),
	TP_printk(KA_TRACE_CONN_FMT " lost=%u", KA_TRACE_CONN_ARGS,
		  __entry->lost)
);

/*
 * The keepalive timer closes the connection; @lost: probes lost in a row;
 * @idle_ms: milliseconds since the peer was last heard.
 */
TRACE_EVENT(conn_dead,
	TP_PROTO(const struct sock *sk, u32 lost, u32 idle_ms),
	TP_ARGS(sk, lost, idle_ms),
	TP_STRUCT__entry(
		KA_TRACE_CONN
		__field(__u32, lost)
		__field(__u32, idle_ms)
	),
	TP_fast_assign(
		KA_TRACE_CONN_ASSIGN;
		__entry->lost = lost;
		__entry->idle_ms = idle_ms;
	),
	TP_printk(KA_TRACE_CONN_FMT " lost=%u idle_ms=%u", KA_TRACE_CONN_ARGS,
		  __entry->lost, __entry->idle_ms)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>

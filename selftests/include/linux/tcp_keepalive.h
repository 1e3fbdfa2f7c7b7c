/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/*
 * TCP keepalive policy and statistics, one network namespace at a time, over
 * generic netlink.
 *
 * A request is about the network namespace of the socket that sends it.
 * Reading needs no privilege; a command that changes something needs
 * CAP_NET_ADMIN in the user namespace that owns the network namespace, and
 * fails with EPERM otherwise. A refused command changes nothing. A refusal of
 * an attribute carries an extended ack with a message, the attribute's offset
 * and, for a value out of range, the range.
 */
#ifndef _UAPI_LINUX_TCP_KEEPALIVE_H
#define _UAPI_LINUX_TCP_KEEPALIVE_H

#define TCP_KEEPALIVE_FAMILY_NAME	"tcp_keepalive"
#define TCP_KEEPALIVE_FAMILY_VERSION	1

/* Multicast groups; a namespace's events reach that namespace's listeners. */
#define TCP_KEEPALIVE_MCGRP_EVENTS	"events"
#define TCP_KEEPALIVE_MCGRP_POLICY	"policy"

/* The ranges that a policy accepts; a sysctl may hold other values. */
#define TCP_KEEPALIVE_TIME_MAX		32767
#define TCP_KEEPALIVE_INTVL_MAX		32767
#define TCP_KEEPALIVE_PROBES_MAX	127

/**
 * enum tcp_keepalive_cmd - commands of the family
 * @TCP_KEEPALIVE_CMD_POLICY_GET: ask for the namespace's policy; the reply
 *	has every attribute of &enum tcp_keepalive_a_policy but the event's
 * @TCP_KEEPALIVE_CMD_POLICY_SET: change the fields that are given, all or
 *	none of them; the reply is the policy that results. ERANGE for a value
 *	out of range, EINVAL where no field is given
 * @TCP_KEEPALIVE_CMD_POLICY_RESET: put the three sysctls back to what was
 *	found before the module wrote them, and enforce and inherit to off; the
 *	reply is the policy that results
 * @TCP_KEEPALIVE_CMD_POLICY_NTF: the policy changed; sent to the group
 *	"policy" whoever changed it, by netlink or sysfs. Writing the sysctls
 *	themselves sends nothing
 * @TCP_KEEPALIVE_CMD_STATS_GET: ask for the namespace's statistics; the reply
 *	has every attribute of &enum tcp_keepalive_a_stats. Each answer that has
 *	arrived by then is counted
 */
enum tcp_keepalive_cmd {
	TCP_KEEPALIVE_CMD_POLICY_GET = 1,
	TCP_KEEPALIVE_CMD_POLICY_SET,
	TCP_KEEPALIVE_CMD_POLICY_RESET,
	TCP_KEEPALIVE_CMD_POLICY_NTF,
	TCP_KEEPALIVE_CMD_STATS_GET,

	/* private: */
	__TCP_KEEPALIVE_CMD_MAX,
	TCP_KEEPALIVE_CMD_MAX = __TCP_KEEPALIVE_CMD_MAX - 1
};

/**
 * enum tcp_keepalive_a_policy - a network namespace's policy
 * @TCP_KEEPALIVE_A_POLICY_NETNS_INO: u32, inode number of the namespace, as
 *	in /proc/PID/ns/net
 * @TCP_KEEPALIVE_A_POLICY_TIME: s32, seconds idle before the first probe: the
 *	namespace's net.ipv4.tcp_keepalive_time (RFC 9293 3.8.4: 7200 or more
 *	unless somebody decides otherwise). Set: 1 to 32767. Get: what the
 *	sysctl holds, be it out of that range
 * @TCP_KEEPALIVE_A_POLICY_INTVL: s32, seconds between unanswered probes:
 *	net.ipv4.tcp_keepalive_intvl. Set: 1 to 32767. Get: as the sysctl
 * @TCP_KEEPALIVE_A_POLICY_PROBES: u32, unanswered probes before the connection
 *	is closed: net.ipv4.tcp_keepalive_probes. Set: 1 to 127. Get: as the
 *	sysctl
 * @TCP_KEEPALIVE_A_POLICY_ENFORCE: u8, 1: every new TCP connection of the
 *	namespace's programs gets keepalive, asked for or not; 0: only those
 *	whose program set SO_KEEPALIVE
 * @TCP_KEEPALIVE_A_POLICY_INHERIT: u8, 1: a namespace created from inside this
 *	one starts with this one's policy; 0: with the kernel's defaults
 * @TCP_KEEPALIVE_A_POLICY_SEQ: u32, in a notification: its number in the
 *	namespace and group, counting up by one; a gap is lost events
 * @TCP_KEEPALIVE_A_POLICY_AT: u64, in a notification: when, nanoseconds of
 *	CLOCK_REALTIME
 * @TCP_KEEPALIVE_A_POLICY_PAD: alignment of 64-bit attributes
 */
enum tcp_keepalive_a_policy {
	TCP_KEEPALIVE_A_POLICY_NETNS_INO = 1,
	TCP_KEEPALIVE_A_POLICY_TIME,
	TCP_KEEPALIVE_A_POLICY_INTVL,
	TCP_KEEPALIVE_A_POLICY_PROBES,
	TCP_KEEPALIVE_A_POLICY_ENFORCE,
	TCP_KEEPALIVE_A_POLICY_INHERIT,
	TCP_KEEPALIVE_A_POLICY_SEQ,
	TCP_KEEPALIVE_A_POLICY_AT,
	TCP_KEEPALIVE_A_POLICY_PAD,

	/* private: */
	__TCP_KEEPALIVE_A_POLICY_MAX,
	TCP_KEEPALIVE_A_POLICY_MAX = __TCP_KEEPALIVE_A_POLICY_MAX - 1
};

/**
 * enum tcp_keepalive_a_stats - a network namespace's statistics
 * @TCP_KEEPALIVE_A_STATS_NETNS_INO: u32, inode number of the namespace
 * @TCP_KEEPALIVE_A_STATS_PAD: alignment of 64-bit attributes
 * @TCP_KEEPALIVE_A_STATS_PROBES_SENT: probes that TCP's keepalive timer built:
 *	the growth of the namespace's TcpExtTCPKeepAlive, read from there
 * @TCP_KEEPALIVE_A_STATS_PROBES_ANSWERED: a segment that TCP accepted came
 *	from the peer before another probe was sent
 * @TCP_KEEPALIVE_A_STATS_PROBES_LOST: no answer before the next probe, or
 *	before the keepalive timer closed the connection
 * @TCP_KEEPALIVE_A_STATS_PROBES_RESET: the peer answered with RST
 * @TCP_KEEPALIVE_A_STATS_PROBES_ABANDONED: the connection ended for another
 *	reason while the probe was out
 * @TCP_KEEPALIVE_A_STATS_PROBES_FAILED: refused by the local stack in such a
 *	way that TCP does not count them as unanswered (local congestion)
 * @TCP_KEEPALIVE_A_STATS_PROBES_UNSEEN: of those sent, what the module's own
 *	hook did not see, or could not follow for want of memory: not 0 where
 *	kprobes or ftrace were switched off
 * @TCP_KEEPALIVE_A_STATS_PROBES_PENDING: gauge, out now, undecided
 * @TCP_KEEPALIVE_A_STATS_PROBES_NOMEM: never built for want of memory; not in
 *	PROBES_SENT
 * @TCP_KEEPALIVE_A_STATS_PROBE_BYTES: bytes of those probes at the IP layer,
 *	less the options that MPTCP or a BPF program adds
 * @TCP_KEEPALIVE_A_STATS_CONNS_DEAD: connections closed by the keepalive timer
 * @TCP_KEEPALIVE_A_STATS_CONNS_UNREACHABLE: those of CONNS_DEAD whose last word
 *	was an ICMP error (or, with IPv6, want of a route)
 * @TCP_KEEPALIVE_A_STATS_CONNS_RESET: connections that ended by RST while a
 *	probe was out
 * @TCP_KEEPALIVE_A_STATS_CONNS_RECOVERED: connections that answered after at
 *	least one lost probe, once for each such recovery
 * @TCP_KEEPALIVE_A_STATS_CONNS_ENFORCED: new connections on which the policy
 *	turned keepalive on
 * @TCP_KEEPALIVE_A_STATS_CONNS_APPLIED: existing connections that were given
 *	the policy's values
 * @TCP_KEEPALIVE_A_STATS_CONNS_TRACKED: gauge, connections with a record now
 * @TCP_KEEPALIVE_A_STATS_CONNS_UNTRACKED: connections that began to be probed
 *	and got no record, because max_conns, max_conns_total or memory was
 *	reached; once for each time that one of them begins, as nothing is kept
 *	of it in between
 *
 * All but NETNS_INO are u64 and count from the module's load. Always, at every
 * quiet moment: SENT = ANSWERED + LOST + RESET + ABANDONED + FAILED + UNSEEN +
 * PENDING.
 */
enum tcp_keepalive_a_stats {
	TCP_KEEPALIVE_A_STATS_NETNS_INO = 1,
	TCP_KEEPALIVE_A_STATS_PAD,
	TCP_KEEPALIVE_A_STATS_PROBES_SENT,
	TCP_KEEPALIVE_A_STATS_PROBES_ANSWERED,
	TCP_KEEPALIVE_A_STATS_PROBES_LOST,
	TCP_KEEPALIVE_A_STATS_PROBES_RESET,
	TCP_KEEPALIVE_A_STATS_PROBES_ABANDONED,
	TCP_KEEPALIVE_A_STATS_PROBES_FAILED,
	TCP_KEEPALIVE_A_STATS_PROBES_UNSEEN,
	TCP_KEEPALIVE_A_STATS_PROBES_PENDING,
	TCP_KEEPALIVE_A_STATS_PROBES_NOMEM,
	TCP_KEEPALIVE_A_STATS_PROBE_BYTES,
	TCP_KEEPALIVE_A_STATS_CONNS_DEAD,
	TCP_KEEPALIVE_A_STATS_CONNS_UNREACHABLE,
	TCP_KEEPALIVE_A_STATS_CONNS_RESET,
	TCP_KEEPALIVE_A_STATS_CONNS_RECOVERED,
	TCP_KEEPALIVE_A_STATS_CONNS_ENFORCED,
	TCP_KEEPALIVE_A_STATS_CONNS_APPLIED,
	TCP_KEEPALIVE_A_STATS_CONNS_TRACKED,
	TCP_KEEPALIVE_A_STATS_CONNS_UNTRACKED,

	/* private: */
	__TCP_KEEPALIVE_A_STATS_MAX,
	TCP_KEEPALIVE_A_STATS_MAX = __TCP_KEEPALIVE_A_STATS_MAX - 1
};

#endif /* _UAPI_LINUX_TCP_KEEPALIVE_H */

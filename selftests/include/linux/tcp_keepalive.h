/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/*
 * TCP keepalive policy, statistics, connections and events, one network
 * namespace at a time, over generic netlink.
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

/* Rules of a namespace, and the numbers that order them. */
#define TCP_KEEPALIVE_RULES_MAX		1024
#define TCP_KEEPALIVE_PREF_MAX		32767

/* The longest time that an APPLY spreads first probes over. */
#define TCP_KEEPALIVE_SPREAD_MS_MAX	600000

/**
 * enum tcp_keepalive_status - does keepalive watch a connection?
 * @TCP_KEEPALIVE_STATUS_ALIVE: it does, and no probe is unanswered
 * @TCP_KEEPALIVE_STATUS_PROBING: it does, and waits for an answer
 * @TCP_KEEPALIVE_STATUS_UNPROTECTED: keepalive is off
 */
enum tcp_keepalive_status {
	TCP_KEEPALIVE_STATUS_ALIVE,
	TCP_KEEPALIVE_STATUS_PROBING,
	TCP_KEEPALIVE_STATUS_UNPROTECTED,
};

/**
 * enum tcp_keepalive_source - where a connection's idle time comes from
 * @TCP_KEEPALIVE_SOURCE_NETNS: the namespace's policy; it follows that one
 * @TCP_KEEPALIVE_SOURCE_PROGRAM: the program's own TCP_KEEPIDLE
 * @TCP_KEEPALIVE_SOURCE_RULE: a rule
 */
enum tcp_keepalive_source {
	TCP_KEEPALIVE_SOURCE_NETNS,
	TCP_KEEPALIVE_SOURCE_PROGRAM,
	TCP_KEEPALIVE_SOURCE_RULE,
};

/**
 * enum tcp_keepalive_dir - who opened a connection
 * @TCP_KEEPALIVE_DIR_IN: the peer
 * @TCP_KEEPALIVE_DIR_OUT: a program of this namespace
 */
enum tcp_keepalive_dir {
	TCP_KEEPALIVE_DIR_IN,
	TCP_KEEPALIVE_DIR_OUT,
};

/**
 * enum tcp_keepalive_action - what a rule does about keepalive
 * @TCP_KEEPALIVE_ACTION_OFF: turns it off, and it is off when a connection
 *	begins; what the program turned on in one that exists stays on unless the
 *	rule overrides
 * @TCP_KEEPALIVE_ACTION_ON: turns it on
 * @TCP_KEEPALIVE_ACTION_LEAVE: leaves it to the program, whatever the policy
 */
enum tcp_keepalive_action {
	TCP_KEEPALIVE_ACTION_OFF,
	TCP_KEEPALIVE_ACTION_ON,
	TCP_KEEPALIVE_ACTION_LEAVE,
};

/**
 * enum tcp_keepalive_event - what happened to a connection
 * @TCP_KEEPALIVE_EVENT_DEAD: the keepalive timer closed it
 * @TCP_KEEPALIVE_EVENT_RESET: the peer answered a probe with RST
 * @TCP_KEEPALIVE_EVENT_RECOVERED: the peer was heard again after probes were
 *	lost: within 100 ms, or when the keepalive timer runs next if nobody
 *	listened as the last of them was lost. Its time is when that was noticed
 * @TCP_KEEPALIVE_EVENT_LOST: a probe was lost: found out when the next is due,
 *	or when the connection is declared dead, before that event
 */
enum tcp_keepalive_event {
	TCP_KEEPALIVE_EVENT_DEAD,
	TCP_KEEPALIVE_EVENT_RESET,
	TCP_KEEPALIVE_EVENT_RECOVERED,
	TCP_KEEPALIVE_EVENT_LOST,
};

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
 *	arrived by then is counted, but for that of a connection that a program is
 *	busy with at that moment
 * @TCP_KEEPALIVE_CMD_CONN_GET: a dump (NLM_F_DUMP) of the namespace's TCP
 *	connections, a message of &enum tcp_keepalive_a_conn each, in no order:
 *	every full socket but those that listen or are in SYN_RECV; only those
 *	for which all holds that the request gives of MATCH, STATUS and IDLE_MIN.
 *	One that lives throughout the dump is in it exactly once
 * @TCP_KEEPALIVE_CMD_EVENT_NTF: something happened to a connection; sent to the
 *	group "events", with all of &enum tcp_keepalive_a_event
 * @TCP_KEEPALIVE_CMD_RULE_GET: a dump of the namespace's rules by rising PREF, a
 *	message of &enum tcp_keepalive_a_rule each. Rules that change meanwhile make
 *	it one with NLM_F_DUMP_INTR
 * @TCP_KEEPALIVE_CMD_RULE_ADD: add a rule; without PREF it gets the highest in use
 *	+ 10, or 10. The reply is the rule. EEXIST for a PREF in use, ENOSPC for a
 *	rule beyond TCP_KEEPALIVE_RULES_MAX, ERANGE where no PREF is left, EINVAL
 *	for a rule that does nothing or makes no sense
 * @TCP_KEEPALIVE_CMD_RULE_REPLACE: put a rule in the place of the one with its
 *	PREF, or where there is none. The reply is the rule
 * @TCP_KEEPALIVE_CMD_RULE_DEL: remove the rule with that PREF; the reply is the
 *	rule as it was. ENOENT if there is none
 * @TCP_KEEPALIVE_CMD_RULE_FLUSH: remove all rules
 * @TCP_KEEPALIVE_CMD_RULE_TEST: ask which rule decides about a connection, and
 *	what it would have if its program had set nothing. The connection is a
 *	MATCH with its addresses whole, LPORT_MIN, RPORT_MIN and UID_MIN its ports
 *	and user. A rule that asks for what is not given does not match; but a port
 *	and the mark are 0 then, and of two addresses one all zeros. The reply has
 *	PREF if a rule decides, KEEPALIVE (ON or OFF), TIME, INTVL, PROBES and
 *	USER_TIMEOUT_MS
 * @TCP_KEEPALIVE_CMD_RULE_NTF: a rule came or, with REMOVED, went; sent to the
 *	group "policy", numbered together with POLICY_NTF
 * @TCP_KEEPALIVE_CMD_RESTORE: set policy and rules at once, or nothing; the
 *	attributes are those of &enum tcp_keepalive_a_restore. What is refused is
 *	named by its offset
 * @TCP_KEEPALIVE_CMD_APPLY: a dump (NLM_F_DUMP) that gives the existing
 *	connections what rules and policy say now, and re-arms their timers less
 *	the time that they have been idle. Each message has what has been done
 *	since the one before: add them up, but for close-ms, of which the
 *	largest counts. Who stops reading stops it. Needs the privilege for a
 *	dry run as well
 */
enum tcp_keepalive_cmd {
	TCP_KEEPALIVE_CMD_POLICY_GET = 1,
	TCP_KEEPALIVE_CMD_POLICY_SET,
	TCP_KEEPALIVE_CMD_POLICY_RESET,
	TCP_KEEPALIVE_CMD_POLICY_NTF,
	TCP_KEEPALIVE_CMD_STATS_GET,
	TCP_KEEPALIVE_CMD_CONN_GET,
	TCP_KEEPALIVE_CMD_EVENT_NTF,
	TCP_KEEPALIVE_CMD_RULE_GET,
	TCP_KEEPALIVE_CMD_RULE_ADD,
	TCP_KEEPALIVE_CMD_RULE_REPLACE,
	TCP_KEEPALIVE_CMD_RULE_DEL,
	TCP_KEEPALIVE_CMD_RULE_FLUSH,
	TCP_KEEPALIVE_CMD_RULE_TEST,
	TCP_KEEPALIVE_CMD_RULE_NTF,
	TCP_KEEPALIVE_CMD_RESTORE,
	TCP_KEEPALIVE_CMD_APPLY,

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
 *	kprobes or ftrace were switched off, or others' kprobes interrupted,
 *	and on Linux 5.10 a few
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
 * @TCP_KEEPALIVE_A_STATS_CONNS_ENFORCED: new connections on which policy or a
 *	rule turned keepalive on
 * @TCP_KEEPALIVE_A_STATS_CONNS_APPLIED: existing connections that an APPLY
 *	changed
 * @TCP_KEEPALIVE_A_STATS_CONNS_TRACKED: gauge, connections with a record now
 * @TCP_KEEPALIVE_A_STATS_CONNS_UNTRACKED: connections that began to be probed
 *	and got no record, because max_conns, max_conns_total or memory was
 *	reached; once for each time that one of them begins, as nothing is kept
 *	of it in between
 * @TCP_KEEPALIVE_A_STATS_RTT_US: histogram, microseconds from a probe to its
 *	answer; of those whose time can be told, which is not all (RFC 6298 3,
 *	Karn: none after a lost one; none where other segments came between). An
 *	answer that had to wait for a program that was busy with the socket, or
 *	that splice() read past, counts from when that was over
 * @TCP_KEEPALIVE_A_STATS_LOST_IN_ROW: histogram, probes lost in a row when the
 *	peer was heard again
 * @TCP_KEEPALIVE_A_STATS_DETECT_MS: histogram, milliseconds from when the peer
 *	was last heard to when the connection was declared dead
 *
 * A histogram is a nest of &enum tcp_keepalive_a_bucket for each bucket that is
 * not empty, in rising order: the attribute comes that often, or not at all. All
 * others but NETNS_INO are u64 and count from the module's load. Always, at every
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
	TCP_KEEPALIVE_A_STATS_RTT_US,
	TCP_KEEPALIVE_A_STATS_LOST_IN_ROW,
	TCP_KEEPALIVE_A_STATS_DETECT_MS,

	/* private: */
	__TCP_KEEPALIVE_A_STATS_MAX,
	TCP_KEEPALIVE_A_STATS_MAX = __TCP_KEEPALIVE_A_STATS_MAX - 1
};

/**
 * enum tcp_keepalive_a_bucket - a bucket of a histogram
 * @TCP_KEEPALIVE_A_BUCKET_LE: u64, the largest value that falls into it: 1 or a
 *	larger power of two; absent in the last one, which has no bound
 * @TCP_KEEPALIVE_A_BUCKET_COUNT: u64, values in this bucket alone
 * @TCP_KEEPALIVE_A_BUCKET_PAD: alignment of 64-bit attributes
 */
enum tcp_keepalive_a_bucket {
	TCP_KEEPALIVE_A_BUCKET_LE = 1,
	TCP_KEEPALIVE_A_BUCKET_COUNT,
	TCP_KEEPALIVE_A_BUCKET_PAD,

	/* private: */
	__TCP_KEEPALIVE_A_BUCKET_MAX,
	TCP_KEEPALIVE_A_BUCKET_MAX = __TCP_KEEPALIVE_A_BUCKET_MAX - 1
};

/**
 * enum tcp_keepalive_a_match - connections; all that is given must hold
 * @TCP_KEEPALIVE_A_MATCH_LOCAL: 4 or 16 bytes, network order: the local address
 *	lies in this prefix, host bits ignored. 4 bytes match IPv4 connections
 *	(those of IPv6 sockets included), 16 bytes IPv6 ones; a v4-mapped prefix
 *	is the IPv4 one in it
 * @TCP_KEEPALIVE_A_MATCH_LOCAL_LEN: u8, length of that prefix in bits, 0 to 32
 *	or 128; the whole address if absent
 * @TCP_KEEPALIVE_A_MATCH_REMOTE: likewise, the peer's address
 * @TCP_KEEPALIVE_A_MATCH_REMOTE_LEN: u8, likewise
 * @TCP_KEEPALIVE_A_MATCH_LPORT_MIN: u16, host order: the local port is this one
 *	or above
 * @TCP_KEEPALIVE_A_MATCH_LPORT_MAX: u16, this one or below
 * @TCP_KEEPALIVE_A_MATCH_RPORT_MIN: u16, likewise, the peer's port
 * @TCP_KEEPALIVE_A_MATCH_RPORT_MAX: u16, likewise
 * @TCP_KEEPALIVE_A_MATCH_UID_MIN: u32, 0 to 4294967294, the user that the socket
 *	belongs to, in the asker's user namespace, is this one or above; 65534 is
 *	shown for one that has no number there. For a rule an incoming
 *	connection's is that of the listener, for as long as that is there
 * @TCP_KEEPALIVE_A_MATCH_UID_MAX: u32, this one or below
 * @TCP_KEEPALIVE_A_MATCH_CGROUP: string, path of a cgroup of the v2 tree, as in
 *	/proc/PID/cgroup of the asker: the socket was made in it or in one below.
 *	ENOENT if there is none, ENOTDIR for what is no directory there. "(too
 *	long)" is shown for one that from there is longer than PATH_MAX - 1. In
 *	an event it is as in that of whoever changed the rule
 * @TCP_KEEPALIVE_A_MATCH_DIR: u32, &enum tcp_keepalive_dir; in rules alone
 * @TCP_KEEPALIVE_A_MATCH_MARK: u32, the socket's mark (SO_MARK), in the bits of
 *	MARK_MASK; in rules alone, as not everybody may know of marks
 * @TCP_KEEPALIVE_A_MATCH_MARK_MASK: u32, all bits if absent; in rules alone
 *
 * EINVAL for addresses of two families, a length without its address, and a
 * range that is empty.
 */
enum tcp_keepalive_a_match {
	TCP_KEEPALIVE_A_MATCH_LOCAL = 1,
	TCP_KEEPALIVE_A_MATCH_LOCAL_LEN,
	TCP_KEEPALIVE_A_MATCH_REMOTE,
	TCP_KEEPALIVE_A_MATCH_REMOTE_LEN,
	TCP_KEEPALIVE_A_MATCH_LPORT_MIN,
	TCP_KEEPALIVE_A_MATCH_LPORT_MAX,
	TCP_KEEPALIVE_A_MATCH_RPORT_MIN,
	TCP_KEEPALIVE_A_MATCH_RPORT_MAX,
	TCP_KEEPALIVE_A_MATCH_UID_MIN,
	TCP_KEEPALIVE_A_MATCH_UID_MAX,
	TCP_KEEPALIVE_A_MATCH_CGROUP,
	TCP_KEEPALIVE_A_MATCH_DIR,
	TCP_KEEPALIVE_A_MATCH_MARK,
	TCP_KEEPALIVE_A_MATCH_MARK_MASK,

	/* private: */
	__TCP_KEEPALIVE_A_MATCH_MAX,
	TCP_KEEPALIVE_A_MATCH_MAX = __TCP_KEEPALIVE_A_MATCH_MAX - 1
};

/**
 * enum tcp_keepalive_a_conn - a connection, and its keepalive
 * @TCP_KEEPALIVE_A_CONN_NETNS_INO: u32, inode number of the namespace
 * @TCP_KEEPALIVE_A_CONN_LOCAL: 4 or 16 bytes, network order: local address; 4
 *	for IPv4 over an IPv6 socket too
 * @TCP_KEEPALIVE_A_CONN_LPORT: u16, host order: local port
 * @TCP_KEEPALIVE_A_CONN_REMOTE: the peer's address
 * @TCP_KEEPALIVE_A_CONN_RPORT: u16, host order: the peer's port
 * @TCP_KEEPALIVE_A_CONN_STATE: u32, as tcpi_state in struct tcp_info
 * @TCP_KEEPALIVE_A_CONN_STATUS: u32, &enum tcp_keepalive_status; in a request too
 * @TCP_KEEPALIVE_A_CONN_KEEPALIVE: u8, 1: keepalive is on (SO_KEEPALIVE)
 * @TCP_KEEPALIVE_A_CONN_TIME: s32, seconds idle before the first probe, in
 *	effect or, with keepalive off, if it were on
 * @TCP_KEEPALIVE_A_CONN_INTVL: s32, seconds between unanswered probes, likewise
 * @TCP_KEEPALIVE_A_CONN_PROBES: u32, unanswered probes before the connection is
 *	closed, likewise
 * @TCP_KEEPALIVE_A_CONN_SOURCE: u32, &enum tcp_keepalive_source: where TIME comes
 *	from
 * @TCP_KEEPALIVE_A_CONN_USER_TIMEOUT_MS: u32, milliseconds, TCP_USER_TIMEOUT (RFC
 *	5482); 0: none. If there is one it decides in place of PROBES: the first
 *	tick of the timer at or past it with a probe out closes the connection
 * @TCP_KEEPALIVE_A_CONN_IDLE_MS: u32, milliseconds since the peer was last heard,
 *	4294967295 for more than fit; absent if it never was
 * @TCP_KEEPALIVE_A_CONN_NEXT_MS: u32, milliseconds to the next tick of the
 *	keepalive timer, likewise; absent if none is to come
 * @TCP_KEEPALIVE_A_CONN_OUT: u32, probes sent since the peer was last heard
 * @TCP_KEEPALIVE_A_CONN_SENT: u32, probes sent. This and the next four are of
 *	the connection's record: from the first probe since the module was loaded,
 *	0 or absent where there is none
 * @TCP_KEEPALIVE_A_CONN_ANSWERED: u32, of those, probes answered
 * @TCP_KEEPALIVE_A_CONN_LOST: u32, of those, probes lost
 * @TCP_KEEPALIVE_A_CONN_RTT_US: u32, microseconds from a probe to its answer, of
 *	the last probe whose time could be told; absent if none could
 * @TCP_KEEPALIVE_A_CONN_RTT_MIN_US: u32, the smallest of them; likewise
 * @TCP_KEEPALIVE_A_CONN_UID: u32, the user that the socket belongs to, in the
 *	asker's user namespace
 * @TCP_KEEPALIVE_A_CONN_INODE: u32, the socket's inode number; 0 where no
 *	program has it open
 * @TCP_KEEPALIVE_A_CONN_MATCH: nest of &enum tcp_keepalive_a_match, in a request
 * @TCP_KEEPALIVE_A_CONN_IDLE_MIN: u32, seconds, in a request: the peer has not
 *	been heard for that long or longer
 * @TCP_KEEPALIVE_A_CONN_RULE: u32, PREF of the rule that matches it now; absent
 *	if none does
 */
enum tcp_keepalive_a_conn {
	TCP_KEEPALIVE_A_CONN_NETNS_INO = 1,
	TCP_KEEPALIVE_A_CONN_LOCAL,
	TCP_KEEPALIVE_A_CONN_LPORT,
	TCP_KEEPALIVE_A_CONN_REMOTE,
	TCP_KEEPALIVE_A_CONN_RPORT,
	TCP_KEEPALIVE_A_CONN_STATE,
	TCP_KEEPALIVE_A_CONN_STATUS,
	TCP_KEEPALIVE_A_CONN_KEEPALIVE,
	TCP_KEEPALIVE_A_CONN_TIME,
	TCP_KEEPALIVE_A_CONN_INTVL,
	TCP_KEEPALIVE_A_CONN_PROBES,
	TCP_KEEPALIVE_A_CONN_SOURCE,
	TCP_KEEPALIVE_A_CONN_USER_TIMEOUT_MS,
	TCP_KEEPALIVE_A_CONN_IDLE_MS,
	TCP_KEEPALIVE_A_CONN_NEXT_MS,
	TCP_KEEPALIVE_A_CONN_OUT,
	TCP_KEEPALIVE_A_CONN_SENT,
	TCP_KEEPALIVE_A_CONN_ANSWERED,
	TCP_KEEPALIVE_A_CONN_LOST,
	TCP_KEEPALIVE_A_CONN_RTT_US,
	TCP_KEEPALIVE_A_CONN_RTT_MIN_US,
	TCP_KEEPALIVE_A_CONN_UID,
	TCP_KEEPALIVE_A_CONN_INODE,
	TCP_KEEPALIVE_A_CONN_MATCH,
	TCP_KEEPALIVE_A_CONN_IDLE_MIN,
	TCP_KEEPALIVE_A_CONN_RULE,

	/* private: */
	__TCP_KEEPALIVE_A_CONN_MAX,
	TCP_KEEPALIVE_A_CONN_MAX = __TCP_KEEPALIVE_A_CONN_MAX - 1
};

/**
 * enum tcp_keepalive_a_event - what happened to a connection, and when
 * @TCP_KEEPALIVE_A_EVENT_EVENT: u32, what happened: &enum tcp_keepalive_event
 * @TCP_KEEPALIVE_A_EVENT_SEQ: u32, its number in the namespace and group,
 *	counting up by one while anybody listens; a gap is lost events
 * @TCP_KEEPALIVE_A_EVENT_AT: u64, when, nanoseconds of CLOCK_REALTIME
 * @TCP_KEEPALIVE_A_EVENT_PAD: alignment of 64-bit attributes
 * @TCP_KEEPALIVE_A_EVENT_NETNS_INO: u32, inode number of the namespace
 * @TCP_KEEPALIVE_A_EVENT_LOCAL: 4 or 16 bytes, network order: local address
 * @TCP_KEEPALIVE_A_EVENT_LPORT: u16, host order: local port
 * @TCP_KEEPALIVE_A_EVENT_REMOTE: the peer's address
 * @TCP_KEEPALIVE_A_EVENT_RPORT: u16, host order: the peer's port
 * @TCP_KEEPALIVE_A_EVENT_UID: u32, the user that the socket belongs to, in the
 *	user namespace that owns the network namespace
 * @TCP_KEEPALIVE_A_EVENT_INODE: u32, the socket's inode number; 0 where no
 *	program has it open
 * @TCP_KEEPALIVE_A_EVENT_LOST: u32, probes lost in a row: so far, or until the
 *	peer was heard again
 * @TCP_KEEPALIVE_A_EVENT_IDLE_MS: u32, milliseconds for which the peer was
 *	silent: so far, or until it was heard again; 4294967295 for more than fit
 */
enum tcp_keepalive_a_event {
	TCP_KEEPALIVE_A_EVENT_EVENT = 1,
	TCP_KEEPALIVE_A_EVENT_SEQ,
	TCP_KEEPALIVE_A_EVENT_AT,
	TCP_KEEPALIVE_A_EVENT_PAD,
	TCP_KEEPALIVE_A_EVENT_NETNS_INO,
	TCP_KEEPALIVE_A_EVENT_LOCAL,
	TCP_KEEPALIVE_A_EVENT_LPORT,
	TCP_KEEPALIVE_A_EVENT_REMOTE,
	TCP_KEEPALIVE_A_EVENT_RPORT,
	TCP_KEEPALIVE_A_EVENT_UID,
	TCP_KEEPALIVE_A_EVENT_INODE,
	TCP_KEEPALIVE_A_EVENT_LOST,
	TCP_KEEPALIVE_A_EVENT_IDLE_MS,

	/* private: */
	__TCP_KEEPALIVE_A_EVENT_MAX,
	TCP_KEEPALIVE_A_EVENT_MAX = __TCP_KEEPALIVE_A_EVENT_MAX - 1
};

/**
 * enum tcp_keepalive_a_rule - a rule: which connections, and what is done
 * @TCP_KEEPALIVE_A_RULE_NETNS_INO: u32, inode number of the namespace
 * @TCP_KEEPALIVE_A_RULE_PREF: u32, 1 to 32767, its place: of the rules that match
 *	a connection the one with the lowest decides
 * @TCP_KEEPALIVE_A_RULE_MATCH: nest of &enum tcp_keepalive_a_match; every
 *	connection if absent
 * @TCP_KEEPALIVE_A_RULE_KEEPALIVE: u32, &enum tcp_keepalive_action; LEAVE if absent
 * @TCP_KEEPALIVE_A_RULE_TIME: s32, 1 to 32767 seconds idle before the first probe
 *	where the program set none, or with OVERRIDE in any case
 * @TCP_KEEPALIVE_A_RULE_TIME_MIN: s32, 1 to 32767: what is in effect, whoever set
 *	it, is made no less than this
 * @TCP_KEEPALIVE_A_RULE_TIME_MAX: s32, and no more than this; the two come
 *	together, and not with TIME
 * @TCP_KEEPALIVE_A_RULE_INTVL: s32, 1 to 32767 seconds between unanswered probes,
 *	likewise
 * @TCP_KEEPALIVE_A_RULE_INTVL_MIN: s32, likewise
 * @TCP_KEEPALIVE_A_RULE_INTVL_MAX: s32, likewise
 * @TCP_KEEPALIVE_A_RULE_PROBES: u32, 1 to 127 unanswered probes before the
 *	connection is closed, likewise
 * @TCP_KEEPALIVE_A_RULE_PROBES_MIN: u32, likewise
 * @TCP_KEEPALIVE_A_RULE_PROBES_MAX: u32, likewise
 * @TCP_KEEPALIVE_A_RULE_USER_TIMEOUT_MS: u32, 1 to 2147483647 milliseconds,
 *	TCP_USER_TIMEOUT (RFC 5482), where the program set none, or with OVERRIDE
 *	in any case
 * @TCP_KEEPALIVE_A_RULE_OVERRIDE: flag, the program's own values are replaced too,
 *	within a second if it sets them later, and so is its SO_KEEPALIVE
 * @TCP_KEEPALIVE_A_RULE_HITS: u64, connections that it decided, when they became
 *	established or in an APPLY
 * @TCP_KEEPALIVE_A_RULE_CGROUP_GONE: flag, its cgroup has been removed: it matches
 *	nothing
 * @TCP_KEEPALIVE_A_RULE_REMOVED: flag, in a notification: it went
 * @TCP_KEEPALIVE_A_RULE_SEQ: u32, in a notification: its number in the namespace
 *	and group
 * @TCP_KEEPALIVE_A_RULE_AT: u64, in a notification: when, nanoseconds of
 *	CLOCK_REALTIME
 * @TCP_KEEPALIVE_A_RULE_PAD: alignment of 64-bit attributes
 */
enum tcp_keepalive_a_rule {
	TCP_KEEPALIVE_A_RULE_NETNS_INO = 1,
	TCP_KEEPALIVE_A_RULE_PREF,
	TCP_KEEPALIVE_A_RULE_MATCH,
	TCP_KEEPALIVE_A_RULE_KEEPALIVE,
	TCP_KEEPALIVE_A_RULE_TIME,
	TCP_KEEPALIVE_A_RULE_TIME_MIN,
	TCP_KEEPALIVE_A_RULE_TIME_MAX,
	TCP_KEEPALIVE_A_RULE_INTVL,
	TCP_KEEPALIVE_A_RULE_INTVL_MIN,
	TCP_KEEPALIVE_A_RULE_INTVL_MAX,
	TCP_KEEPALIVE_A_RULE_PROBES,
	TCP_KEEPALIVE_A_RULE_PROBES_MIN,
	TCP_KEEPALIVE_A_RULE_PROBES_MAX,
	TCP_KEEPALIVE_A_RULE_USER_TIMEOUT_MS,
	TCP_KEEPALIVE_A_RULE_OVERRIDE,
	TCP_KEEPALIVE_A_RULE_HITS,
	TCP_KEEPALIVE_A_RULE_CGROUP_GONE,
	TCP_KEEPALIVE_A_RULE_REMOVED,
	TCP_KEEPALIVE_A_RULE_SEQ,
	TCP_KEEPALIVE_A_RULE_AT,
	TCP_KEEPALIVE_A_RULE_PAD,

	/* private: */
	__TCP_KEEPALIVE_A_RULE_MAX,
	TCP_KEEPALIVE_A_RULE_MAX = __TCP_KEEPALIVE_A_RULE_MAX - 1
};

/**
 * enum tcp_keepalive_a_restore - policy and rules, all or nothing
 * @TCP_KEEPALIVE_A_RESTORE_POLICY: nest of &enum tcp_keepalive_a_policy: the fields
 *	that are given are set, the others reset; absent: the policy stays
 * @TCP_KEEPALIVE_A_RESTORE_RULE: nest of &enum tcp_keepalive_a_rule, PREF included,
 *	as often as there are rules: those become the rules
 */
enum tcp_keepalive_a_restore {
	TCP_KEEPALIVE_A_RESTORE_POLICY = 1,
	TCP_KEEPALIVE_A_RESTORE_RULE,

	/* private: */
	__TCP_KEEPALIVE_A_RESTORE_MAX,
	TCP_KEEPALIVE_A_RESTORE_MAX = __TCP_KEEPALIVE_A_RESTORE_MAX - 1
};

/**
 * enum tcp_keepalive_a_apply - rules and policy onto existing connections
 * @TCP_KEEPALIVE_A_APPLY_NETNS_INO: u32, inode number of the namespace
 * @TCP_KEEPALIVE_A_APPLY_MATCH: nest of &enum tcp_keepalive_a_match, in a request:
 *	only those connections
 * @TCP_KEEPALIVE_A_APPLY_IDLE_MIN: u32, seconds, in a request: only connections
 *	whose peer has not been heard for that long or longer
 * @TCP_KEEPALIVE_A_APPLY_DRY_RUN: flag, in a request: change nothing, count
 * @TCP_KEEPALIVE_A_APPLY_SPREAD_MS: u32, 0 to 600000 ms, in a request: the first
 *	probes of those that are overdue are spread evenly over that long; 0: all at
 *	once; absent: the smaller of each one's INTVL and 10 s
 * @TCP_KEEPALIVE_A_APPLY_SEEN: u32, connections looked at
 * @TCP_KEEPALIVE_A_APPLY_MATCHED: u32, of those, the ones that the request means,
 *	be they left alone
 * @TCP_KEEPALIVE_A_APPLY_CHANGED: u32, of those, changed: a value, or keepalive on
 *	or off (in a dry run: would be)
 * @TCP_KEEPALIVE_A_APPLY_OVERDUE: u32, of those, idle for longer than the time that
 *	is in effect now
 * @TCP_KEEPALIVE_A_APPLY_CLOSE_MS: u32, milliseconds: those of the overdue ones
 *	whose peer is dead will be closed within that time
 * @TCP_KEEPALIVE_A_APPLY_SKIPPED_KERNEL: u32, left alone: a socket of the kernel's
 *	or a subflow of MPTCP
 * @TCP_KEEPALIVE_A_APPLY_SKIPPED_REPAIR: u32, left alone: TCP_REPAIR
 * @TCP_KEEPALIVE_A_APPLY_SKIPPED_OPTED_OUT: u32, left alone: the program turned
 *	keepalive off on a connection that had it
 * @TCP_KEEPALIVE_A_APPLY_SKIPPED_CLOSED: u32, left alone: closed meanwhile, or its
 *	program has gone
 * @TCP_KEEPALIVE_A_APPLY_SKIPPED_BUSY: u32, left alone: a program kept the socket
 *	locked for a second
 */
enum tcp_keepalive_a_apply {
	TCP_KEEPALIVE_A_APPLY_NETNS_INO = 1,
	TCP_KEEPALIVE_A_APPLY_MATCH,
	TCP_KEEPALIVE_A_APPLY_IDLE_MIN,
	TCP_KEEPALIVE_A_APPLY_DRY_RUN,
	TCP_KEEPALIVE_A_APPLY_SPREAD_MS,
	TCP_KEEPALIVE_A_APPLY_SEEN,
	TCP_KEEPALIVE_A_APPLY_MATCHED,
	TCP_KEEPALIVE_A_APPLY_CHANGED,
	TCP_KEEPALIVE_A_APPLY_OVERDUE,
	TCP_KEEPALIVE_A_APPLY_CLOSE_MS,
	TCP_KEEPALIVE_A_APPLY_SKIPPED_KERNEL,
	TCP_KEEPALIVE_A_APPLY_SKIPPED_REPAIR,
	TCP_KEEPALIVE_A_APPLY_SKIPPED_OPTED_OUT,
	TCP_KEEPALIVE_A_APPLY_SKIPPED_CLOSED,
	TCP_KEEPALIVE_A_APPLY_SKIPPED_BUSY,

	/* private: */
	__TCP_KEEPALIVE_A_APPLY_MAX,
	TCP_KEEPALIVE_A_APPLY_MAX = __TCP_KEEPALIVE_A_APPLY_MAX - 1
};

#endif /* _UAPI_LINUX_TCP_KEEPALIVE_H */

// SPDX-License-Identifier: GPL-2.0
/*
 * The policy onto sockets: keepalive for programs that never asked.
 */
#include <linux/tcp.h>
#include <net/inet6_hashtables.h>
#include <net/inet_hashtables.h>
#include <net/ipv6.h>
#include <net/mptcp.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "enforce.h"
#include "net.h"

/* How many namespaces enforce. */
atomic_t ka_enforce_nets;

/**
 * ka_enforce_set - begin or cease to enforce
 * @kn: the namespace; its policy_lock is held, or nobody else knows it
 * @on: which
 */
void ka_enforce_set(struct ka_net *kn, bool on)
{
	if (on != kn->enforce)
		atomic_add(on ? 1 : -1, &ka_enforce_nets);
	WRITE_ONCE(kn->enforce, on);
}

/* The listener that a connection came in through; under rcu_read_lock(). */
static const struct sock *enforce_listener(const struct sock *sk)
{
	struct inet_hashinfo *hash = sock_net(sk)->ipv4.tcp_death_row.hashinfo;
	const struct inet_sock *inet = inet_sk(sk);

#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6 && !ipv6_addr_v4mapped(&sk->sk_v6_daddr))
		return inet6_lookup_listener(sock_net(sk), hash, NULL, 0,
					     &sk->sk_v6_daddr, inet->inet_dport,
					     &sk->sk_v6_rcv_saddr,
					     inet->inet_num,
					     sk->sk_bound_dev_if, 0);
#endif
	return __inet_lookup_listener(sock_net(sk), hash, NULL, 0,
				      inet->inet_daddr, inet->inet_dport,
				      inet->inet_rcv_saddr, inet->inet_num,
				      sk->sk_bound_dev_if, 0);
}

/*
 * The kernel's own sockets, those being put together anew, and MPTCP's subflows
 * are not ours. A plain connection to an MPTCP listener is: it counts as the
 * kernel's, as its listener does, only until accept().
 */
static bool enforce_may(const struct sock *sk, bool passive)
{
	const struct sock *listener;

	if (tcp_sk(sk)->repair || sk_is_mptcp(sk))
		return false;
	if (!sk->sk_kern_sock)
		return true;
	listener = passive ? enforce_listener(sk) : NULL;
	return listener && sk_is_mptcp(listener);
}

/**
 * ka_enforce_new - a connection becomes established
 * @kn: its namespace
 * @sk: its socket, locked; BHs are off, under rcu_read_lock()
 * @passive: the peer opened it
 *
 * Its idle time and the rest stay unset, so that it follows the namespace's
 * sysctls as long as the program sets none.
 */
void ka_enforce_new(struct ka_net *kn, struct sock *sk, bool passive)
{
	if (sock_flag(sk, SOCK_KEEPOPEN) || !enforce_may(sk, passive))
		return;
	sk->sk_prot->keepalive(sk, 1);
	sock_set_flag(sk, SOCK_KEEPOPEN);
	ka_stats_add(kn, KA_CONNS_ENFORCED, 1);
}

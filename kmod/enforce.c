// SPDX-License-Identifier: GPL-2.0
/*
 * The policy onto sockets: keepalive for programs that never asked.
 */
#include <linux/tcp.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "enforce.h"
#include "net.h"

/* The kernel's own sockets and those being put together anew are not ours. */
static bool enforce_may(const struct sock *sk)
{
	return !sk->sk_kern_sock && !tcp_sk(sk)->repair;
}

/**
 * ka_enforce_new - a connection becomes established
 * @kn: its namespace
 * @sk: its socket, locked; BHs are off
 *
 * Its idle time and the rest stay unset, so that it follows the namespace's
 * sysctls as long as the program sets none.
 */
void ka_enforce_new(struct ka_net *kn, struct sock *sk)
{
	if (!READ_ONCE(kn->enforce) || sock_flag(sk, SOCK_KEEPOPEN) ||
	    !enforce_may(sk))
		return;
	sk->sk_prot->keepalive(sk, 1);
	sock_set_flag(sk, SOCK_KEEPOPEN);
	ka_stats_add(kn, KA_CONNS_ENFORCED, 1);
}

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_COMPAT_TIMER_H
#define KA_COMPAT_TIMER_H

#include <net/inet_connection_sock.h>

/* The keepalive timer moved from one structure to the other, and back. */
static inline const struct timer_list *ka_keepalive_timer(const struct sock *sk)
{
#ifdef KA_HAVE_ICSK_KEEPALIVE_TIMER
	return &inet_csk(sk)->icsk_keepalive_timer;
#else
	return &sk->sk_timer;
#endif
}

static inline struct sock *ka_keepalive_sock(struct timer_list *t)
{
#ifdef KA_HAVE_ICSK_KEEPALIVE_TIMER
	return &container_of(t, struct inet_connection_sock,
			     icsk_keepalive_timer)->icsk_inet.sk;
#else
	return container_of(t, struct sock, sk_timer);
#endif
}

#endif

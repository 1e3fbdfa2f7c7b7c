// SPDX-License-Identifier: GPL-2.0
/*
 * What tells a connection from others, as events, traces and dumps show it.
 */
#include <net/inet_sock.h>
#include <net/ipv6.h>
#include <net/netlink.h>

#include "ident.h"

static bool ident_is_ipv6(const struct sock *sk)
{
#if IS_ENABLED(CONFIG_IPV6)
	/* A program may make an IPv4 socket of it. */
	return READ_ONCE(sk->sk_family) == AF_INET6 &&
	       !ipv6_addr_v4mapped(&sk->sk_v6_daddr);
#else
	return false;
#endif
}

/**
 * ka_ident_read - read a connection's identity
 * @id: filled in
 * @sk: the socket; its local port is known even where it has been closed
 */
void ka_ident_read(struct ka_ident *id, const struct sock *sk)
{
	id->lport = ntohs(inet_sk(sk)->inet_sport);
	id->rport = ntohs(sk->sk_dport);
#if IS_ENABLED(CONFIG_IPV6)
	if (ident_is_ipv6(sk)) {
		id->len = sizeof(struct in6_addr);
		id->local = sk->sk_v6_rcv_saddr;
		id->remote = sk->sk_v6_daddr;
		return;
	}
#endif
	id->len = sizeof(struct in_addr);
	id->local.s6_addr32[0] = sk->sk_rcv_saddr;
	id->remote.s6_addr32[0] = sk->sk_daddr;
}

static void ident_sockaddr(const struct in6_addr *addr, u16 port, u8 len,
			   struct sockaddr_in6 *to)
{
	struct sockaddr_in *to4 = (struct sockaddr_in *)to;

	memset(to, 0, sizeof(*to));
	to->sin6_port = htons(port);
	if (len == sizeof(*addr)) {
		to->sin6_family = AF_INET6;
		to->sin6_addr = *addr;
	} else {
		to4->sin_family = AF_INET;
		to4->sin_addr.s_addr = addr->s6_addr32[0];
	}
}

/**
 * ka_ident_sockaddr - a connection's two ends as socket addresses, for %pIS
 * @sk: the socket
 * @local: filled in; a struct sockaddr_in for IPv4
 * @remote: likewise
 */
void ka_ident_sockaddr(const struct sock *sk, struct sockaddr_in6 *local,
		       struct sockaddr_in6 *remote)
{
	struct ka_ident id;

	ka_ident_read(&id, sk);
	ident_sockaddr(&id.local, id.lport, id.len, local);
	ident_sockaddr(&id.remote, id.rport, id.len, remote);
}

/**
 * ka_ident_put - put the identity into a message
 * @skb: the message
 * @id: the identity
 * @attr: the attribute that is the local address; local port, remote address and
 *	remote port have the numbers that follow
 *
 * Return: 0 or -EMSGSIZE.
 */
int ka_ident_put(struct sk_buff *skb, const struct ka_ident *id, int attr)
{
	return nla_put(skb, attr, id->len, &id->local) ?:
	       nla_put_u16(skb, attr + 1, id->lport) ?:
	       nla_put(skb, attr + 2, id->len, &id->remote) ?:
	       nla_put_u16(skb, attr + 3, id->rport);
}

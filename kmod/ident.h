/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_IDENT_H
#define KA_IDENT_H

#include <linux/in6.h>
#include <linux/net.h>
#include <linux/rcupdate.h>
#include <linux/types.h>
#include <net/sock.h>

struct sk_buff;

/**
 * struct ka_ident - what tells a connection from others
 * @local: local address; an IPv4 one is in its first bytes
 * @remote: the peer's address
 * @lport: local port, host order
 * @rport: the peer's port, host order
 * @len: bytes of an address: 4 for IPv4, over an IPv6 socket too, or 16
 */
struct ka_ident {
	struct in6_addr	local;
	struct in6_addr	remote;
	u16		lport;
	u16		rport;
	u8		len;
};

/* In figures: trace events show it, and some tools do not know the type. */
#define KA_SOCKADDR_SIZE	28
static_assert(sizeof(struct sockaddr_in6) == KA_SOCKADDR_SIZE);

void ka_ident_read(struct ka_ident *id, const struct sock *sk);
void ka_ident_sockaddr(const struct sock *sk, struct sockaddr_in6 *local,
		       struct sockaddr_in6 *remote);
int ka_ident_put(struct sk_buff *skb, const struct ka_ident *id, int attr);

/**
 * ka_ident_inode - the socket's inode number, 0 if no program has it open
 * @sk: the socket
 *
 * Takes no lock: inodes of sockets are freed under RCU, and one that goes at
 * this moment may be told as well as none.
 */
static inline u32 ka_ident_inode(const struct sock *sk)
{
	const struct socket *sock;
	u32 ino;

	rcu_read_lock();
	sock = READ_ONCE(sk->sk_socket);
	ino = sock ? SOCK_INODE((struct socket *)sock)->i_ino : 0;
	rcu_read_unlock();
	return ino;
}

#endif

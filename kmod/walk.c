// SPDX-License-Identifier: GPL-2.0
/*
 * A walk over the TCP connections of a network namespace that holds no lock
 * between its steps.
 *
 * A socket stays in one chain of the established hash, at one address, for as
 * long as it is there. Chains are passed in order and the sockets of a chain by
 * rising address, so that a place in the walk means the same whatever comes and
 * goes, and a connection that lives throughout is met exactly once.
 */
#include <linux/spinlock.h>
#include <net/inet_hashtables.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "walk.h"

/* Chains looked at before somebody else may have the CPU. */
#define WALK_STRIDE	4096

static struct inet_hashinfo *walk_hash(const struct net *net)
{
	return net->ipv4.tcp_death_row.hashinfo;
}

/* A full socket of the namespace, with a connection on which TCP keeps time. */
static bool walk_wants(const struct sock *sk, const struct net *net)
{
	return !((1 << READ_ONCE(sk->sk_state)) &
		 (TCPF_TIME_WAIT | TCPF_NEW_SYN_RECV | TCPF_SYN_RECV |
		  TCPF_CLOSE | TCPF_LISTEN)) && net_eq(sock_net(sk), net);
}

/*
 * Put the sockets of the chain that come after @after into @batch, those of the
 * lowest addresses if there is no room for all.
 */
static unsigned int walk_chain(const struct inet_ehash_bucket *chain,
			       const struct net *net, unsigned long after,
			       struct sock **batch, unsigned int room)
{
	const struct hlist_nulls_node *node;
	unsigned int n = 0;
	struct sock *sk;

	sk_nulls_for_each(sk, node, &chain->chain) {
		unsigned int i;

		if ((unsigned long)sk <= after || !walk_wants(sk, net))
			continue;
		if (n < room)
			n++;
		else if (sk > batch[n - 1])
			continue;
		for (i = n - 1; i && batch[i - 1] > sk; i--)
			batch[i] = batch[i - 1];
		batch[i] = sk;
	}
	return n;
}

/**
 * ka_walk_next - take the next step
 * @walk: where the walk is, moved on
 * @net: the namespace, which does not go meanwhile
 * @batch: filled in with sockets, a reference on each
 *
 * May sleep.
 *
 * Return: how many sockets, 0 at the end.
 */
unsigned int ka_walk_next(struct ka_walk *walk, struct net *net,
			  struct sock *batch[KA_WALK_BATCH])
{
	struct inet_hashinfo *hash = walk_hash(net);
	unsigned int n = 0;

	while (walk->slot <= hash->ehash_mask) {
		struct inet_ehash_bucket *chain = &hash->ehash[walk->slot];
		unsigned int i, got = 0;

		if (!hlist_nulls_empty(&chain->chain)) {
			spinlock_t *lock = inet_ehash_lockp(hash, walk->slot);

			spin_lock_bh(lock);
			got = walk_chain(chain, net, walk->after, batch + n,
					 KA_WALK_BATCH - n);
			for (i = n; i < n + got; i++)
				sock_hold(batch[i]);
			spin_unlock_bh(lock);
			n += got;
		}
		if (n == KA_WALK_BATCH) {
			walk->after = (unsigned long)batch[n - 1];
			return n;
		}
		walk->after = 0;
		if (!(++walk->slot % WALK_STRIDE)) {
			cond_resched();
			if (n)
				return n;
		}
	}
	return n;
}

/**
 * ka_walk_passed - go back to just after a socket of the last batch
 * @walk: the walk
 * @sk: the socket
 */
void ka_walk_passed(struct ka_walk *walk, const struct sock *sk)
{
	walk->slot = sk->sk_hash & walk_hash(sock_net(sk))->ehash_mask;
	walk->after = (unsigned long)sk;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * A walk over the TCP connections of a network namespace that holds no lock
 * between its steps.
 *
 * A connection stays in one chain of the established hash, at one address, once
 * it is established. Chains are passed in order and the sockets of a chain by
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

/* Is it a full socket, with a connection on which TCP may keep time? */
bool ka_walk_wants(const struct sock *sk)
{
	return !((1 << READ_ONCE(sk->sk_state)) &
		 (TCPF_TIME_WAIT | TCPF_NEW_SYN_RECV | TCPF_SYN_RECV |
		  TCPF_CLOSE | TCPF_LISTEN));
}

/*
 * Put the sockets of the chain that come after @walk into @batch, those of the
 * lowest addresses if there is no room for all.
 */
static unsigned int walk_chain(const struct inet_ehash_bucket *chain,
			       const struct net *net,
			       const struct ka_walk *walk,
			       struct ka_walk_step *batch, unsigned int room)
{
	const struct hlist_nulls_node *node;
	unsigned int n = 0;
	struct sock *sk;

	sk_nulls_for_each(sk, node, &chain->chain) {
		unsigned int i;

		if ((unsigned long)sk <= walk->after || !ka_walk_wants(sk) ||
		    !net_eq(sock_net(sk), net))
			continue;
		if (n < room)
			n++;
		else if (sk > batch[n - 1].sk)
			continue;
		for (i = n - 1; i && batch[i - 1].sk > sk; i--)
			batch[i] = batch[i - 1];
		batch[i].sk = sk;
		batch[i].slot = walk->slot;
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
			  struct ka_walk_step batch[KA_WALK_BATCH])
{
	struct inet_hashinfo *hash = walk_hash(net);
	unsigned int n = 0;

	while (walk->slot <= hash->ehash_mask) {
		struct inet_ehash_bucket *chain = &hash->ehash[walk->slot];
		unsigned int i, got = 0;

		if (!hlist_nulls_empty(&chain->chain)) {
			spinlock_t *lock = inet_ehash_lockp(hash, walk->slot);

			spin_lock_bh(lock);
			got = walk_chain(chain, net, walk, batch + n,
					 KA_WALK_BATCH - n);
			for (i = n; i < n + got; i++)
				sock_hold(batch[i].sk);
			spin_unlock_bh(lock);
			n += got;
		}
		if (n == KA_WALK_BATCH) {
			ka_walk_passed(walk, &batch[n - 1]);
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

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_WALK_H
#define KA_WALK_H

#include <linux/types.h>

struct net;
struct sock;

/* Sockets handed out at once. */
#define KA_WALK_BATCH	32

/**
 * struct ka_walk_step - a socket of a walk
 * @sk: the socket, held
 * @slot: the chain that it was in; it may have moved since
 */
struct ka_walk_step {
	struct sock	*sk;
	unsigned int	slot;
};

/**
 * struct ka_walk - a place in the established hash
 * @slot: the chain
 * @after: address of the last socket of it that was passed, 0 for none
 *
 * Zeroed is the beginning.
 */
struct ka_walk {
	unsigned int	slot;
	unsigned long	after;
};

/* Go back to just after a socket of the last batch. */
static inline void ka_walk_passed(struct ka_walk *walk,
				  const struct ka_walk_step *step)
{
	walk->slot = step->slot;
	walk->after = (unsigned long)step->sk;
}

unsigned int ka_walk_next(struct ka_walk *walk, struct net *net,
			  struct ka_walk_step batch[KA_WALK_BATCH]);
bool ka_walk_wants(const struct sock *sk);

#endif

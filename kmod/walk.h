/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_WALK_H
#define KA_WALK_H

#include <linux/types.h>

struct net;
struct sock;

/* Sockets handed out at once. */
#define KA_WALK_BATCH	32

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

unsigned int ka_walk_next(struct ka_walk *walk, struct net *net,
			  struct sock *batch[KA_WALK_BATCH]);
void ka_walk_passed(struct ka_walk *walk, const struct sock *sk);

#endif

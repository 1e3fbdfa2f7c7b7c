/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_ENFORCE_H
#define KA_ENFORCE_H

#include <linux/atomic.h>
#include <linux/types.h>

struct ka_net;
struct sock;

extern atomic_t ka_enforce_nets;

/* Does any namespace enforce? What opening a connection asks first. */
static inline bool ka_enforce_any(void)
{
	return atomic_read(&ka_enforce_nets);
}

void ka_enforce_set(struct ka_net *kn, bool on);
void ka_enforce_new(struct ka_net *kn, struct sock *sk, bool passive);

#endif

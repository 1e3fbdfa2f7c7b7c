/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_ENFORCE_H
#define KA_ENFORCE_H

#include <linux/atomic.h>
#include <linux/types.h>
#include <net/sock.h>

#include "rule.h"

struct ka_net;

/* Why an existing connection is left alone. */
enum ka_skip {
	KA_SKIP_KERNEL,
	KA_SKIP_REPAIR,
	KA_SKIP_OPTED_OUT,
	KA_SKIP_CLOSED,
	KA_NSKIPS,
	KA_SKIP_NOT = KA_NSKIPS
};

/* What has been done to a connection, or would be. */
struct ka_enforced {
	enum ka_skip	skip;
	bool		changed;
	bool		on;
	bool		off;
};

extern atomic_t ka_enforce_nets;

/* Does any namespace enforce or have rules? What opening a connection asks. */
static inline bool ka_enforce_any(void)
{
	return atomic_read(&ka_enforce_nets);
}

bool ka_enforce_ours(const struct sock *sk, enum ka_value value);
u32 ka_enforce_value(const struct sock *sk, enum ka_value value);
void ka_enforce_asked(struct sock *sk, bool on);

void ka_enforce_new(struct ka_net *kn, struct sock *sk, bool passive);
struct ka_enforced ka_enforce_again(struct ka_net *kn, struct sock *sk,
				    bool dry);
void ka_enforce_hold(struct ka_net *kn, struct sock *sk);
void ka_enforce_rearm(struct sock *sk, unsigned long delay);
s8 ka_enforce_dir(const struct sock *sk);

void ka_enforce_changed(struct ka_net *kn);

#endif

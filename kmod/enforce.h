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
	KA_SKIP_BUSY,
	KA_NSKIPS,
	KA_SKIP_NOT = KA_NSKIPS
};

/**
 * struct ka_enforced - what has been done to a connection, or would be
 * @skip: why nothing has, or KA_SKIP_NOT
 * @changed: something has
 * @on: keepalive has been turned on
 * @off: or off
 * @probing: it was being probed before
 * @effective: what is in effect then, by &enum ka_value; a timeout of 0 is none
 */
struct ka_enforced {
	enum ka_skip	skip;
	bool		changed;
	bool		on;
	bool		off;
	bool		probing;
	s32		effective[KA_NVALUES];
};

extern atomic_t ka_enforce_nets;

/* Does any namespace enforce or have rules? What opening a connection asks. */
static inline bool ka_enforce_any(void)
{
	return atomic_read(&ka_enforce_nets);
}

/* The first of those bits of sk_flags that the module notes something in. */
#define KA_ENFORCE_MARKS	34

/* Has it noted anything there? */
static inline bool ka_enforce_marked(const struct sock *sk)
{
	return sk->sk_flags >> KA_ENFORCE_MARKS;
}

bool ka_enforce_ours(const struct sock *sk, enum ka_value value);
u32 ka_enforce_value(const struct sock *sk, enum ka_value value);
u32 ka_enforce_probing(const struct sock *sk);
bool ka_enforce_closed(const struct sock *sk);
void ka_enforce_asked(struct sock *sk, bool on);

void ka_enforce_new(struct ka_net *kn, struct sock *sk, bool passive,
		    bool arms);
struct ka_enforced ka_enforce_again(struct ka_net *kn, struct sock *sk,
				    bool dry);
void ka_enforce_hold(struct ka_net *kn, struct sock *sk);
bool ka_enforce_pace(struct sock *sk, bool waits);
void ka_enforce_rearm(struct sock *sk, unsigned long delay);
void ka_enforce_origin(struct ka_subject *s, const struct sock *sk,
		       const struct ka_rules *rules);

void ka_enforce_changed(struct ka_net *kn);

#endif

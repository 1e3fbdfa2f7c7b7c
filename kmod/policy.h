/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_POLICY_H
#define KA_POLICY_H

#include <linux/bits.h>
#include <linux/types.h>

struct ka_net;

enum ka_policy_field {
	KA_POLICY_TIME,
	KA_POLICY_INTVL,
	KA_POLICY_PROBES,
	KA_NSYSCTLS,
	KA_POLICY_ENFORCE = KA_NSYSCTLS,
	KA_POLICY_INHERIT,
	KA_NPOLICY
};

/**
 * struct ka_policy - a policy, or the fields of one that are to be set
 * @v: values by &enum ka_policy_field; seconds, seconds, a count, and two
 *	switches of 0 or 1
 * @given: bit per field of @v that is to be set
 */
struct ka_policy {
	int		v[KA_NPOLICY];
	unsigned int	given;
};

/**
 * struct ka_sysctl - the module's hand in one sysctl
 * @found: what to put back
 * @put: what the module last put there; another value is somebody else's
 * @held: the module has put something there
 */
struct ka_sysctl {
	int	found;
	int	put;
	bool	held;
};

bool ka_policy_allows(enum ka_policy_field field, int v);
int ka_policy_max(enum ka_policy_field field);

void ka_policy_init(struct ka_net *kn);
int ka_policy_inherit(struct ka_net *kn, struct ka_net *from);
void ka_policy_exit(struct ka_net *kn);
void ka_policy_get(struct ka_net *kn, struct ka_policy *p);
void ka_policy_set(struct ka_net *kn, struct ka_policy *p);
void ka_policy_reset(struct ka_net *kn, struct ka_policy *p);
void ka_policy_restore(struct ka_net *kn, struct ka_policy *p);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef EVIDENCE_H
#define EVIDENCE_H

#include <stdint.h>

#include "kactl.h"
#include "middlebox.h"
#include "policy.h"
#include "stats.h"
#include "survey.h"

/**
 * struct evidence - what is known of a namespace
 * @behind: what the connections go through, or NULL
 * @policy: in force
 * @stats: since the module was loaded
 * @conns: the connections, counted
 * @silent: how many probes in a row a peer that lives has lost, at most
 * @recommend: the command that makes the change that something speaks for, or ""
 */
struct evidence {
	const struct middlebox *behind;
	int64_t policy[NR_POLICY_FIELDS];
	struct sample stats;
	struct survey conns;
	int64_t silent;
	char recommend[160];
};

typedef void (*evidence_fn)(const char *about, const char *says,
			    const char *rests_on, void *arg);

enum status evidence_read(struct evidence *e, const struct middlebox *behind);
void evidence_each(const struct evidence *e, evidence_fn fn, void *arg);
const char *evidence_none(const struct evidence *e);

#endif /* EVIDENCE_H */

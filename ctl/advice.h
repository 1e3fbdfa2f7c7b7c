/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ADVICE_H
#define ADVICE_H

#include <stdint.h>

/* Seconds: below that a hiccup of the network is taken for a dead peer. */
#define TIME_HASTY	10

struct policy;
struct rule;

void advise_policy(const struct policy *p, const int64_t *now);
void advise_rule(const struct rule *r, const int64_t *now);

#endif /* ADVICE_H */

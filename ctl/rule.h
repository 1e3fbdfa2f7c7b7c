/* SPDX-License-Identifier: GPL-2.0 */
#ifndef RULE_H
#define RULE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "kactl.h"
#include "match.h"

struct args;
struct nlattr;
struct request;

/* What a rule can give a connection beside keepalive itself. */
enum { RULE_TIME, RULE_INTVL, RULE_PROBES, RULE_USER_TIMEOUT, NR_RULE_VALUES };

/**
 * struct rule - a rule, as the user gives it
 * @line: of the file that it is in, or 0
 * @match: which connections
 * @pref_word: what was given for pref, or NULL
 * @pref: its place; 0: the next one
 * @keepalive_word: what was given for keepalive, or NULL
 * @keepalive: enum tcp_keepalive_action
 * @override: the program's own values are replaced, too
 * @value: values, or the ranges that what is in effect is clamped into
 */
struct rule {
	unsigned int line;
	struct match match;
	const char *pref_word;
	int64_t pref;
	const char *keepalive_word;
	uint32_t keepalive;
	bool override;
	struct {
		const char *word;
		bool span;
		int64_t min;
		int64_t max;
	} value[NR_RULE_VALUES];
};

#define RULE_ACTION_ARGS						\
	"[keepalive on|off|leave] [time N[..M]] [intvl N[..M]] "	\
	"[probes N[..M]] [user-timeout MS] [override]"

enum status rule_parse_pref(struct rule *r, struct args *a);
enum status rule_parse(struct rule *r, struct args *a);
void rule_put(const struct rule *r, struct request *req);
void rule_out(const struct nlattr *const *tb);
void rule_action_out(const struct nlattr *const *tb);
void rule_save(const struct nlattr *const *tb, FILE *f);

#endif /* RULE_H */

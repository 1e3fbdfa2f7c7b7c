/* SPDX-License-Identifier: GPL-2.0 */
#ifndef POLICY_H
#define POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "kactl.h"

struct args;
struct nlattr;
struct request;

/* The fields, in the order in which they are shown. */
enum {
	POLICY_TIME,
	POLICY_INTVL,
	POLICY_PROBES,
	POLICY_ENFORCE,
	POLICY_INHERIT,
	NR_POLICY_FIELDS
};

/**
 * struct policy - fields of a policy, as the user gives them
 * @line: of the file that they are in, or 0
 * @word: what was given for each, or NULL
 * @value: what it means
 */
struct policy {
	unsigned int line;
	const char *word[NR_POLICY_FIELDS];
	int64_t value[NR_POLICY_FIELDS];
};

enum status policy_parse(struct policy *p, struct args *a);
void policy_put(const struct policy *p, struct request *req);
void policy_out(const struct nlattr *const *tb);
enum status policy_show_now(void);
enum status policy_read_now(int64_t *v);
enum status policy_save(FILE *f);
int64_t policy_detection(const int64_t *v);

#endif /* POLICY_H */

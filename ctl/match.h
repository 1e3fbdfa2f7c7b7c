/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MATCH_H
#define MATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "kactl.h"

struct args;
struct nlattr;
struct request;

/* What connections can be told apart by, in the order in which it is shown. */
enum match_key {
	MATCH_DIR,
	MATCH_LOCAL,
	MATCH_REMOTE,
	MATCH_LPORT,
	MATCH_RPORT,
	MATCH_CGROUP,
	MATCH_UID,
	MATCH_MARK,
	NR_MATCHES
};

/* What words may be used, and what they may mean. */
enum match_use {
	MATCH_FILTER,		/* existing connections: no dir, no mark */
	MATCH_RULE,		/* a rule's: uid takes a range, too */
	MATCH_ONE,		/* one connection: no prefixes, no ranges */
};

/**
 * struct prefix - addresses
 * @addr: IPv4 or IPv6, in network order
 * @addr_len: 4 or 16
 * @len: how many bits of it count; -1: all, as none were named
 */
struct prefix {
	uint8_t addr[16];
	uint8_t addr_len;
	long len;
};

/**
 * struct match - connections, as the command line describes them
 * @use: how it is described
 * @word: what was given for each, or NULL
 * @value: what it means
 */
struct match {
	enum match_use use;
	const char *word[NR_MATCHES];
	union {
		struct prefix prefix;
		struct {
			int64_t min;
			int64_t max;
		};
		struct {
			uint32_t bits;
			uint32_t mask;
		};
	} value[NR_MATCHES];
};

/**
 * struct filter - existing connections
 * @match: that match this
 * @idle_word: what was given for idle-min, or NULL
 * @idle_min: and whose peer has been silent for so many seconds
 */
struct filter {
	struct match match;
	const char *idle_word;
	int64_t idle_min;
};

#define FILTER_ARGS							\
	"[local PREFIX] [remote PREFIX] [lport A[-B]] [rport A[-B]] "	\
	"[uid N] [cgroup PATH] [idle-min SECONDS]"

#define FILTER_HELP							\
	"  local PREFIX        the local address is this one, or lies in ADDRESS/LENGTH\n" \
	"  remote PREFIX       likewise the peer's\n"			\
	"  lport A[-B]         the local port is A, or lies between A and B\n" \
	"  rport A[-B]         likewise the peer's\n"			\
	"  uid N               the socket belongs to that user\n"		\
	"  cgroup PATH         made in that cgroup or below it; as in /proc/PID/cgroup\n" \
	"  idle-min SECONDS    the peer has not been heard for that long\n"

#define MATCH_ARGS							\
	"[dir in|out] [local PREFIX] [remote PREFIX] [lport A[-B]] "	\
	"[rport A[-B]] [cgroup PATH] [uid A[-B]] [mark VALUE[/MASK]]"

#define MATCH_HELP							\
	"  dir in|out          opened by the peer, or by a program here\n" \
	"  local PREFIX        the local address is this one, or lies in ADDRESS/LENGTH\n" \
	"  remote PREFIX       likewise the peer's\n"			\
	"  lport A[-B]         the local port is A, or lies between A and B\n" \
	"  rport A[-B]         likewise the peer's\n"			\
	"  cgroup PATH         made in that cgroup or below it; as in /proc/PID/cgroup\n" \
	"  uid A[-B]           the socket belongs to that user, or one of those\n" \
	"  mark VALUE[/MASK]   the socket's mark, in the bits of MASK; 0x for hexadecimal\n"

bool match_given(const struct match *m);
bool match_take(struct match *m, struct args *a, enum status *st);
enum status match_parse(struct match *m, struct args *a);
void match_put(const struct match *m, struct request *req, int attr);
void match_out(const struct nlattr *nest);
void match_save(const struct nlattr *nest, FILE *f);

enum status filter_parse(struct filter *f, struct args *a);
void filter_put(const struct filter *f, struct request *req, int match_attr,
		int idle_attr);

#endif /* MATCH_H */

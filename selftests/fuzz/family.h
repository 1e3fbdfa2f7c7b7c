/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the fuzzer are to each other; family.c says what it is. */
#ifndef FAMILY_H
#define FAMILY_H

#include <inttypes.h>

#include "../nl.h"

#define LEN(a)		((int)(sizeof(a) / sizeof((a)[0])))
#define ROOM		131072
#define ASKS		256		/* requests of a socket that may be unanswered */

/* --- the spec --- */

enum kind {
	KIND_U8, KIND_U16, KIND_U32, KIND_S32, KIND_U64, KIND_BINARY, KIND_STRING, KIND_FLAG,
	KIND_NEST, KIND_PAD,
};

struct attr {
	const char *name;
	enum kind kind;
	int64_t min;
	int64_t max;
	int nested;			/* the set of what is in it */
	int needs;			/* makes no sense without this one, 0: none */
	int without;			/* nor with this one */
	bool multi;
	bool is_enum;
	bool rules_alone;		/* in no filter of a dump */
};

/* Bit n of @request: attribute n may be in a request. */
struct set {
	const struct attr *attrs;
	int n;
	uint64_t request;
};

struct command {
	const char *name;
	int set;
	uint64_t request;
	uint64_t reply;
	bool dump;
	bool event;
};

#include "tables.h"

#define COMMANDS	LEN(commands)

/* A number's bytes; 0 if it is none. */
static inline size_t width(enum kind kind)
{
	static const size_t widths[] = {
		[KIND_U8] = 1, [KIND_U16] = 2, [KIND_U32] = 4, [KIND_S32] = 4, [KIND_U64] = 8,
	};

	return kind <= KIND_U64 ? widths[kind] : 0;
}

/* --- the run: family.c --- */

/* Who asks: what may come back depends on it. */
struct asker {
	int family;			/* the netlink family's number */
	uint32_t netns_ino;
	bool reader;			/* may only read */
	struct {
		uint64_t sent, done, refused;
	} tally[COMMANDS];		/* [0]: of none that there is */
};

/* A request and what is known of its answer. */
struct ask {
	uint32_t seq;
	int cmd;			/* 0: none that there is */
	bool reads;			/* it changes nothing */
	bool refused;			/* it must not be done */
	bool may_be_short;		/* its header may not be whole */
	bool open;			/* an answer is to come */
};

struct socket {
	struct asker *who;
	int fd;
	bool waits;			/* for each answer */
	uint32_t seq;
	unsigned int sent;
	struct ask ask[ASKS];
};

/* A socket that hears the events of both groups. */
struct ears {
	const struct asker *who;
	int fd;
	uint32_t group[2];
	uint32_t heard[2];		/* the last one's number */
	uint64_t events;
};

void fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* --- chance.c --- */

void chance_seed(uint64_t seed);
/* In a child: not what its parent has from here on. */
void chance_in_child(void);
uint32_t any(void);
uint32_t below(uint32_t n);
bool one_in(uint32_t n);

/* --- messages: message.c, and their attributes: attr.c --- */

/* What is done wrong to one attribute of a message, or to all of it. */
enum wrong {
	WRONG_NOTHING,
	/* These are refused. */
	WRONG_LEN, WRONG_RANGE, WRONG_NESTED, WRONG_UNKNOWN, WRONG_FOREIGN, WRONG_BOUNDS,
	WRONG_COMMAND, WRONG_DUMP,
	WRONG_REFUSED = WRONG_DUMP,
	/* Of these nobody knows. */
	WRONG_TWICE, WRONG_ORDER, WRONG_FLAGS, WRONG_HEADER, WRONG_CUT, WRONG_FLIP, WRONG_SHORT,
	WRONGS,
};

/* A message that is being made. */
struct draft {
	char data[ROOM];
	size_t len;
	enum wrong wrong;
	int victim;			/* the attributes before the one that it is done to */
	bool done_wrong;
	bool filter;			/* of a dump */
};

/* Make a message of @who. */
struct ask make(struct draft *d, const struct asker *who, uint32_t seq);

/* Some of the attributes of a set, of those that belong together mostly both. */
void put_attrs(struct draft *d, int set, uint64_t which);
/* An attribute of a type above @n, which there is none of, with nests in it maybe. */
void put_unknown(struct draft *d, int n);

/* --- answer.c --- */

/* Take one part of what there is; false if there is nothing. */
bool take(struct socket *s);
/* Events, each with a higher number than the one before. */
void listen_in(struct ears *ears);

#endif

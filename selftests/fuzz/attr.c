// SPDX-License-Identifier: GPL-2.0
/* Attributes of a message: what is in them, and one that is wrong maybe. */
#include "family.h"

#define RULES_MANY	(TCP_KEEPALIVE_RULES_MAX + 6)

static void put(struct draft *d, const void *from, size_t n)
{
	memcpy(d->data + d->len, from, n);
	d->len += n;
}

static void put_random(struct draft *d, size_t n)
{
	while (n--)
		d->data[d->len++] = (char)any();
}

static size_t attr_begin(struct draft *d, int type)
{
	struct nlattr a = { .nla_type = (uint16_t)type };
	size_t at = d->len;

	put(d, &a, sizeof(a));
	return at;
}

static void attr_end(struct draft *d, size_t at)
{
	struct nlattr *a = (void *)(d->data + at);

	a->nla_len = (uint16_t)(d->len - at);
	while (d->len % NLA_ALIGNTO)
		d->data[d->len++] = 0;
}

/* --- values --- */

/* Can a value of its type be out of its range? */
static bool bounded(const struct attr *a)
{
	switch (a->kind) {
	case KIND_U8:
		return a->max < UINT8_MAX;
	case KIND_U32:
	case KIND_S32:
		return a->max < INT32_MAX || a->min > 0;
	default:
		return false;
	}
}

static int64_t number_for(const struct attr *a, bool bad)
{
	uint64_t span = (uint64_t)(a->max - a->min);

	if (bad) {
		if (a->min && one_in(2))
			return one_in(2) ? a->min - 1 : a->kind == KIND_S32 ? INT32_MIN : 0;
		return a->kind == KIND_U8 || one_in(2) ? a->max + 1 :
		       a->kind == KIND_S32 ? INT32_MAX : UINT32_MAX;
	}
	/* Small ones often, so that what one message makes another finds. */
	switch (below(6)) {
	default:
		return a->min + (int64_t)(below(4) % (span + 1));
	case 3:
		return a->max;
	case 4:
		return a->min + (int64_t)(below(100) % (span + 1));
	case 5:
		return a->min + (int64_t)(any() % (span + 1));
	}
}

/* @least: the number that it is not to be below, nor without the bits of. */
static int64_t put_number(struct draft *d, const struct attr *a, bool bad, int64_t least)
{
	int64_t v = number_for(a, bad) | (bad ? 0 : least);

	/* Little end first, as the machines are that this runs on. */
	put(d, &v, width(a->kind));
	return v;
}

static void put_address(struct draft *d, bool bad)
{
	static const size_t lens[] = { 0, 1, 3, 5, 12, 15, 17, 40 };
	static const uint8_t loopback[] = { 127, 0, 0, 1 }, six[16] = { [15] = 1 };

	if (bad)
		put_random(d, lens[below(LEN(lens))]);
	else if (one_in(2))
		put(d, loopback, sizeof(loopback));
	else if (one_in(2))
		put(d, six, sizeof(six));
	else
		put_random(d, one_in(2) ? 4 : 16);
}

static void put_path(struct draft *d, bool bad)
{
	static const char *const paths[] = {
		"/", "/", "", "/nowhere", "//", "/..", "/../..", "/cgroup.procs", "/a/b/c", ".",
	};
	const char *path = paths[below(LEN(paths))];
	size_t n = bad ? 1 + below(8000) : below(4095);

	if (!bad && !one_in(8)) {
		put(d, path, strlen(path) + 1);
		return;
	}
	memset(d->data + d->len, 'x', n);
	d->data[d->len] = '/';
	d->len += n;
	if (!bad)
		d->data[d->len++] = 0;
}

/* Its number, if it has one. */
static int64_t put_payload(struct draft *d, const struct attr *a, bool bad_len, bool bad_range,
			   int64_t least)
{
	switch (a->kind) {
	case KIND_BINARY:
		put_address(d, bad_len);
		break;
	case KIND_STRING:
		put_path(d, bad_len);
		break;
	case KIND_FLAG:
		put_random(d, bad_len ? 1 + below(8) : 0);
		break;
	case KIND_NEST:
		if (bad_len)
			put_random(d, 1 + below(NLA_HDRLEN - 1));
		else
			put_attrs(d, a->nested, sets[a->nested].request);
		break;
	default:
		if (!bad_len)
			return put_number(d, a, bad_range, least);
		put_random(d, (width(a->kind) + 1 + below(11)) % 12);
	}
	return 0;
}

/* --- attributes --- */

void put_unknown(struct draft *d, int n)
{
	int type = one_in(4) ? 0 : n + 1 + (int)below(200);
	size_t at = attr_begin(d, type | (one_in(2) ? NLA_F_NESTED : 0));

	if (one_in(2))
		put_random(d, below(16));
	else if (d->len < 2048)
		put_unknown(d, 1 + (int)below(3));
	attr_end(d, at);
}

/* An attribute of the set that a request may not have. */
static bool put_foreign(struct draft *d, int set, uint64_t which)
{
	int type = 1 + (int)below((uint32_t)sets[set].n);
	const struct attr *a = &sets[set].attrs[type];
	size_t at;

	if (which >> type & 1)
		return false;
	at = attr_begin(d, type | (a->kind == KIND_NEST ? NLA_F_NESTED : 0));
	if (a->kind == KIND_U64 || a->kind == KIND_NEST)
		put_random(d, 8);
	else
		put_payload(d, a, false, false, 0);
	attr_end(d, at);
	return true;
}

/* Is the attribute that comes now the one to do it to? */
static bool now_wrong(struct draft *d)
{
	if (d->wrong == WRONG_NOTHING || d->done_wrong || d->victim--)
		return false;
	d->done_wrong = true;
	return true;
}

/* Its number, if it has one. */
static int64_t put_attr(struct draft *d, int set, int type, uint64_t which, int64_t least)
{
	const struct attr *a = &sets[set].attrs[type];
	int flag = a->kind == KIND_NEST ? NLA_F_NESTED : 0;
	enum wrong how = now_wrong(d) ? d->wrong : WRONG_NOTHING;
	size_t at, len;
	int64_t v;

	if (how == WRONG_UNKNOWN)
		put_unknown(d, sets[set].n);
	if ((how == WRONG_FOREIGN && !put_foreign(d, set, which)) ||
	    (how == WRONG_RANGE && !bounded(a))) {
		/* The next one then. */
		d->done_wrong = false;
		d->victim = 0;
	}
	if (how == WRONG_NESTED)
		flag ^= NLA_F_NESTED;
	if (how == WRONG_FLAGS)
		flag |= NLA_F_NET_BYTEORDER;
	at = attr_begin(d, type | flag);
	v = put_payload(d, a, how == WRONG_LEN, how == WRONG_RANGE, least);
	attr_end(d, at);
	len = d->len - at;
	if (how == WRONG_TWICE && d->len + len < ROOM / 2)
		put(d, d->data + at, len);
	if (how == WRONG_BOUNDS)
		((struct nlattr *)(d->data + at))->nla_len =
			(uint16_t)(one_in(2) ? below(NLA_HDRLEN) : UINT16_MAX - below(64));
	return v;
}

static int how_often(const struct attr *a)
{
	if (!a->multi)
		return 1;
	return one_in(64) ? RULES_MANY - (int)below(12) : (int)below(5);
}

void put_attrs(struct draft *d, int set, uint64_t which)
{
	bool backwards = d->wrong == WRONG_ORDER;
	uint32_t rare = 1 + below(6);
	int64_t value[ATTRS] = {};
	uint64_t had = 0;
	int i, n;

	for (i = 1; i <= sets[set].n; i++) {
		int type = backwards ? sets[set].n + 1 - i : i;
		const struct attr *a = &sets[set].attrs[type];
		bool wanted = one_in(rare);

		if (!one_in(16) && !backwards) {
			if (a->needs)
				wanted = had >> a->needs & 1;
			else if (a->without && had >> a->without & 1)
				wanted = false;
		}
		if (!(which >> type & 1) || (d->filter && a->rules_alone) || !wanted)
			continue;
		had |= 1ULL << type;
		/* With room for what a nest may grow to. */
		for (n = how_often(a); n && d->len < ROOM - 32768; n--)
			value[type] = put_attr(d, set, type, which, value[a->needs]);
	}
}

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ATTR_H
#define ATTR_H

/*
 * Reading attributes, without a call for each as libnl has it: a dump has a
 * great many. No length is taken on trust, and a number may be of another size
 * than it is today.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <linux/netlink.h>

static inline int attr_type(const struct nlattr *attr)
{
	return attr->nla_type & NLA_TYPE_MASK;
}

static inline int attr_len(const struct nlattr *attr)
{
	return attr->nla_len - NLA_HDRLEN;
}

static inline const void *attr_data(const struct nlattr *attr)
{
	return (const char *)attr + NLA_HDRLEN;
}

static inline bool attr_ok(const struct nlattr *attr, int len)
{
	return len >= NLA_HDRLEN && attr->nla_len >= NLA_HDRLEN &&
	       attr->nla_len <= len;
}

static inline const struct nlattr *attr_next(const struct nlattr *attr,
					     int *len)
{
	int size = NLA_ALIGN(attr->nla_len);

	*len -= size;
	return (const struct nlattr *)((const char *)attr + size);
}

#define attr_each(attr, attrs, len, left)				\
	for (attr = (attrs), left = (len); attr_ok(attr, left);		\
	     attr = attr_next(attr, &(left)))

/*
 * Enter attributes into a table of @max + 1, which is cleared first, by their
 * types; the last one counts. True if there are types beyond @max.
 */
static inline bool attr_table(const struct nlattr **tb, int max,
			      const struct nlattr *attrs, int len)
{
	const struct nlattr *attr;
	int left, beyond = 0;

	memset(tb, 0, ((size_t)max + 1) * sizeof(*tb));
	attr_each(attr, attrs, len, left) {
		if (attr_type(attr) <= max)
			tb[attr_type(attr)] = attr;
		else
			beyond = 1;
	}
	return beyond;
}

/* False if there is no such attribute, or no number in it. */
static inline bool attr_uint(const struct nlattr *attr, uint64_t *value)
{
	uint32_t u32;
	uint16_t u16;

	switch (attr ? attr_len(attr) : 0) {
	case sizeof(u32):
		memcpy(&u32, attr_data(attr), sizeof(u32));
		*value = u32;
		return true;
	case sizeof(uint8_t):
		*value = *(const uint8_t *)attr_data(attr);
		return true;
	case sizeof(u16):
		memcpy(&u16, attr_data(attr), sizeof(u16));
		*value = u16;
		return true;
	case sizeof(*value):
		memcpy(value, attr_data(attr), sizeof(*value));
		return true;
	default:
		return false;
	}
}

static inline bool attr_int(const struct nlattr *attr, int64_t *value)
{
	uint64_t v;

	if (!attr_uint(attr, &v))
		return false;
	*value = attr_len(attr) == sizeof(int32_t) ? (int32_t)v : (int64_t)v;
	return true;
}

static inline bool attr_is_str(const struct nlattr *attr, const char *s)
{
	return attr && attr_len(attr) == (int)strlen(s) + 1 &&
	       !memcmp(attr_data(attr), s, strlen(s) + 1);
}

#endif /* ATTR_H */

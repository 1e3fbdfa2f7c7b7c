// SPDX-License-Identifier: GPL-2.0
/*
 * Addresses as text. inet_ntop() goes by way of sprintf(), number by number,
 * which would be half of what a connection costs.
 */
#include <stdbool.h>
#include <string.h>

#include "addr.h"
#include "attr.h"
#include "kactl.h"
#include "out.h"

#define V4_LEN		4
#define V6_LEN		16
#define GROUPS		8	/* of an IPv6 address */

/* "inet", "inet6", or NULL if it is neither. */
const char *addr_family(const struct nlattr *addr)
{
	switch (addr ? attr_len(addr) : 0) {
	case V4_LEN:
		return "inet";
	case V6_LEN:
		return "inet6";
	default:
		return NULL;
	}
}

static char *put_byte(char *to, unsigned int value)
{
	if (value >= 100) {
		*to++ = (char)('0' + value / 100);
		value %= 100;
		*to++ = (char)('0' + value / 10);
	} else if (value >= 10) {
		*to++ = (char)('0' + value / 10);
	}
	*to++ = (char)('0' + value % 10);
	return to;
}

static char *put_port(char *to, unsigned int value)
{
	if (value < 100)
		return put_byte(to, value);
	to = put_port(to, value / 100);
	*to++ = (char)('0' + value / 10 % 10);
	*to++ = (char)('0' + value % 10);
	return to;
}

static char *put_v4(char *to, const uint8_t *addr)
{
	int i;

	for (i = 0; i < V4_LEN; i++) {
		if (i)
			*to++ = '.';
		to = put_byte(to, addr[i]);
	}
	return to;
}

static char *put_group(char *to, unsigned int group)
{
	int shift = 12;

	while (shift && !(group >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*to++ = "0123456789abcdef"[group >> shift & 0xf];
	return to;
}

/* Where the longest run of two or more zero groups begins, and its length. */
static int longest_run(const unsigned int *group, int *len)
{
	int i, n = 0, at = -1;

	*len = 1;
	for (i = 0; i < GROUPS; i++) {
		n = group[i] ? 0 : n + 1;
		if (n > *len) {
			*len = n;
			at = i + 1 - n;
		}
	}
	return at;
}

/* As RFC 5952 has it. */
static char *put_v6(char *to, const uint8_t *addr)
{
	static const uint8_t mapped[V6_LEN - V4_LEN] = { [10] = 0xff, 0xff };
	unsigned int group[GROUPS];
	int i, run, len;

	if (!memcmp(addr, mapped, sizeof(mapped))) {
		memcpy(to, "::ffff:", 7);
		return put_v4(to + 7, addr + sizeof(mapped));
	}
	for (i = 0; i < GROUPS; i++)
		group[i] = (unsigned int)addr[2 * i] << 8 | addr[2 * i + 1];
	run = longest_run(group, &len);
	for (i = 0; i < GROUPS; i++) {
		if (i == run) {
			*to++ = ':';
			*to++ = ':';
			i += len - 1;
			continue;
		}
		if (i && i != run + len)
			*to++ = ':';
		to = put_group(to, group[i]);
	}
	return to;
}

/* @text has room for ADDR_TEXT; false if it is no address. */
bool addr_text(const struct nlattr *addr, char *text)
{
	switch (addr ? attr_len(addr) : 0) {
	case V4_LEN:
		*put_v4(text, attr_data(addr)) = '\0';
		return true;
	case V6_LEN:
		*put_v6(text, attr_data(addr)) = '\0';
		return true;
	default:
		return false;
	}
}

void addr_out(const char *name, const struct nlattr *addr)
{
	char text[ADDR_TEXT];

	if (addr_text(addr, text))
		out_name(name, text);
	else
		out_null(name);
}

/* ADDRESS:PORT; @text has room for ADDR_TEXT. */
void addr_port(const struct nlattr *addr, const struct nlattr *port, char *text)
{
	uint64_t n = 0;
	char *p = text;

	switch (addr ? attr_len(addr) : 0) {
	case V4_LEN:
		p = put_v4(p, attr_data(addr));
		break;
	case V6_LEN:
		*p++ = '[';
		p = put_v6(p, attr_data(addr));
		*p++ = ']';
		break;
	default:
		*p++ = '?';
	}
	*p++ = ':';
	attr_uint(port, &n);
	*put_port(p, (unsigned int)n & UINT16_MAX) = '\0';
}

/* The same, in a row of text. */
void addr_word(const struct nlattr *addr, const struct nlattr *port)
{
	char text[ADDR_TEXT];

	addr_port(addr, port, text);
	out_word(text);
}

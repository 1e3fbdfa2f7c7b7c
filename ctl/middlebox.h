/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIDDLEBOX_H
#define MIDDLEBOX_H

#include <stdint.h>

#include "kactl.h"

enum middlebox_layer {
	MIDDLEBOX_ANY,		/* of one that is but a number of seconds */
	MIDDLEBOX_TCP,		/* connections go through it */
	MIDDLEBOX_HTTP,		/* it has connections of its own to the server */
};

/**
 * struct middlebox - what stands in between and ends connections that are idle
 * @name: what --behind calls it; NULL if it is but a number of seconds
 * @what: what it is
 * @layer: on which layer it works
 * @idle: seconds of idleness that it lets be
 * @then: what it does after them
 * @source: URL of whoever says so
 * @checked: when that was looked up, as in 2026-11-24
 */
struct middlebox {
	const char *name;
	const char *what;
	enum middlebox_layer layer;
	int64_t idle;
	const char *then;
	const char *source;
	const char *checked;
};

const struct middlebox *middlebox_find(const char *name);
const struct middlebox *middlebox_next(const struct middlebox *box);
enum status middlebox_parse(const char *option, const char *word,
			    struct middlebox *box);

#endif /* MIDDLEBOX_H */

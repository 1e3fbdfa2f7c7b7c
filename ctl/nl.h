/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NL_H
#define NL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netlink/attr.h>

#include "kactl.h"

struct nl_msg;

#define SAID_MAX	32

/**
 * struct request - a request, and which words of the user each part is
 * @msg: the message
 * @too_long: an attribute found no room
 * @n: how many attributes were put
 * @said: where in the message an attribute begins, what it is called and what
 *	the user gave for it; the kernel names an attribute by its offset
 */
struct request {
	struct nl_msg *msg;
	bool too_long;
	unsigned int n;
	struct {
		uint32_t offset;
		const char *name;
		const char *word;
	} said[SAID_MAX];
};

/* Called for each message of a reply, with its attributes. */
typedef enum status (*reply_fn)(struct nlattr *attrs, int len, void *arg);

enum status ka_connect(bool load);
void ka_disconnect(void);

enum status request_init(struct request *req, uint8_t cmd);
void request_put(struct request *req, int attr, const void *data, size_t len,
		 const char *name, const char *word);
enum status request_send(struct request *req, reply_fn reply, void *arg);

#endif /* NL_H */

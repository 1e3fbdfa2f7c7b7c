/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NL_H
#define NL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kactl.h"

struct nl_msg;
struct nlattr;

/* More than the longest path of a cgroup takes. */
#define REQUEST_WITH_PATH	8192

/**
 * struct said - what the user said for an attribute
 * @offset: where in the message it begins; the kernel names an attribute by that
 * @end: and where it ends
 * @line: of the file that the user said it in, or 0
 * @name: what it is called, or NULL if it has no name of its own
 * @word: what the user gave for it
 */
struct said {
	uint32_t offset;
	uint32_t end;
	unsigned int line;
	const char *name;
	const char *word;
};

/**
 * struct request - a request, and which words of the user each part is
 * @msg: the message
 * @too_long: what found no room, or NULL
 * @n: how many attributes were put
 * @said: of each
 */
struct request {
	struct nl_msg *msg;
	const char *too_long;
	size_t n;
	struct said *said;
};

/*
 * Called for each message of a reply, with its attributes; what it returns, but
 * for ST_DONE, ends the reply.
 */
typedef enum status (*reply_fn)(struct nlattr *attrs, int len, void *arg);

/* Called for each event, likewise. */
typedef enum status (*event_fn)(uint8_t cmd, struct nlattr *attrs, int len,
				void *arg);

enum status ka_connect(bool load);
void ka_disconnect(void);
bool ka_present(void);

enum status request_init(struct request *req, uint8_t cmd);
enum status request_init_size(struct request *req, uint8_t cmd, size_t size);
void request_dump(struct request *req);
void request_put(struct request *req, int attr, const void *data, size_t len,
		 const char *name, const char *word);
void request_flag(struct request *req, int attr, const char *name);
struct nlattr *request_nest(struct request *req, int attr);
void request_nest_end(struct request *req, struct nlattr *nest);
enum status request_send(struct request *req, reply_fn reply, void *arg);

enum status ka_listen(const char *const *groups, int *fd);
enum status ka_hear(int fd, event_fn event, void *arg, bool *overrun);

#endif /* NL_H */

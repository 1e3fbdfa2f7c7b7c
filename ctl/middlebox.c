// SPDX-License-Identifier: GPL-2.0
/*
 * Idle limits of what stands between client and server: middlebox.list, which
 * the build makes a table of.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "kactl.h"
#include "middlebox.h"
#include "parse.h"

#define NAMES_MAX	512	/* all names with commas, for a message */
#define IDLE_MAX	(10 * 366 * 24 * 3600)	/* seconds; nothing waits for ten years */

static const struct middlebox boxes[] = {
#include "middlebox.inc"
};

/* The one of that name, or NULL. */
const struct middlebox *middlebox_find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(boxes); i++)
		if (!strcmp(boxes[i].name, name))
			return &boxes[i];
	return NULL;
}

/* The one after @box, the first after NULL; NULL after the last. */
const struct middlebox *middlebox_next(const struct middlebox *box)
{
	box = box ? box + 1 : boxes;
	return box < boxes + ARRAY_SIZE(boxes) ? box : NULL;
}

static enum status unknown(const char *option, const char *word)
{
	const struct middlebox *box = NULL;
	char names[NAMES_MAX] = "";
	size_t used = 0;

	while ((box = middlebox_next(box)) && used < sizeof(names))
		used += (size_t)snprintf(names + used, sizeof(names) - used,
					 ", %s", box->name);
	return fail(ST_USAGE, "%s \"%s\": neither a number of seconds nor one of %s",
		    option, word, names + strlen(", "));
}

/* Take what follows @option: a name of the list, or seconds. */
enum status middlebox_parse(const char *option, const char *word,
			    struct middlebox *box)
{
	const struct middlebox *found = middlebox_find(word);

	if (!found && !isdigit((unsigned char)*word))
		return unknown(option, word);
	if (found) {
		*box = *found;
		return ST_DONE;
	}
	*box = (struct middlebox){ .layer = MIDDLEBOX_ANY };
	return parse_count(option, word, IDLE_MAX, &box->idle);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Which of the two formats a client wants, by its Accept header: RFC 9110 12.5.1.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "accept.h"

/* How well a range of the header suits a type: 0 not at all, 3 by its name. */
static int suits(const char *range, size_t len, const char *type)
{
	const char *slash = strchr(type, '/');
	size_t family = (size_t)(slash - type) + 1;

	if (len == strlen(type) && !strncasecmp(range, type, len))
		return 3;
	if (len == family + 1 && !strncasecmp(range, type, family) &&
	    range[family] == '*')
		return 2;
	return len == 3 && !strncmp(range, "*/*", 3);
}

/* The weight that parameters give, 0 to 1: 1 if they say nothing, or nonsense. */
static double weight(const char *params, const char *end)
{
	const char *p = params;
	double q;

	while ((p = memchr(p, ';', (size_t)(end - p)))) {
		p++;
		p += strspn(p, " \t");
		if (end - p > 2 && (*p == 'q' || *p == 'Q') && p[1] == '=') {
			q = strtod(p + 2, NULL);
			return q >= 0 && q <= 1 ? q : 1;
		}
	}
	return 1;
}

/* The weight of a type, by what suits it best; 0 if the header has it not. */
static double weight_of(const char *header, const char *type)
{
	const char *p = header, *end, *params;
	double best = 0;
	int suited = 0, how;

	for (; *p; p = *end ? end + 1 : end) {
		p += strspn(p, " \t");
		end = p + strcspn(p, ",");
		params = p + strcspn(p, " \t;,");
		how = suits(p, (size_t)(params - p), type);
		/* There may be several versions of one. */
		if (how > suited || (how == suited && how &&
				     weight(params, end) > best)) {
			suited = how;
			best = weight(params, end);
		}
	}
	return best;
}

/* The format for a header, which is NULL where there is none. */
enum metrics_format accept_format(const char *header)
{
	if (!header || weight_of(header, "text/plain") <=
		       weight_of(header, "application/openmetrics-text"))
		return METRICS_OPEN;
	return METRICS_TEXT;
}

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef PARSE_H
#define PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "kactl.h"

/* The words not yet read; ends with NULL, as argv does. */
struct args {
	char **word;
};

bool args_take(struct args *a, const char *keyword);
enum status args_value(struct args *a, const char *name, const char **value);
enum status args_once(struct args *a, const char *name, const char **value);
enum status args_file(struct args *a, const char **path);
enum status args_end(const struct args *a);
enum status args_unknown(const struct args *a);

enum status parse_int(const char *name, const char *word,
		      int64_t min, int64_t max, int64_t *value);
enum status parse_narrow(const char *name, const char *word,
			 int64_t min, int64_t max, int64_t *value);
enum status parse_range(const char *name, const char *word, int64_t max,
			int64_t *from, int64_t *to);
enum status parse_span(const char *name, const char *word, int64_t min,
		       int64_t max, int64_t *from, int64_t *to, bool *span);
enum status parse_bits(const char *name, const char *word, uint32_t *value,
		       uint32_t *mask);
enum status parse_count(const char *name, const char *word, int64_t max,
			int64_t *value);
enum status parse_switch(const char *name, const char *word, bool *value);
enum status parse_seconds(const char *name, const char *word, double min,
			  double max, double *value);

#endif /* PARSE_H */

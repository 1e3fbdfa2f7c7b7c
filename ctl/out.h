/* SPDX-License-Identifier: GPL-2.0 */
#ifndef OUT_H
#define OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

#include "kactl.h"

struct nlattr;

void out_text(const char *fmt, ...) __printf(1, 2);
void out_bytes(const char *text, size_t len);

/*
 * One set of calls for text and JSON: a document is objects, an object is
 * named values. A gloss follows the value in text alone; it may be NULL.
 */
void out_lines(void);
void out_rows(void);
void out_object(void);
void out_object_end(void);
void out_null(const char *name);
void out_str(const char *name, const char *value);
void out_name(const char *name, const char *value);
void out_int(const char *name, int64_t value, const char *gloss);
void out_uint(const char *name, uint64_t value, const char *gloss);
void out_milli(const char *name, int64_t thousandths, const char *gloss);
void out_switch(const char *name, uint64_t value);
void out_nest(const char *name);
void out_nest_end(void);
void out_unknown(const struct nlattr *attrs, int len, int known);

/* For text in rows alone, and for JSON alone. */
void out_word(const char *value);
void out_array(const char *name);
void out_array_end(void);
void out_item(const char *value);
void out_pair(const char *name, uint64_t a, uint64_t b);

size_t out_char(const char *s, const char *end, wchar_t *wc);
bool out_is_document(void);
bool out_failed(void);
enum status out_flush(void);
enum status out_end(enum status status);

#endif /* OUT_H */

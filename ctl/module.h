/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MODULE_H
#define MODULE_H

#include <stddef.h>

#include "kactl.h"

enum status module_absent(void);
enum status module_load(void);
enum status module_blocked(void);
void module_lacks(char *text, size_t size);

#endif /* MODULE_H */

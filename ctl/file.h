/* SPDX-License-Identifier: GPL-2.0 */
#ifndef FILE_H
#define FILE_H

#include <stddef.h>

#include "kactl.h"

enum status file_replace(const char *path, const char *text, size_t len);

#endif /* FILE_H */

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NETNS_H
#define NETNS_H

#include <stdbool.h>
#include <stdint.h>

#include "kactl.h"

enum status netns_enter(const char *which);
enum status netns_each(bool change, enum status (*fn)(void *arg), void *arg);
const char *netns_name(uint32_t ino);
void netns_out(uint32_t ino);

#endif /* NETNS_H */

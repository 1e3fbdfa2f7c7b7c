/* SPDX-License-Identifier: GPL-2.0 */
#ifndef RULES_H
#define RULES_H

#include "kactl.h"
#include "nl.h"

enum status rules_read(reply_fn reply, void *arg);
enum status rules_show_now(void);

#endif /* RULES_H */

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_HOOK_H
#define KA_HOOK_H

#include <linux/types.h>

void ka_hook_setsockopt(bool need);

int ka_hook_init(void);
void ka_hook_exit(void);

#endif

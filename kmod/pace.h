/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_PACE_H
#define KA_PACE_H

#include <linux/types.h>

struct sock;

bool ka_pace_timer(struct sock *sk, unsigned long delay);
void ka_pace(struct sock *sk, unsigned long delay);
void ka_pace_stop(void);

#endif

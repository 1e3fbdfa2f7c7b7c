/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_HOLD_H
#define KA_HOLD_H

struct sock;

void ka_hold_add(struct sock *sk);
int ka_hold_init(void);
void ka_hold_stop(void);
void ka_hold_exit(void);

#endif

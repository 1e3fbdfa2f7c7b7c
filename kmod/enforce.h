/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_ENFORCE_H
#define KA_ENFORCE_H

#include <linux/types.h>

struct ka_net;
struct sock;

void ka_enforce_new(struct ka_net *kn, struct sock *sk, bool passive);

#endif

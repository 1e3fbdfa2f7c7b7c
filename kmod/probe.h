/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_PROBE_H
#define KA_PROBE_H

#include <linux/types.h>

struct ka_conn;
struct ka_net;
struct sock;

void ka_probe_sent(struct ka_net *kn, struct sock *sk, unsigned int built,
		   int ret);
void ka_probe_reset(struct ka_net *kn, struct sock *sk);
void ka_probe_dead(struct ka_net *kn, struct sock *sk, bool unreachable);
void ka_probe_closed(struct ka_net *kn, struct sock *sk);
void ka_probe_abandon(struct ka_conn *c);

bool ka_probe_maybe_answered(const struct ka_conn *c);
bool ka_probe_heeded(const struct ka_net *kn);
bool ka_probe_look(struct ka_conn *c);
void ka_probe_tick(struct ka_conn *c);

#endif

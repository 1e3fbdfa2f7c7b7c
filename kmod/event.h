/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_EVENT_H
#define KA_EVENT_H

#include <linux/types.h>
#include <net/sock.h>

#include <linux/tcp_keepalive.h>

struct ka_net;

bool ka_event_heard(const struct ka_net *kn);
void ka_event_add(struct ka_net *kn, const struct sock *sk,
		  enum tcp_keepalive_event what, u32 lost, u32 idle_ms);
void ka_event_flush(void);
void ka_event_start(void);
void ka_event_stop(void);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_WATCH_H
#define KA_WATCH_H

struct ka_conn;
struct ka_net;

void ka_watch_add(struct ka_conn *c);
void ka_watch_remove(struct ka_conn *c);
void ka_watch_pass(struct ka_net *kn);
void ka_watch_hurry(void);

void ka_watch_init(struct ka_net *kn);
void ka_watch_exit(struct ka_net *kn);
void ka_watch_stop(void);

#endif

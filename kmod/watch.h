/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_WATCH_H
#define KA_WATCH_H

struct ka_conn;

void ka_watch_add(struct ka_conn *c);
void ka_watch_remove(struct ka_conn *c);
void ka_watch_flush(void);
void ka_watch_exit(void);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_POOL_H
#define KA_POOL_H

/* Size of every object; on most machines kmalloc has a cache of just that. */
#define KA_POOL_SIZE	192

void *ka_pool_get(void);
void ka_pool_put(void *object);
void ka_pool_init(void);
void ka_pool_exit(void);

#endif

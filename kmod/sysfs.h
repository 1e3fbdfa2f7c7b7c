/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_SYSFS_H
#define KA_SYSFS_H

int ka_sysfs_init(void);
void ka_sysfs_exit(void);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef PROC_H
#define PROC_H

#include <stdint.h>

#include "kactl.h"

enum status proc_read(void);
const char *proc_comm(uint64_t inode);
void proc_out(const char *name, uint64_t inode);

#endif /* PROC_H */

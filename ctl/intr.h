/* SPDX-License-Identifier: GPL-2.0 */
#ifndef INTR_H
#define INTR_H

#include <stdbool.h>

void intr_catch(void);
int intr_caught(void);
void intr_forget(void);
void intr_die(void);

#endif /* INTR_H */

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LISTEN_H
#define LISTEN_H

#include "kactl.h"

enum status listen_open(const char *option, const char *word, int *fd);
enum status listen_serve(int fd);

#endif /* LISTEN_H */

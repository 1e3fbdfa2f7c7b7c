/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ACCEPT_H
#define ACCEPT_H

#include "metrics.h"

enum metrics_format accept_format(const char *header);

#endif /* ACCEPT_H */

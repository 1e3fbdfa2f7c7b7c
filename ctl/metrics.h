/* SPDX-License-Identifier: GPL-2.0 */
#ifndef METRICS_H
#define METRICS_H

#include <stdbool.h>
#include <stddef.h>

#include "kactl.h"

/**
 * enum metrics_format - how metrics are written
 * @METRICS_OPEN: OpenMetrics 1.0
 * @METRICS_TEXT: Prometheus' own text format 0.0.4, which node_exporter reads
 */
enum metrics_format { METRICS_OPEN, METRICS_TEXT };

enum status metrics_make(enum metrics_format format, char **text, size_t *len);

#endif /* METRICS_H */

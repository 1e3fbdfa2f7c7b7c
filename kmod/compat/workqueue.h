/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_COMPAT_WORKQUEUE_H
#define KA_COMPAT_WORKQUEUE_H

#include <linux/workqueue.h>

/* The older name warns where there is the newer one. */
#ifndef KA_HAVE_SYSTEM_DFL_WQ
#define system_dfl_wq system_unbound_wq
#endif

#endif

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_COMPAT_CGROUP_H
#define KA_COMPAT_CGROUP_H

#include <linux/cgroup.h>

/* Newer kernels look a path up from the root that current sees. */
#ifdef KA_HAVE_CGROUP_PATH_OF_NS
#define ka_cgroup_get_from_path cgroup_get_from_path
#else
#include <linux/err.h>
#include <linux/limits.h>
#include <linux/nsproxy.h>
#include <linux/slab.h>
#include <linux/string.h>

static inline struct cgroup *ka_cgroup_get_from_path(const char *path)
{
	struct cgroup *root = current->nsproxy->cgroup_ns->root_cset->dfl_cgrp;
	struct cgroup *found = cgroup_get_from_path("/");
	char *whole;
	int len;

	if (IS_ERR(found))
		return found;
	cgroup_put(found);
	/* Stable kernels do as newer ones, from 5.15.75 on; no header tells. */
	if (found == root)
		return cgroup_get_from_path(path);
	whole = kmalloc(2 * PATH_MAX, GFP_KERNEL_ACCOUNT);
	if (!whole)
		return ERR_PTR(-ENOMEM);
	len = cgroup_path(root, whole, PATH_MAX);
	/* The root of all is a slash, the others end without one. */
	if (len == 1)
		len = 0;
	found = ERR_PTR(-ENAMETOOLONG);
	if (len >= 0 && len < PATH_MAX) {
		/* There the first slash may be left out. */
		snprintf(whole + len, 2 * PATH_MAX - len, "/%s",
			 path + (*path == '/'));
		found = cgroup_get_from_path(whole);
	}
	kfree(whole);
	return found;
}
#endif

#endif

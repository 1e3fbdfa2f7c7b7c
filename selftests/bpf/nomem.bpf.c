// SPDX-License-Identifier: GPL-2.0
/*
 * No memory for the module's hooks: what is asked for without leave to wait, of
 * the size of their objects, is refused, to everybody. See nomem.py.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#define OBJECT_SIZE		192
#define GFP_DIRECT_RECLAIM	0x400
#define ENOMEM			12

struct kmem_cache {
	unsigned int	object_size;
} __attribute__((preserve_access_index));

SEC("fmod_ret/should_failslab")
int BPF_PROG(nomem, struct kmem_cache *cache, unsigned int flags, int ret)
{
	if (ret || flags & GFP_DIRECT_RECLAIM ||
	    cache->object_size != OBJECT_SIZE)
		return ret;
	return -ENOMEM;
}

char _license[] SEC("license") = "GPL";

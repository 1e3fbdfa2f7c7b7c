// SPDX-License-Identifier: GPL-2.0
/*
 * Two sockets in a map: what arrives at one leaves through the other, as a proxy
 * in the kernel does, or what one sends is at once where the other receives.
 * See coexist.py.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PORT	7000	/* the peer's, of the socket that is first in its map */

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} proxied SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} short_cut SEC(".maps");

SEC("sk_skb/stream_verdict")
int redirect_skb(struct __sk_buff *skb)
{
	return bpf_sk_redirect_map(skb, &proxied,
				   skb->remote_port == bpf_htonl(PORT), 0);
}

SEC("sk_msg")
int redirect_msg(struct sk_msg_md *msg)
{
	return bpf_msg_redirect_map(msg, &short_cut,
				    msg->remote_port == bpf_htonl(PORT),
				    BPF_F_INGRESS);
}

char LICENSE[] SEC("license") = "GPL";

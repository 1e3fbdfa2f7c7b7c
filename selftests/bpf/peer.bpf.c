// SPDX-License-Identifier: GPL-2.0
/*
 * What one would use without the module, to be measured beside it: keepalive for
 * new connections and for those that exist, and a count of probes.
 */
#include <linux/bpf.h>
#include <linux/snmp.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define SOL_SOCKET	1
#define SO_KEEPALIVE	9

#define TCP_LISTEN	10

/* Of the kernel's own only what is used; where it is, its BTF says. */
#pragma clang attribute push(__attribute__((preserve_access_index)), \
			     apply_to = record)
struct sock_common {
	unsigned char	skc_state;
};

struct bpf_iter__tcp {
	struct sock_common	*sk_common;
};

#pragma clang attribute pop

struct sock;

SEC("sockops")
int established(struct bpf_sock_ops *ctx)
{
	int on = 1;

	if (ctx->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB ||
	    ctx->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		bpf_setsockopt(ctx, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	return 1;
}

static int keepalive(struct sock_common *skc, int on)
{
	struct tcp_sock *tp;

	if (!skc || skc->skc_state == TCP_LISTEN)
		return 0;
	tp = bpf_skc_to_tcp_sock(skc);
	if (tp)
		bpf_setsockopt(tp, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	return 0;
}

SEC("iter/tcp")
int turn_on(struct bpf_iter__tcp *ctx)
{
	return keepalive(ctx->sk_common, 1);
}

SEC("iter/tcp")
int turn_off(struct bpf_iter__tcp *ctx)
{
	return keepalive(ctx->sk_common, 0);
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} probes SEC(".maps");

SEC("fentry/tcp_write_wakeup")
int BPF_PROG(probe_sent, struct sock *sk, int mib)
{
	__u32 key = 0;
	__u64 *n;

	if (mib == LINUX_MIB_TCPKEEPALIVE) {
		n = bpf_map_lookup_elem(&probes, &key);
		if (n)
			(*n)++;
	}
	return 0;
}

char _license[] SEC("license") = "GPL";

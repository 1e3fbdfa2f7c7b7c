// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of the keepalive probes of one network namespace, found out by
 * other means than the module's, which looks at no segment that is received:
 *
 * sent		tcp_write_wakeup() within tcp_keepalive_timer() raised segs_out
 * answered	a segment came that passes TCP's own tests of its numbers
 * reset	tcp_receive_reset, with no such segment just before
 * lost		the next probe, or the end with an error within the timer
 * abandoned	any other end
 *
 * Loaded, attached and read with bpftool; see oracle.py.
 */
#include <stddef.h>

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#define TCP_CLOSE	7

#define FLAG_SYN	0x02
#define FLAG_RST	0x04
#define FLAG_ACK	0x10

/* Of the kernel's own only what is used; where it is, its BTF says. */
#pragma clang attribute push(__attribute__((preserve_access_index)), \
			     apply_to = record)
struct ns_common {
	unsigned int	inum;
};

struct net {
	struct ns_common	ns;
};

struct sock_common {
	unsigned short	skc_family;
	struct {
		struct net	*net;
	} skc_net;
};

struct sock {
	struct sock_common	__sk_common;
	int			sk_err;
};

struct inet_sock {
	__be16	inet_sport;
};

struct tcp_sock {
	__u32	segs_out;
	__u32	rcv_nxt;
	__u32	rcv_wup;
	__u32	rcv_wnd;
	__u32	snd_una;
	__u32	snd_nxt;
};

struct tcp_skb_cb {
	__u32	seq;
	__u32	end_seq;
	__u8	tcp_flags;
	__u32	ack_seq;
};

struct sk_buff {
	char	cb[48];
};

#pragma clang attribute pop

/* Within a namespace whose connections all go out, this names one. */
struct id {
	__u16	family;
	__u16	port;		/* the local one, as on the wire */
};

struct conn {
	__u32	sent;
	__u32	answered;
	__u32	lost;
	__u32	reset;
	__u32	abandoned;
	__u32	failed;
	__u32	pending;
	__u32	conns_dead;
	__u32	conns_reset;
	__u32	conns_recovered;
	__u32	in_row;		/* lost since the peer was last heard */
	__u32	segs_out;	/* when the timer set out to send */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct id);
	__type(value, struct conn);
} conns SEC(".maps");

/* The inode number of the namespace; the test writes it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} netns SEC(".maps");

/* Is this CPU in the keepalive timer? No other socket is seen to meanwhile. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} in_timer SEC(".maps");

static __u32 *slot(void *map)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(map, &zero);
}

static int within_timer(void)
{
	__u32 *in = slot(&in_timer);

	return in && *in;
}

static struct conn *find(struct sock *sk, int make)
{
	struct inet_sock *inet = (struct inet_sock *)sk;
	__u32 *wanted = slot(&netns);
	struct conn new = {}, *c;
	struct id id;

	if (!wanted ||
	    BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum) != *wanted)
		return NULL;
	id.family = BPF_CORE_READ(sk, __sk_common.skc_family);
	id.port = BPF_CORE_READ(inet, inet_sport);
	c = bpf_map_lookup_elem(&conns, &id);
	if (c || !make)
		return c;
	bpf_map_update_elem(&conns, &id, &new, BPF_NOEXIST);
	return bpf_map_lookup_elem(&conns, &id);
}

static int set_in_timer(__u32 value)
{
	__u32 *in = slot(&in_timer);

	if (in)
		*in = value;
	return 0;
}

SEC("fentry/tcp_keepalive_timer")
int timer_entry(void *ctx)
{
	return set_in_timer(1);
}

SEC("fexit/tcp_keepalive_timer")
int timer_exit(void *ctx)
{
	return set_in_timer(0);
}

static __u32 segs_out(struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	return BPF_CORE_READ(tp, segs_out);
}

SEC("fentry/tcp_write_wakeup")
int BPF_PROG(wakeup_entry, struct sock *sk)
{
	struct conn *c = within_timer() ? find(sk, 1) : NULL;

	if (c)
		c->segs_out = segs_out(sk);
	return 0;
}

SEC("fexit/tcp_write_wakeup")
int BPF_PROG(wakeup_exit, struct sock *sk, int mib, int ret)
{
	struct conn *c = within_timer() ? find(sk, 0) : NULL;
	__u32 n;

	if (!c)
		return 0;
	n = segs_out(sk) - c->segs_out;
	if (!n)
		return 0;
	if (c->pending) {
		c->lost += c->pending;
		c->in_row++;
	}
	c->pending = ret > 0 ? 0 : n;
	c->failed += ret > 0 ? n : 0;
	c->sent += n;
	return 0;
}

static int before(__u32 a, __u32 b)
{
	return (__s32)(a - b) < 0;
}

/* RFC 9293, 3.10.7.4: the first, fourth and fifth check. */
static int acceptable(struct sock *sk, struct sk_buff *skb)
{
	struct tcp_skb_cb *cb = (struct tcp_skb_cb *)skb->cb;
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	__u32 end = BPF_CORE_READ(cb, end_seq);
	__u32 ack = BPF_CORE_READ(cb, ack_seq);
	__u32 wup = BPF_CORE_READ(tp, rcv_wup);

	if ((BPF_CORE_READ(cb, tcp_flags) & (FLAG_SYN | FLAG_RST | FLAG_ACK)) !=
	    FLAG_ACK)
		return 0;
	if (before(end, wup) ||
	    before(wup + BPF_CORE_READ(tp, rcv_wnd), BPF_CORE_READ(cb, seq)))
		return 0;
	if (before(BPF_CORE_READ(tp, snd_nxt), ack))
		return 0;
	/* An old acknowledgment says nothing; what it brings along does. */
	return !before(ack, BPF_CORE_READ(tp, snd_una)) ||
	       before(BPF_CORE_READ(tp, rcv_nxt), end);
}

static int received(struct sock *sk, struct sk_buff *skb)
{
	struct conn *c = find(sk, 0);

	if (!c || !(c->pending || c->in_row) || !acceptable(sk, skb))
		return 0;
	c->answered += c->pending;
	c->pending = 0;
	if (c->in_row)
		c->conns_recovered++;
	c->in_row = 0;
	return 0;
}

SEC("fentry/tcp_rcv_established")
int BPF_PROG(rcv_established, struct sock *sk, struct sk_buff *skb)
{
	return received(sk, skb);
}

SEC("fentry/tcp_rcv_state_process")
int BPF_PROG(rcv_state, struct sock *sk, struct sk_buff *skb)
{
	return received(sk, skb);
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(receive_reset, struct sock *sk)
{
	struct conn *c = find(sk, 0);

	if (!c || !c->pending)
		return 0;
	c->reset += c->pending;
	c->pending = 0;
	c->conns_reset++;
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(set_state, struct sock *sk, int oldstate, int newstate)
{
	int dead = within_timer() && BPF_CORE_READ(sk, sk_err);
	struct conn *c;

	if (newstate != TCP_CLOSE)
		return 0;
	c = find(sk, dead);
	if (!c)
		return 0;
	if (dead) {
		c->conns_dead++;
		c->lost += c->pending;
	} else {
		c->abandoned += c->pending;
	}
	c->pending = 0;
	c->in_row = 0;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

// SPDX-License-Identifier: GPL-2.0
/*
 * A probe's life: sent, then answered, lost, reset or abandoned, exactly once.
 *
 * Nothing is hooked on the way of a received segment. That the peer was heard
 * shows in two time stamps that TCP keeps for itself; whoever comes by, the
 * watch or the next event, looks at them first.
 *
 * Unless said otherwise the socket is locked here, by the caller or by the
 * process that the hook runs in, and BHs are off (with PREEMPT_RT: preemption)
 * under rcu_read_lock().
 */
#include <linux/tcp.h>
#include <net/tcp.h>

#include "conn.h"
#include "net.h"
#include "probe.h"
#include "watch.h"

/**
 * ka_probe_maybe_answered - has the peer been heard since the last probe?
 * @c: the record
 *
 * Exact with the socket locked, a hint without.
 *
 * Both stamps are needed: the receive fast path notes data in lrcvtime only. A
 * keepalive probe follows a second of silence or more (unless somebody sets
 * tcp_keepalive_time to 0), so an answer always changes one of them.
 * icsk_probes_out would not do: it is 0 after local congestion, and the fast
 * path leaves it alone.
 */
bool ka_probe_maybe_answered(const struct ka_conn *c)
{
	u32 rcv_tstamp = READ_ONCE(tcp_sk(c->sk)->rcv_tstamp);
	u32 lrcvtime = READ_ONCE(inet_csk(c->sk)->icsk_ack.lrcvtime);

	return rcv_tstamp != READ_ONCE(c->rcv_tstamp) ||
	       lrcvtime != READ_ONCE(c->lrcvtime);
}

static void probe_settle(struct ka_conn *c, enum ka_stat fate)
{
	ka_stats_add(c->kn, fate, c->out);
	atomic_sub(c->out, &c->kn->pending);
	c->out = 0;
}

/**
 * ka_probe_look - settle what is out if it has been answered
 * @c: the record
 *
 * Return: false if the record is gone, as it does not last and owes nothing.
 */
bool ka_probe_look(struct ka_conn *c)
{
	if (!c->watched || !ka_probe_maybe_answered(c))
		return true;

	if (c->out)
		probe_settle(c, KA_PROBES_ANSWERED);
	if (c->lost_in_row)
		ka_stats_add(c->kn, KA_CONNS_RECOVERED, 1);
	c->lost_in_row = 0;
	ka_watch_remove(c);
	if (ka_conn_lasts(c))
		return true;
	ka_conn_drop(c);
	return false;
}

/* The record of a socket after a look, or NULL. */
static struct ka_conn *probe_find(struct ka_net *kn, struct sock *sk)
{
	struct ka_conn *c = ka_conn_find(kn, sk);

	return c && ka_probe_look(c) ? c : NULL;
}

/*
 * Bytes of a bare ACK of this connection at the IP layer, but for the options
 * that MPTCP or a BPF program adds to each segment anew.
 */
static unsigned int probe_bytes(const struct sock *sk)
{
	const struct inet_connection_sock *icsk = inet_csk(sk);
	const struct tcp_sock *tp = tcp_sk(sk);
	unsigned int sacks = tp->rx_opt.num_sacks;
	unsigned int tcp = tp->tcp_header_len;

	if (sacks) {
		unsigned int room = MAX_TCP_OPTION_SPACE -
				    (tcp - sizeof(struct tcphdr));

		if (room >= TCPOLEN_SACK_BASE_ALIGNED + TCPOLEN_SACK_PERBLOCK)
			tcp += TCPOLEN_SACK_BASE_ALIGNED +
			       min(sacks, (room - TCPOLEN_SACK_BASE_ALIGNED) /
					  TCPOLEN_SACK_PERBLOCK) *
			       TCPOLEN_SACK_PERBLOCK;
	}
	return icsk->icsk_af_ops->net_header_len + icsk->icsk_ext_hdr_len + tcp;
}

/**
 * ka_probe_sent - the keepalive timer has tried to send a probe
 * @kn: the socket's namespace
 * @sk: the socket
 * @built: segments that the kernel counted, 0 for want of memory
 * @ret: what tcp_write_wakeup() returned: above 0 TCP does not count the probe
 *	as unanswered
 *
 * Whatever was out before is lost now, unless it has been answered.
 */
void ka_probe_sent(struct ka_net *kn, struct sock *sk, unsigned int built,
		   int ret)
{
	struct ka_conn *c = probe_find(kn, sk);

	if (!built) {
		ka_stats_add(kn, KA_PROBES_NOMEM, 1);
		return;
	}

	if (c && c->out) {
		probe_settle(c, KA_PROBES_LOST);
		if (c->lost_in_row < U16_MAX)
			c->lost_in_row++;
	}

	if (ret > 0) {
		ka_stats_add(kn, KA_PROBES_FAILED, built);
	} else {
		if (!c)
			c = ka_conn_make(kn, sk);
		/* Nobody would follow it: not counted as seen, thus unseen. */
		if (!c)
			return;
		c->out = built;
		atomic_add(built, &kn->pending);
		WRITE_ONCE(c->rcv_tstamp, tcp_sk(sk)->rcv_tstamp);
		WRITE_ONCE(c->lrcvtime, inet_csk(sk)->icsk_ack.lrcvtime);
		ka_watch_add(c);
	}
	ka_stats_add(kn, KA_PROBES_SENT, built);
	ka_stats_add(kn, KA_PROBE_BYTES, built * probe_bytes(sk));
}

/**
 * ka_probe_reset - TCP resets the connection
 * @kn: the socket's namespace
 * @sk: the socket
 *
 * TCP does so for data after a full shutdown too, with no RST received; such
 * data is an answer, seen by the look, and nothing is out then.
 */
void ka_probe_reset(struct ka_net *kn, struct sock *sk)
{
	struct ka_conn *c = probe_find(kn, sk);

	if (!c || !c->out)
		return;
	probe_settle(c, KA_PROBES_RESET);
	ka_stats_add(kn, KA_CONNS_RESET, 1);
}

static void probe_end(struct ka_conn *c, enum ka_stat fate)
{
	if (c->out)
		probe_settle(c, fate);
	ka_conn_drop(c);
}

/**
 * ka_probe_dead - the keepalive timer closes the connection
 * @kn: the socket's namespace
 * @sk: the socket
 * @unreachable: with an error that it was told of, not for silence alone
 */
void ka_probe_dead(struct ka_net *kn, struct sock *sk, bool unreachable)
{
	struct ka_conn *c = probe_find(kn, sk);

	ka_stats_add(kn, KA_CONNS_DEAD, 1);
	if (unreachable)
		ka_stats_add(kn, KA_CONNS_UNREACHABLE, 1);
	if (c)
		probe_end(c, KA_PROBES_LOST);
}

/**
 * ka_probe_closed - the connection ends for another reason
 * @kn: the socket's namespace
 * @sk: the socket
 */
void ka_probe_closed(struct ka_net *kn, struct sock *sk)
{
	struct ka_conn *c = probe_find(kn, sk);

	if (c)
		probe_end(c, KA_PROBES_ABANDONED);
}

/**
 * ka_probe_abandon - nobody will follow this connection any more
 * @c: the record, unlinked by this
 *
 * BHs are off and no hook can run for the socket.
 */
void ka_probe_abandon(struct ka_conn *c)
{
	probe_end(c, KA_PROBES_ABANDONED);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * A probe's life: sent, then answered, lost, reset or abandoned, exactly once.
 *
 * Nothing is hooked on the way of a received segment. That the peer was heard
 * shows in two time stamps that TCP keeps for itself; whoever comes by, the
 * watch or the next event, looks at them first.
 *
 * Unless said otherwise the socket is locked here, by the caller or by the
 * process that the hook runs in, and BHs are off (in a hook with PREEMPT_RT:
 * preemption) under rcu_read_lock().
 */
#include <linux/tcp.h>
#include <net/tcp.h>

#include "conn.h"
#include "event.h"
#include "net.h"
#include "probe.h"
#include "watch.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

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

/*
 * Microseconds from the probe that is out to the answer, or -1 if they cannot be
 * told. TCP notes the time at each segment and at each tick of its timers, so
 * that time is the answer's only if the answer was the one thing that happened:
 * no earlier probe could have been meant (RFC 6298 3, Karn), no tick, one segment
 * in and none out, no data, no window update, and nothing that a program could
 * read or peek at: that notes the time too. (The window of a SYN is not scaled;
 * the first one after it differs by less than a unit.) What else notes the time
 * can make it late by two jiffies, as it must agree with the stamp of the ACK.
 */
static s64 probe_rtt_us(const struct ka_conn *c)
{
	const struct tcp_sock *tp = tcp_sk(c->sk);
	s64 rtt_us = tp->tcp_mstamp - c->mstamp;
	s64 ticks_us = jiffies_to_usecs(tp->rcv_tstamp - c->sent_at);
	s32 window = tp->snd_wnd - c->snd_wnd;

	if (c->lost_in_row || c->out != 1 || READ_ONCE(c->ticked) ||
	    tp->segs_in != c->segs_in + 1 || tp->segs_out != c->segs_out ||
	    tp->rcv_tstamp == c->rcv_tstamp || tp->rcv_nxt != c->rcv_nxt ||
	    tp->copied_seq != c->copied_seq || tp->copied_seq != tp->rcv_nxt ||
	    tp->write_seq != c->write_seq ||
	    abs(window) >= 1 << tp->rx_opt.snd_wscale)
		return -1;
	return abs(rtt_us - ticks_us) <= jiffies_to_usecs(1) ? rtt_us : -1;
}

static void probe_settle(struct ka_conn *c, enum ka_stat fate)
{
	ka_stats_add(c->kn, fate, c->out);
	atomic_sub(c->out, &c->kn->pending);
	WRITE_ONCE(c->out, 0);
}

static void probe_answered(struct ka_conn *c)
{
	s64 rtt_us = probe_rtt_us(c);

	if (rtt_us >= 0) {
		ka_stats_sample(c->kn, KA_RTT_US, rtt_us);
		WRITE_ONCE(c->rtt_us, clamp_t(u64, rtt_us, 1, U32_MAX));
		if (!c->rtt_min_us || c->rtt_us < c->rtt_min_us)
			WRITE_ONCE(c->rtt_min_us, c->rtt_us);
	}
	WRITE_ONCE(c->answered, c->answered + c->out);
	trace_probe_answered(c->sk, rtt_us, c->lost_in_row);
	probe_settle(c, KA_PROBES_ANSWERED);
}

static u32 probe_idle_ms(const struct sock *sk)
{
	return ka_stats_ms(keepalive_time_elapsed(tcp_sk(sk)));
}

static void probe_lost(struct ka_conn *c)
{
	WRITE_ONCE(c->lost, c->lost + c->out);
	if (c->lost_in_row < U16_MAX)
		WRITE_ONCE(c->lost_in_row, c->lost_in_row + 1);
	trace_probe_lost(c->sk, c->lost_in_row);
	ka_event_add(c->kn, c->sk, TCP_KEEPALIVE_EVENT_LOST, c->lost_in_row,
		     probe_idle_ms(c->sk));
	probe_settle(c, KA_PROBES_LOST);
}

/* The peer was heard again, after the silence that the record remembers. */
static void probe_recovered(struct ka_conn *c)
{
	u32 silent = min_t(u32, tcp_jiffies32 - c->lrcvtime,
			   tcp_jiffies32 - c->rcv_tstamp) -
		     keepalive_time_elapsed(tcp_sk(c->sk));

	ka_stats_add(c->kn, KA_CONNS_RECOVERED, 1);
	ka_stats_sample(c->kn, KA_LOST_IN_ROW, c->lost_in_row);
	ka_event_add(c->kn, c->sk, TCP_KEEPALIVE_EVENT_RECOVERED,
		     c->lost_in_row, ka_stats_ms(silent));
	WRITE_ONCE(c->lost_in_row, 0);
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
		probe_answered(c);
	if (c->lost_in_row)
		probe_recovered(c);
	ka_watch_remove(c);
	if (ka_conn_lasts(c))
		return true;
	ka_conn_drop(c);
	return false;
}

/**
 * ka_probe_tick - TCP's keepalive timer is about to run
 * @c: the record
 *
 * The timer notes the time, after which no look can tell that of an answer.
 */
void ka_probe_tick(struct ka_conn *c)
{
	WRITE_ONCE(c->ticked, true);
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
 * ka_probe_heeded - may somebody wait to hear of an answer?
 * @kn: the namespace
 *
 * Under rcu_read_lock().
 */
bool ka_probe_heeded(const struct ka_net *kn)
{
	return trace_probe_answered_enabled() || ka_event_heard(kn);
}

/* Remember what an answer will change. */
static void probe_out(struct ka_conn *c, unsigned int built)
{
	const struct tcp_sock *tp = tcp_sk(c->sk);

	WRITE_ONCE(c->out, built);
	atomic_add(built, &c->kn->pending);
	WRITE_ONCE(c->rcv_tstamp, tp->rcv_tstamp);
	WRITE_ONCE(c->lrcvtime, inet_csk(c->sk)->icsk_ack.lrcvtime);
	c->mstamp = tp->tcp_mstamp;
	c->sent_at = tcp_jiffies32;
	c->segs_in = tp->segs_in;
	c->segs_out = tp->segs_out;
	c->rcv_nxt = tp->rcv_nxt;
	c->copied_seq = tp->copied_seq;
	c->write_seq = tp->write_seq;
	c->snd_wnd = tp->snd_wnd;
	/* An earlier probe, that there was no record for, could be meant. */
	WRITE_ONCE(c->ticked, inet_csk(c->sk)->icsk_probes_out != 0);
	ka_watch_add(c);
	if (trace_probe_answered_enabled())
		ka_watch_hurry();
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

	if (c && c->out)
		probe_lost(c);
	trace_probe_sent(sk, c ? c->lost_in_row : 0);

	if (ret > 0) {
		ka_stats_add(kn, KA_PROBES_FAILED, built);
	} else {
		if (!c)
			c = ka_conn_make(kn, sk);
		/* Nobody would follow it: not counted as seen, thus unseen. */
		if (!c)
			return;
		probe_out(c, built);
	}
	if (c)
		WRITE_ONCE(c->sent, c->sent + built);
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
	ka_event_add(kn, sk, TCP_KEEPALIVE_EVENT_RESET, c->lost_in_row,
		     probe_idle_ms(sk));
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
	u32 idle = keepalive_time_elapsed(tcp_sk(sk));
	u32 lost;

	if (c && c->out)
		probe_lost(c);
	lost = c ? c->lost_in_row : 0;

	ka_stats_add(kn, KA_CONNS_DEAD, 1);
	if (unreachable)
		ka_stats_add(kn, KA_CONNS_UNREACHABLE, 1);
	ka_stats_sample(kn, KA_DETECT_MS, jiffies64_to_msecs(idle));
	trace_conn_dead(sk, lost, ka_stats_ms(idle));
	ka_event_add(kn, sk, TCP_KEEPALIVE_EVENT_DEAD, lost, ka_stats_ms(idle));
	if (c)
		ka_conn_drop(c);
}

/**
 * ka_probe_abandon - nobody will follow this connection any more
 * @c: the record, unlinked by this
 *
 * The socket is locked or no hook can run for it, and BHs are off.
 */
void ka_probe_abandon(struct ka_conn *c)
{
	if (c->out)
		probe_settle(c, KA_PROBES_ABANDONED);
	ka_conn_drop(c);
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
		ka_probe_abandon(c);
}

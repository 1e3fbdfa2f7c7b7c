// SPDX-License-Identifier: GPL-2.0
/*
 * Rules and policy onto existing connections. It is a dump, so that it goes on
 * only while somebody reads, and no lock is held between two connections.
 */
#include <linux/err.h>
#include <linux/sched/signal.h>
#include <linux/tcp.h>
#include <net/genetlink.h>
#include <net/tcp.h>

#include <linux/tcp_keepalive.h>

#include "compat/genetlink.h"
#include "enforce.h"
#include "match.h"
#include "net.h"
#include "netlink.h"
#include "pace.h"
#include "walk.h"

/* Connections between two messages. */
#define APPLY_STRIDE	4096

/* The first probes of overdue connections are spread over no more by default. */
#define APPLY_SPREAD	(10 * HZ)

/* What it waits for busy sockets, for one and for all. */
#define APPLY_PATIENCE	HZ
#define APPLY_PATIENCE_ALL (10 * HZ)

static struct netlink_range_validation apply_spread = {
	.max = TCP_KEEPALIVE_SPREAD_MS_MAX,
};

const struct nla_policy
	ka_netlink_apply_attrs[TCP_KEEPALIVE_A_APPLY_MAX + 1] = {
	[TCP_KEEPALIVE_A_APPLY_MATCH] =
		NLA_POLICY_NESTED(ka_match_filter_attrs),
	[TCP_KEEPALIVE_A_APPLY_IDLE_MIN]	= { .type = NLA_U32 },
	[TCP_KEEPALIVE_A_APPLY_DRY_RUN]		= { .type = NLA_FLAG },
	[TCP_KEEPALIVE_A_APPLY_SPREAD_MS] =
		NLA_POLICY_FULL_RANGE(NLA_U32, &apply_spread),
};

/**
 * struct apply - an apply under way, in the callback's ctx
 * @match: which connections; NULL before the first part
 * @walk: how far it is
 * @idle_min: seconds for which they have been idle
 * @spread: jiffies; U32_MAX for what each connection's interval says
 * @overdue: how many overdue ones there have been
 * @all: @match was not given, and need not be asked
 * @dry: change nothing
 * @done: the last part has been told
 * @patience: jiffies that are left to wait for sockets that programs are busy with
 */
struct apply {
	struct ka_match	*match;
	struct ka_walk	walk;
	u32		idle_min;
	u32		spread;
	u32		overdue;
	bool		all;
	bool		dry;
	bool		done;
	u16		patience;
};

/* What has been done since the last message. */
struct apply_sum {
	u32	seen;
	u32	matched;
	u32	changed;
	u32	overdue;
	u32	close_ms;
	u32	skipped[KA_NSKIPS];
};

static const int apply_skipped[KA_NSKIPS] = {
	[KA_SKIP_KERNEL]	= TCP_KEEPALIVE_A_APPLY_SKIPPED_KERNEL,
	[KA_SKIP_REPAIR]	= TCP_KEEPALIVE_A_APPLY_SKIPPED_REPAIR,
	[KA_SKIP_OPTED_OUT]	= TCP_KEEPALIVE_A_APPLY_SKIPPED_OPTED_OUT,
	[KA_SKIP_CLOSED]	= TCP_KEEPALIVE_A_APPLY_SKIPPED_CLOSED,
	[KA_SKIP_BUSY]		= TCP_KEEPALIVE_A_APPLY_SKIPPED_BUSY,
};

static bool apply_wants(const struct apply *apply, const struct sock *sk)
{
	struct ka_subject s;

	if (apply->idle_min &&
	    (READ_ONCE(sk->sk_state) == TCP_SYN_SENT ||
	     /* TCP notes the time plainly: of this segment, or the last. */
	     data_race(keepalive_time_elapsed(tcp_sk(sk))) / HZ <
	     apply->idle_min))
		return false;
	if (apply->all)
		return true;
	ka_match_subject(&s, sk, -1);
	return ka_match(apply->match, &s);
}

/*
 * When the @n-th overdue connection is probed: steps of the golden ratio fill any
 * stretch of time evenly, however many are still to come.
 */
static u32 apply_turn(u32 n, u32 spread)
{
	return (u64)(u32)(n * 2654435769U) * spread >> 32;
}

/*
 * The most that it takes to close it if its peer is dead. A user timeout takes the
 * place of the probes: the first of them after it ends it (RFC 5482).
 */
static u32 apply_close_ms(const struct ka_enforced *e, u32 idle, u32 spread)
{
	u64 intvl_ms = (u64)max(e->effective[KA_INTVL], 0) * MSEC_PER_SEC;
	u32 timeout_ms = e->effective[KA_USER_TIMEOUT];
	u64 ms = jiffies_to_msecs(spread);

	if (!timeout_ms)
		ms += max(e->effective[KA_PROBES], 0) * intvl_ms;
	else
		ms = intvl_ms + max_t(s64, ms, (s64)timeout_ms -
					       jiffies_to_msecs(idle));
	return min_t(u64, ms, U32_MAX);
}

/*
 * Set the timer to what is in effect now, less the time it has been idle. The
 * jiffies until its turn if it is to be paced, else 0.
 */
static u32 apply_timer(struct apply *apply, struct apply_sum *sum,
		       struct sock *sk, const struct ka_enforced *e)
{
	u32 when = max(e->effective[KA_TIME], 0) * HZ;
	u32 idle = keepalive_time_elapsed(tcp_sk(sk));
	u32 spread = apply->spread, turn;

	/* One that is being probed is left to its timer. */
	if (sk->sk_state == TCP_SYN_SENT || e->probing)
		return 0;
	/* TCP does not probe while data is on its way. */
	if (tcp_sk(sk)->packets_out || !tcp_write_queue_empty(sk))
		idle = 0;
	if (idle < when) {
		if (!apply->dry)
			ka_enforce_rearm(sk, when - idle);
		return 0;
	}
	if (spread == U32_MAX)
		spread = min_t(u32, max(e->effective[KA_INTVL], 0) * HZ,
			       APPLY_SPREAD);
	sum->overdue++;
	sum->close_ms = max(sum->close_ms, apply_close_ms(e, idle, spread));
	if (apply->dry)
		return 0;
	turn = apply_turn(apply->overdue++, spread);
	return ka_pace_timer(sk, turn) ? turn : 0;
}

/* With the socket locked and BHs off. */
static u32 apply_locked(struct apply *apply, struct apply_sum *sum,
			struct sock *sk)
{
	struct ka_enforced e;

	e = ka_enforce_again(ka_net(sock_net(sk)), sk, apply->dry);
	if (e.skip != KA_SKIP_NOT) {
		sum->skipped[e.skip]++;
		return 0;
	}
	sum->changed += e.changed;
	if (!e.on && (e.off || !sock_flag(sk, SOCK_KEEPOPEN)))
		return 0;
	return apply_timer(apply, sum, sk, &e);
}

/* As TCP's timers lock a socket; false if a program is busy with it. */
static bool apply_try(struct apply *apply, struct apply_sum *sum,
		      struct sock *sk, u32 *turn)
{
	bool busy;

	local_bh_disable();
	bh_lock_sock(sk);
	busy = sock_owned_by_user(sk);
	if (!busy)
		*turn = apply_locked(apply, sum, sk);
	bh_unlock_sock(sk);
	local_bh_enable();
	return !busy;
}

/*
 * Whoever waited for a socket's lock could wait for ever, for a program whose
 * memory does not come.
 */
static void apply_one(struct apply *apply, struct apply_sum *sum,
		      struct sock *sk)
{
	unsigned int tries = min_t(u16, apply->patience, APPLY_PATIENCE);
	u32 turn = 0;

	sum->seen++;
	if (!apply_wants(apply, sk))
		return;
	sum->matched++;
	while (!apply_try(apply, sum, sk, &turn)) {
		if (!tries-- || signal_pending(current)) {
			sum->skipped[KA_SKIP_BUSY]++;
			return;
		}
		schedule_timeout_interruptible(1);
		apply->patience--;
	}
	if (turn)
		ka_pace(sk, turn);
}

static int apply_put(struct sk_buff *skb, const struct ka_net *kn,
		     const struct apply_sum *sum)
{
	int err, i;

	err = nla_put_u32(skb, TCP_KEEPALIVE_A_APPLY_NETNS_INO,
			  kn->net->ns.inum) ?:
	      nla_put_u32(skb, TCP_KEEPALIVE_A_APPLY_SEEN, sum->seen) ?:
	      nla_put_u32(skb, TCP_KEEPALIVE_A_APPLY_MATCHED, sum->matched) ?:
	      nla_put_u32(skb, TCP_KEEPALIVE_A_APPLY_CHANGED, sum->changed) ?:
	      nla_put_u32(skb, TCP_KEEPALIVE_A_APPLY_OVERDUE, sum->overdue) ?:
	      nla_put_u32(skb, TCP_KEEPALIVE_A_APPLY_CLOSE_MS, sum->close_ms);
	for (i = 0; !err && i < KA_NSKIPS; i++)
		err = nla_put_u32(skb, apply_skipped[i], sum->skipped[i]);
	return err;
}

static int apply_start(struct netlink_callback *cb)
{
	struct nlattr **a = ka_genl_dump_attrs(cb);
	const struct nlattr *spread_ms = a[TCP_KEEPALIVE_A_APPLY_SPREAD_MS];
	const struct nlattr *idle_min = a[TCP_KEEPALIVE_A_APPLY_IDLE_MIN];
	struct apply *apply = (void *)cb->ctx;
	struct ka_match *match;

	BUILD_BUG_ON(sizeof(*apply) > sizeof(cb->ctx));

	match = ka_match_parse(a[TCP_KEEPALIVE_A_APPLY_MATCH],
			       sk_user_ns(NETLINK_CB(cb->skb).sk), cb->extack);
	if (IS_ERR(match))
		return PTR_ERR(match);
	apply->match = match;
	apply->all = !a[TCP_KEEPALIVE_A_APPLY_MATCH];
	if (idle_min)
		apply->idle_min = nla_get_u32(idle_min);
	apply->dry = nla_get_flag(a[TCP_KEEPALIVE_A_APPLY_DRY_RUN]);
	apply->spread = spread_ms ? msecs_to_jiffies(nla_get_u32(spread_ms)) :
				    U32_MAX;
	apply->patience = APPLY_PATIENCE_ALL;
	return 0;
}

/* Walk over some connections; true at the end. */
static bool apply_walk(struct apply *apply, struct apply_sum *sum,
		       struct net *net)
{
	struct ka_walk_step batch[KA_WALK_BATCH];
	unsigned int i, n;

	while (sum->seen < APPLY_STRIDE) {
		n = ka_walk_next(&apply->walk, net, batch);
		if (!n)
			return true;
		for (i = 0; i < n; i++) {
			apply_one(apply, sum, batch[i].sk);
			sock_put(batch[i].sk);
		}
		cond_resched();
		/* Whoever interrupts it hears of what has been done. */
		if (signal_pending(current))
			break;
	}
	return false;
}

int ka_netlink_apply_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct net *net = sock_net(cb->skb->sk);
	struct apply *apply = (void *)cb->ctx;
	bool first = !apply->match;
	struct apply_sum sum = {};
	void *hdr;
	int err;

	if (first) {
		err = apply_start(cb);
		if (err)
			return err;
	}
	if (apply->done)
		return 0;
	hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			  &ka_netlink_family, NLM_F_MULTI,
			  TCP_KEEPALIVE_CMD_APPLY);
	if (!hdr)
		return -EMSGSIZE;
	/* The first part is made under generic netlink's lock: nothing is done yet. */
	if (!first)
		apply->done = apply_walk(apply, &sum, net);
	ka_stats_add_bh(ka_net(net), KA_CONNS_APPLIED,
			apply->dry ? 0 : sum.changed);
	if (apply_put(skb, ka_net(net), &sum)) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return skb->len;
}

int ka_netlink_apply_done(struct netlink_callback *cb)
{
	struct apply *apply = (void *)cb->ctx;

	ka_match_put(apply->match);
	return 0;
}

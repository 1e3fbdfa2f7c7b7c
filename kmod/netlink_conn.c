// SPDX-License-Identifier: GPL-2.0
/*
 * The dump of connections over netlink. Once answers have been looked for it holds
 * no lock but that of a hash chain, and no socket's: what changes meanwhile is shown
 * as it was or as it is.
 */
#include <linux/err.h>
#include <linux/sched/signal.h>
#include <linux/tcp.h>
#include <linux/timer.h>
#include <net/genetlink.h>
#include <net/tcp.h>

#include <linux/tcp_keepalive.h>

#include "compat/genetlink.h"
#include "compat/timer.h"
#include "conn.h"
#include "enforce.h"
#include "ident.h"
#include "match.h"
#include "net.h"
#include "netlink.h"
#include "probe.h"
#include "walk.h"
#include "watch.h"

const struct nla_policy ka_netlink_conn_attrs[TCP_KEEPALIVE_A_CONN_MAX + 1] = {
	[TCP_KEEPALIVE_A_CONN_STATUS] =
		NLA_POLICY_MAX(NLA_U32, TCP_KEEPALIVE_STATUS_UNPROTECTED),
	[TCP_KEEPALIVE_A_CONN_MATCH] =
		NLA_POLICY_NESTED(ka_match_filter_attrs),
	[TCP_KEEPALIVE_A_CONN_IDLE_MIN]	= { .type = NLA_U32 },
};

/**
 * struct conn_dump - a dump under way, in the callback's ctx
 * @match: which connections; NULL before the first part
 * @walk: how far it is
 * @idle_min: seconds for which they have been idle
 * @status: &enum tcp_keepalive_status, if @by_status
 * @by_status: only those
 */
struct conn_dump {
	struct ka_match	*match;
	struct ka_walk	walk;
	u32		idle_min;
	u8		status;
	bool		by_status;
};

/* What there is to tell about a connection. */
struct conn_info {
	bool		keepalive;
	u8		state;
	u8		status;
	bool		heard;
	bool		ticking;
	unsigned long	idle;
	unsigned long	next;
	u32		out;
	u32		sent;
	u32		answered;
	u32		lost;
	u32		rtt_us;
	u32		rtt_min_us;
	u16		rule;
};

/* What only the record knows; it may be freed once RCU's section ends. */
static void conn_read_record(struct conn_info *info, const struct ka_conn *c)
{
	if (!ka_probe_maybe_answered(c))
		info->out = READ_ONCE(c->lost_in_row) + READ_ONCE(c->out);
	info->sent = READ_ONCE(c->sent);
	info->answered = READ_ONCE(c->answered);
	info->lost = READ_ONCE(c->lost);
	info->rtt_us = READ_ONCE(c->rtt_us);
	info->rtt_min_us = READ_ONCE(c->rtt_min_us);
}

static void conn_read(struct conn_info *info, struct ka_net *kn,
		      const struct sock *sk)
{
	const struct timer_list *timer = ka_keepalive_timer(sk);
	struct ka_conn *c;

	info->state = READ_ONCE(sk->sk_state);
	info->keepalive = sock_flag(sk, SOCK_KEEPOPEN);
	info->heard = info->state != TCP_SYN_SENT;
	/* TCP notes the time of a segment plainly: this one, or the last. */
	info->idle = data_race(keepalive_time_elapsed(tcp_sk(sk)));

	rcu_read_lock();
	c = ka_conn_find(kn, sk);
	if (c)
		conn_read_record(info, c);
	else if (info->keepalive) /* Likewise. */
		info->out = data_race(ka_enforce_probing(sk));
	rcu_read_unlock();

	/* An orphan in FIN_WAIT2 uses the timer for another end. */
	if (info->keepalive && timer_pending(timer) &&
	    !(info->state == TCP_FIN_WAIT2 && sock_flag(sk, SOCK_DEAD))) {
		long left = READ_ONCE(timer->expires) - jiffies;

		info->ticking = true;
		info->next = max(left, 0L);
	}
	info->status = !info->keepalive ? TCP_KEEPALIVE_STATUS_UNPROTECTED :
		       info->out ? TCP_KEEPALIVE_STATUS_PROBING :
				   TCP_KEEPALIVE_STATUS_ALIVE;
}

static bool conn_wanted(const struct conn_dump *dump,
			const struct conn_info *info)
{
	if (dump->by_status && info->status != dump->status)
		return false;
	return !dump->idle_min ||
	       (info->heard && info->idle / HZ >= dump->idle_min);
}

/* The rule that matches it now, if there are any at all. */
static void conn_read_rule(struct conn_info *info, struct ka_net *kn,
			   const struct sock *sk, struct ka_subject *subject)
{
	const struct ka_rules *rules;
	const struct ka_rule *r;

	rcu_read_lock();
	rules = rcu_dereference(kn->rules);
	if (rules) {
		ka_enforce_origin(subject, sk, rules);
		r = ka_rules_decide(rules, subject);
		info->rule = r ? r->pref : 0;
	}
	rcu_read_unlock();
}

static u32 conn_source(const struct sock *sk)
{
	if (!ka_enforce_value(sk, KA_TIME))
		return TCP_KEEPALIVE_SOURCE_NETNS;
	return ka_enforce_ours(sk, KA_TIME) ? TCP_KEEPALIVE_SOURCE_RULE :
					      TCP_KEEPALIVE_SOURCE_PROGRAM;
}

static int conn_put(struct sk_buff *skb, const struct conn_info *info,
		    const struct ka_subject *subject, const struct sock *sk,
		    struct user_namespace *user_ns)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	return nla_put_u32(skb, TCP_KEEPALIVE_A_CONN_NETNS_INO,
			   sock_net(sk)->ns.inum) ||
	       ka_ident_put(skb, &subject->ident, TCP_KEEPALIVE_A_CONN_LOCAL) ||
	       nla_put_u32(skb, TCP_KEEPALIVE_A_CONN_STATE, info->state) ||
	       nla_put_u32(skb, TCP_KEEPALIVE_A_CONN_STATUS, info->status) ||
	       nla_put_u8(skb, TCP_KEEPALIVE_A_CONN_KEEPALIVE,
			  info->keepalive) ||
	       nla_put_s32(skb, TCP_KEEPALIVE_A_CONN_TIME,
			   keepalive_time_when(tp) / HZ) ||
	       nla_put_s32(skb, TCP_KEEPALIVE_A_CONN_INTVL,
			   keepalive_intvl_when(tp) / HZ) ||
	       nla_put_u32(skb, TCP_KEEPALIVE_A_CONN_PROBES,
			   keepalive_probes(tp)) ||
	       nla_put_u32(skb, TCP_KEEPALIVE_A_CONN_SOURCE, conn_source(sk)) ||
	       nla_put_u32(skb, TCP_KEEPALIVE_A_CONN_USER_TIMEOUT_MS,
			   READ_ONCE(inet_csk(sk)->icsk_user_timeout)) ||
	       (info->heard &&
		nla_put_u32(skb, TCP_KEEPALIVE_A_CONN_IDLE_MS,
			    ka_stats_ms(info->idle))) ||
	       (info->ticking &&
		nla_put_u32(skb, TCP_KEEPALIVE_A_CONN_NEXT_MS,
			    ka_stats_ms(info->next))) ||
	       nla_put_u32(skb, TCP_KEEPALIVE_A_CONN_OUT, info->out) ||
	       nla_put_u32(skb, TCP_KEEPALIVE_A_CONN_SENT, info->sent) ||
	       nla_put_u32(skb, TCP_KEEPALIVE_A_CONN_ANSWERED,
			   info->answered) ||
	       nla_put_u32(skb, TCP_KEEPALIVE_A_CONN_LOST, info->lost) ||
	       (info->rtt_us &&
		nla_put_u32(skb, TCP_KEEPALIVE_A_CONN_RTT_US,
			    info->rtt_us)) ||
	       (info->rtt_min_us &&
		nla_put_u32(skb, TCP_KEEPALIVE_A_CONN_RTT_MIN_US,
			    info->rtt_min_us)) ||
	       nla_put_u32(skb, TCP_KEEPALIVE_A_CONN_UID,
			   from_kuid_munged(user_ns, READ_ONCE(sk->sk_uid))) ||
	       nla_put_u32(skb, TCP_KEEPALIVE_A_CONN_INODE,
			   ka_ident_inode(sk)) ||
	       (info->rule &&
		nla_put_u32(skb, TCP_KEEPALIVE_A_CONN_RULE, info->rule));
}

/* Append the connection if it is wanted. -EMSGSIZE: there is no room. */
static int conn_fill(struct sk_buff *skb, struct netlink_callback *cb,
		     const struct sock *sk)
{
	const struct conn_dump *dump = (void *)cb->ctx;
	struct sock *asker = NETLINK_CB(cb->skb).sk;
	struct ka_net *kn = ka_net(sock_net(sk));
	struct conn_info info = {};
	struct ka_subject subject;
	void *hdr;

	ka_match_subject(&subject, sk, -1);
	/* It may have been closed since it was found. */
	if (!ka_walk_wants(sk) || !ka_match(dump->match, &subject))
		return 0;
	conn_read(&info, kn, sk);
	if (!conn_wanted(dump, &info))
		return 0;
	conn_read_rule(&info, kn, sk, &subject);
	hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			  &ka_netlink_family, NLM_F_MULTI,
			  TCP_KEEPALIVE_CMD_CONN_GET);
	if (!hdr)
		return -EMSGSIZE;
	if (conn_put(skb, &info, &subject, sk, sk_user_ns(asker))) {
		genlmsg_cancel(skb, hdr);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

/* In the first part rather than before it, where 6.1 has no extended ack. */
static int conn_start(struct netlink_callback *cb)
{
	struct nlattr **a = ka_genl_dump_attrs(cb);
	struct conn_dump *dump = (void *)cb->ctx;
	struct ka_match *match;

	BUILD_BUG_ON(sizeof(*dump) > sizeof(cb->ctx));

	match = ka_match_parse(a[TCP_KEEPALIVE_A_CONN_MATCH],
			       sk_user_ns(NETLINK_CB(cb->skb).sk), cb->extack);
	if (IS_ERR(match))
		return PTR_ERR(match);
	dump->match = match;
	if (a[TCP_KEEPALIVE_A_CONN_STATUS]) {
		dump->status = nla_get_u32(a[TCP_KEEPALIVE_A_CONN_STATUS]);
		dump->by_status = true;
	}
	if (a[TCP_KEEPALIVE_A_CONN_IDLE_MIN])
		dump->idle_min = nla_get_u32(a[TCP_KEEPALIVE_A_CONN_IDLE_MIN]);
	return 0;
}

int ka_netlink_conn_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct net *net = sock_net(cb->skb->sk);
	struct conn_dump *dump = (void *)cb->ctx;
	struct ka_walk_step batch[KA_WALK_BATCH];
	unsigned int i, n;
	int err = 0;

	if (!dump->match) {
		err = conn_start(cb);
		if (err)
			return err;
		ka_watch_pass(ka_net(net));
	}

	while (!err) {
		const struct ka_walk before = dump->walk;

		n = ka_walk_next(&dump->walk, net, batch);
		if (!n)
			break;
		for (i = 0; i < n && !err; i++) {
			err = conn_fill(skb, cb, batch[i].sk);
			if (!err)
				continue;
			dump->walk = before;
			if (i)
				ka_walk_passed(&dump->walk, &batch[i - 1]);
		}
		for (i = 0; i < n; i++)
			sock_put(batch[i].sk);
		cond_resched();
		if (fatal_signal_pending(current))
			err = -EINTR;
	}
	/* With nothing in it the message would be the end of the dump. */
	return skb->len ?: err;
}

int ka_netlink_conn_done(struct netlink_callback *cb)
{
	struct conn_dump *dump = (void *)cb->ctx;

	ka_match_put(dump->match);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Rules and policy onto sockets: keepalive for programs that never asked.
 *
 * Whose a value is costs no memory. Times are jiffies in a socket, and a program
 * can only set whole seconds: a second and a jiffy is the module's. For the rest
 * there are bits of sk_flags that the kernel gives no name. They are written, as
 * the named ones are, with the socket locked.
 */
#include <linux/hash.h>
#include <linux/tcp.h>
#include <net/ipv6.h>
#include <net/mptcp.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "compat/listener.h"
#include "compat/timer.h"
#include "enforce.h"
#include "hook.h"
#include "match.h"
#include "net.h"
#include "rule.h"

#if BITS_PER_LONG < 64
#error "sk_flags has no room for what the module notes there; it needs 64 bits"
#endif

/* Bits of sk_flags: the module turned keepalive on, the program turned it off. */
#define MARK_KEEPALIVE		63
#define MARK_OPTED_OUT		62
/* The module saw it become established, and that the peer had opened it. */
#define MARK_SEEN		61
#define MARK_PASSIVE		60
/* The module turned off what the program had turned on. */
#define MARK_SILENCED		59

/* Of a value that the module set, to be told from one set since. */
struct enforce_digest {
	u8	shift;
	u8	bits;
};

static const struct enforce_digest digest_probes = { 51, 8 };
static const struct enforce_digest digest_user_timeout = { 35, 16 };

/* It waits in pace.c for its turn. */
#define MARK_PACED		34

/* Of the kernel's this was 5.10's last; those that came since are four at most. */
static_assert(SOCK_TSTAMP_NEW + 4 < KA_ENFORCE_MARKS);

/* How many namespaces enforce or have rules. */
atomic_t ka_enforce_nets;

static bool enforce_marked(const struct sock *sk, int mark)
{
	return test_bit(mark, &sk->sk_flags);
}

static void enforce_mark(struct sock *sk, int mark, bool set)
{
	if (set)
		__set_bit(mark, &sk->sk_flags);
	else
		__clear_bit(mark, &sk->sk_flags);
}

/* Never 0, which is what no value has; exact for the lower half of the range. */
static unsigned long enforce_digest(struct enforce_digest d, u32 v)
{
	unsigned long half = BIT(d.bits - 1);

	return v < half ? v : half | hash_32(v, d.bits - 1);
}

static bool enforce_digested(const struct sock *sk, struct enforce_digest d,
			     u32 v)
{
	unsigned long is = READ_ONCE(sk->sk_flags) >> d.shift;

	return v && (is & (BIT(d.bits) - 1)) == enforce_digest(d, v);
}

static void enforce_digest_set(struct sock *sk, struct enforce_digest d, u32 v)
{
	unsigned long mask = (BIT(d.bits) - 1) << d.shift;

	sk->sk_flags &= ~mask;
	if (v)
		sk->sk_flags |= enforce_digest(d, v) << d.shift;
}

/**
 * ka_enforce_ours - is it the module's value?
 * @sk: the socket
 * @value: which
 */
bool ka_enforce_ours(const struct sock *sk, enum ka_value value)
{
	const struct tcp_sock *tp = tcp_sk(sk);
	u32 timeout;

	switch (value) {
	case KA_TIME:
		return READ_ONCE(tp->keepalive_time) % HZ == 1;
	case KA_INTVL:
		return READ_ONCE(tp->keepalive_intvl) % HZ == 1;
	case KA_PROBES:
		return enforce_digested(sk, digest_probes,
					READ_ONCE(tp->keepalive_probes));
	default:
		timeout = READ_ONCE(inet_csk(sk)->icsk_user_timeout);
		return enforce_digested(sk, digest_user_timeout, timeout);
	}
}

/**
 * ka_enforce_value - the socket's own value, whoever set it
 * @sk: the socket
 * @value: which
 *
 * Return: seconds, seconds, a count or milliseconds; 0 if none is set.
 */
u32 ka_enforce_value(const struct sock *sk, enum ka_value value)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	switch (value) {
	case KA_TIME:
		return READ_ONCE(tp->keepalive_time) / HZ;
	case KA_INTVL:
		return READ_ONCE(tp->keepalive_intvl) / HZ;
	case KA_PROBES:
		return READ_ONCE(tp->keepalive_probes);
	default:
		return READ_ONCE(inet_csk(sk)->icsk_user_timeout);
	}
}

/* What is in effect: the socket's own value, or that of the namespace. */
static s32 enforce_effective(const struct sock *sk, enum ka_value value,
			     u32 own)
{
	const struct netns_ipv4 *ipv4 = &sock_net(sk)->ipv4;

	if (own)
		return own;
	switch (value) {
	case KA_TIME:
		return READ_ONCE(ipv4->sysctl_tcp_keepalive_time) / HZ;
	case KA_INTVL:
		return READ_ONCE(ipv4->sysctl_tcp_keepalive_intvl) / HZ;
	case KA_PROBES:
		return READ_ONCE(ipv4->sysctl_tcp_keepalive_probes);
	default:
		return 0;
	}
}

/*
 * Make a value the module's, or with 0 nobody's. A program sets all but the time
 * without the socket's lock on newer kernels: what is no longer @was is its, and
 * false says so.
 */
static bool enforce_set(struct sock *sk, enum ka_value value, u32 was, u32 v)
{
	u32 *user_timeout = &inet_csk(sk)->icsk_user_timeout;
	struct tcp_sock *tp = tcp_sk(sk);
	unsigned int intvl;

	switch (value) {
	case KA_TIME:
		WRITE_ONCE(tp->keepalive_time, v ? v * HZ + 1 : 0);
		return true;
	case KA_INTVL:
		intvl = READ_ONCE(tp->keepalive_intvl);
		return intvl / HZ == was &&
		       cmpxchg(&tp->keepalive_intvl, intvl,
			       v ? v * HZ + 1 : 0) == intvl;
	case KA_PROBES:
		if (cmpxchg(&tp->keepalive_probes, was, v) != was)
			return false;
		enforce_digest_set(sk, digest_probes, v);
		return true;
	default:
		if (cmpxchg(user_timeout, was, v) != was)
			return false;
		enforce_digest_set(sk, digest_user_timeout, v);
		return true;
	}
}

/* Onto a connection: as if it were new, only to tell, or to hold it to a rule. */
enum enforce_how { ENFORCE_NEW, ENFORCE_DRY, ENFORCE_HOLD };

/*
 * Give the socket a value as the rule @r says, which may be NULL. What the
 * module set before does not count, unless it only holds to it; what the program
 * set stays, unless the rule overrides it or it is out of bounds. True if that
 * changes anything; *effective is what is in effect then.
 */
static bool enforce_one(struct sock *sk, const struct ka_rule *r,
			enum ka_value value, enum enforce_how how,
			s32 *effective)
{
	u32 was = ka_enforce_value(sk, value), v = was;
	bool ours = ka_enforce_ours(sk, value), set = false;

	if (!was || (ours && how != ENFORCE_HOLD)) {
		v = r ? r->v[value] : 0;
		set = v;
	} else if (r && r->override && r->v[value]) {
		v = r->v[value];
		set = v != was;
	}
	if (r && r->max[value]) {
		s32 outside = enforce_effective(sk, value, v);
		s32 within = clamp_t(s32, outside, r->min[value],
				     r->max[value]);

		if (within != outside) {
			v = within;
			set = true;
		}
	}
	*effective = enforce_effective(sk, value, v);
	if (v == was && (ours || !set))
		return false;
	return how == ENFORCE_DRY || enforce_set(sk, value, was, v);
}

static bool enforce_values(struct sock *sk, const struct ka_rule *r,
			   enum enforce_how how, s32 effective[KA_NVALUES])
{
	bool changed = false;
	int i;

	for (i = 0; i < KA_NVALUES; i++)
		changed |= enforce_one(sk, r, i, how, &effective[i]);
	return changed;
}

/**
 * ka_enforce_closed - is it none of ours any more?
 * @sk: the socket, locked
 *
 * One without a program may use the timer for another end (FIN_WAIT2).
 */
bool ka_enforce_closed(const struct sock *sk)
{
	return (1 << sk->sk_state) & (TCPF_CLOSE | TCPF_LISTEN) ||
	       sock_flag(sk, SOCK_DEAD);
}

/**
 * ka_enforce_probing - keepalive probes that TCP holds to be unanswered
 * @sk: the socket; not locked it is a hint
 *
 * TCP's count is of a closed window's probes as well, and the receive fast path
 * leaves it alone, as turning keepalive off does.
 */
u32 ka_enforce_probing(const struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	if (!sock_flag(sk, SOCK_KEEPOPEN) ||
	    !timer_pending(ka_keepalive_timer(sk)) ||
	    tp->packets_out || !tcp_write_queue_empty(sk) ||
	    keepalive_time_elapsed(tp) < keepalive_time_when(tp))
		return 0;
	return READ_ONCE(inet_csk(sk)->icsk_probes_out);
}

/**
 * ka_enforce_pace - note that a connection waits for its turn, or has had it
 * @sk: the socket, locked
 * @waits: which
 *
 * Return: true if it was so noted before.
 */
bool ka_enforce_pace(struct sock *sk, bool waits)
{
	bool waited = enforce_marked(sk, MARK_PACED);

	enforce_mark(sk, MARK_PACED, waits);
	return waited;
}

/**
 * ka_enforce_rearm - let the keepalive timer run after some time
 * @sk: the socket, locked, and not being probed
 * @delay: jiffies
 *
 * Of probes that TCP still counts none is out, see ka_enforce_probing(). A timer
 * that comes sooner than TCP would set it must not take them for unanswered.
 */
void ka_enforce_rearm(struct sock *sk, unsigned long delay)
{
	if (!tcp_sk(sk)->packets_out && tcp_write_queue_empty(sk))
		WRITE_ONCE(inet_csk(sk)->icsk_probes_out, 0);
	sk_reset_timer(sk, (struct timer_list *)ka_keepalive_timer(sk),
		       jiffies + delay);
}

/* As SO_KEEPALIVE does, but for the timer. One that the program had on is its. */
static void enforce_on(struct sock *sk)
{
	sk->sk_flags |= BIT(SOCK_KEEPOPEN);
	if (!enforce_marked(sk, MARK_SILENCED))
		sk->sk_flags |= BIT(MARK_KEEPALIVE);
	sk->sk_flags &= ~(BIT(MARK_OPTED_OUT) | BIT(MARK_SILENCED));
}

static void enforce_off(struct sock *sk)
{
	if (sock_flag(sk, SOCK_KEEPOPEN) && !enforce_marked(sk, MARK_KEEPALIVE))
		enforce_mark(sk, MARK_SILENCED, true);
	sk->sk_flags &= ~(BIT(SOCK_KEEPOPEN) | BIT(MARK_KEEPALIVE));
	sk_stop_timer(sk, (struct timer_list *)ka_keepalive_timer(sk));
}

/*
 * A socket may have had a life before, its listener too: keepalive is what the
 * program made it. True if that is on again. Values are left to whoever sets new
 * ones.
 */
static bool enforce_forget(struct sock *sk)
{
	bool silenced = enforce_marked(sk, MARK_SILENCED);

	if (enforce_marked(sk, MARK_KEEPALIVE))
		enforce_off(sk);
	else if (silenced)
		enforce_on(sk);
	sk->sk_flags &= ~(BIT(MARK_OPTED_OUT) | BIT(MARK_PASSIVE));
	return silenced;
}

/**
 * ka_enforce_asked - the program turns keepalive on or off
 * @sk: the socket, locked; before it is done
 * @on: which
 *
 * From now on it is the program's; turned off on a connection that had it, the
 * program has the last word.
 */
void ka_enforce_asked(struct sock *sk, bool on)
{
	bool live = !((1 << sk->sk_state) & (TCPF_CLOSE | TCPF_LISTEN));
	bool had = sk->sk_flags & (BIT(SOCK_KEEPOPEN) | BIT(MARK_OPTED_OUT) |
				   BIT(MARK_SILENCED));

	enforce_mark(sk, MARK_OPTED_OUT, !on && live && had);
	sk->sk_flags &= ~(BIT(MARK_KEEPALIVE) | BIT(MARK_SILENCED));
}

/* The listener that a connection came in through; under rcu_read_lock(). */
static const struct sock *enforce_listener(const struct sock *sk)
{
	const struct inet_sock *inet = inet_sk(sk);
	struct net *net = sock_net(sk);

#if IS_ENABLED(CONFIG_IPV6)
	if (sk->sk_family == AF_INET6 && !ipv6_addr_v4mapped(&sk->sk_v6_daddr))
		return inet6_lookup_listener(net, NULL, 0,
					     &sk->sk_v6_daddr, inet->inet_dport,
					     &sk->sk_v6_rcv_saddr,
					     inet->inet_num,
					     sk->sk_bound_dev_if, 0);
#endif
	return __inet_lookup_listener(net, NULL, 0,
				      inet->inet_daddr, inet->inet_dport,
				      inet->inet_rcv_saddr, inet->inet_num,
				      sk->sk_bound_dev_if, 0);
}

/*
 * Who opened this connection? One that the module did not see become established
 * the peer did if it has a listener's backlog, as its copy, or, as that may be 0,
 * if somebody listens where it would have arrived. Under rcu_read_lock().
 */
static bool enforce_is_passive(const struct sock *sk)
{
	if (enforce_marked(sk, MARK_SEEN))
		return enforce_marked(sk, MARK_PASSIVE);
	return READ_ONCE(sk->sk_max_ack_backlog) || enforce_listener(sk);
}

/**
 * ka_enforce_origin - what rules go by that the socket alone does not say
 * @s: what ka_match_subject() has read; gets its direction and, where a rule asks
 *	for one, the user whose connection it is
 * @sk: the socket
 * @rules: the rules
 *
 * An incoming connection is its listener's; accept() gives the socket to whoever
 * accepts it. Under rcu_read_lock().
 */
void ka_enforce_origin(struct ka_subject *s, const struct sock *sk,
		       const struct ka_rules *rules)
{
	bool in = enforce_is_passive(sk);
	const struct sock *listener;

	s->dir = in ? TCP_KEEPALIVE_DIR_IN : TCP_KEEPALIVE_DIR_OUT;
	if (!in || !rules->users)
		return;
	listener = enforce_listener(sk);
	if (listener)
		s->uid = READ_ONCE(listener->sk_uid);
}

/*
 * The kernel's own sockets, those being put together anew, and MPTCP's subflows
 * are not ours. A plain connection to an MPTCP listener is: it counts as the
 * kernel's, as its listener does, only until accept().
 */
static enum ka_skip enforce_skips(const struct sock *sk, bool may_be_passive)
{
	const struct sock *listener;

	if (tcp_sk(sk)->repair)
		return KA_SKIP_REPAIR;
	if (sk_is_mptcp(sk))
		return KA_SKIP_KERNEL;
	if (!sk->sk_kern_sock)
		return KA_SKIP_NOT;
	listener = may_be_passive ? enforce_listener(sk) : NULL;
	return listener && sk_is_mptcp(listener) ? KA_SKIP_NOT : KA_SKIP_KERNEL;
}

/*
 * The rule that decides about a connection, or NULL; under rcu_read_lock(). With a
 * direction of -1 it is an old one.
 */
static struct ka_rule *enforce_rule(struct ka_net *kn, const struct sock *sk,
				    s8 dir)
{
	const struct ka_rules *rules = rcu_dereference(kn->rules);
	struct ka_subject s;

	if (!rules)
		return NULL;
	ka_match_subject(&s, sk, dir);
	if (dir < 0)
		ka_enforce_origin(&s, sk, rules);
	return ka_rules_decide(rules, &s);
}

/**
 * ka_enforce_new - a connection becomes established
 * @kn: its namespace
 * @sk: its socket, locked; BHs are off, under rcu_read_lock()
 * @passive: the peer opened it
 * @arms: TCP arms its keepalive timer itself, when this has returned
 *
 * A value that nobody gives stays unset, so that the connection follows the
 * namespace's sysctls.
 */
void ka_enforce_new(struct ka_net *kn, struct sock *sk, bool passive, bool arms)
{
	bool again = ka_enforce_marked(sk), changed = false;
	s32 effective[KA_NVALUES];
	struct ka_rule *r;

	if (enforce_skips(sk, passive) != KA_SKIP_NOT)
		return;
	if (unlikely(again))
		changed = enforce_forget(sk);
	sk->sk_flags |= BIT(MARK_SEEN) | (unsigned long)passive << MARK_PASSIVE;
	r = enforce_rule(kn, sk, passive ? TCP_KEEPALIVE_DIR_IN :
					   TCP_KEEPALIVE_DIR_OUT);
	if (r || again)
		changed |= enforce_values(sk, r, ENFORCE_NEW, effective);
	if (r)
		atomic64_inc(&r->hits);

	if (r ? r->action == TCP_KEEPALIVE_ACTION_ON : READ_ONCE(kn->enforce)) {
		if (!sock_flag(sk, SOCK_KEEPOPEN)) {
			enforce_on(sk);
			ka_stats_add(kn, KA_CONNS_ENFORCED, 1);
			changed = true;
		}
	} else if (r && r->action == TCP_KEEPALIVE_ACTION_OFF) {
		enforce_off(sk);
	}
	if (changed && !arms && sock_flag(sk, SOCK_KEEPOPEN))
		ka_enforce_rearm(sk, keepalive_time_when(tcp_sk(sk)));
}

/* Should keepalive be turned on or off? Neither, or skipped, in *e otherwise. */
static void enforce_keepalive(struct ka_net *kn, const struct sock *sk,
			      const struct ka_rule *r, struct ka_enforced *e)
{
	bool is_on = sock_flag(sk, SOCK_KEEPOPEN);
	bool ours = is_on && enforce_marked(sk, MARK_KEEPALIVE);
	/* The module's and off: the program did that unheard. */
	bool opted_out = !is_on && (enforce_marked(sk, MARK_OPTED_OUT) ||
				    enforce_marked(sk, MARK_KEEPALIVE));

	if (r ? r->action == TCP_KEEPALIVE_ACTION_ON : READ_ONCE(kn->enforce)) {
		if (opted_out && !(r && r->override))
			e->skip = KA_SKIP_OPTED_OUT;
		else
			e->on = !is_on;
	} else if (r && r->action == TCP_KEEPALIVE_ACTION_OFF && r->override) {
		e->off = is_on;
	} else {
		e->off = ours;
		e->on = enforce_marked(sk, MARK_SILENCED) &&
			!(r && r->action == TCP_KEEPALIVE_ACTION_OFF);
	}
}

/**
 * ka_enforce_again - rules and policy onto an existing connection
 * @kn: its namespace
 * @sk: its socket, locked; BHs are off
 * @dry: only tell what would be done
 *
 * What the module set before is what it would be had the connection been made
 * now; what the program set is the program's. The timer is left to the caller,
 * but for keepalive that is turned off.
 */
struct ka_enforced ka_enforce_again(struct ka_net *kn, struct sock *sk,
				    bool dry)
{
	struct ka_enforced e = { .skip = KA_SKIP_NOT };
	struct ka_rule *r;

	if (ka_enforce_closed(sk)) {
		e.skip = KA_SKIP_CLOSED;
		return e;
	}
	e.probing = ka_enforce_probing(sk);
	rcu_read_lock();
	e.skip = enforce_skips(sk, true);
	if (e.skip != KA_SKIP_NOT)
		goto out;
	r = enforce_rule(kn, sk, -1);
	enforce_keepalive(kn, sk, r, &e);
	if (e.skip != KA_SKIP_NOT)
		goto out;
	e.changed = enforce_values(sk, r, dry ? ENFORCE_DRY : ENFORCE_NEW,
				   e.effective) | e.on | e.off;
	if (dry)
		goto out;
	if (r)
		atomic64_inc(&r->hits);
	if (e.on)
		enforce_on(sk);
	else if (e.off)
		enforce_off(sk);
out:
	rcu_read_unlock();
	return e;
}

/**
 * ka_enforce_hold - hold a connection to the rule that bounds or overrides it
 * @kn: its namespace
 * @sk: its socket, locked; BHs are off
 *
 * Counts nothing: the rule had decided before.
 */
void ka_enforce_hold(struct ka_net *kn, struct sock *sk)
{
	bool probing = ka_enforce_probing(sk);
	s32 effective[KA_NVALUES];
	struct ka_rule *r;
	u32 time;

	if (ka_enforce_closed(sk) || sk->sk_state == TCP_SYN_SENT)
		return;
	rcu_read_lock();
	r = enforce_skips(sk, true) == KA_SKIP_NOT ?
	    enforce_rule(kn, sk, -1) : NULL;
	if (!r)
		goto out;

	time = tcp_sk(sk)->keepalive_time;
	enforce_values(sk, r, ENFORCE_HOLD, effective);
	if (r->override && r->action == TCP_KEEPALIVE_ACTION_OFF) {
		enforce_off(sk);
	} else if (r->override && r->action == TCP_KEEPALIVE_ACTION_ON &&
		   !sock_flag(sk, SOCK_KEEPOPEN)) {
		enforce_on(sk);
		time = ~tcp_sk(sk)->keepalive_time;
	}
	if (sock_flag(sk, SOCK_KEEPOPEN) &&
	    time != tcp_sk(sk)->keepalive_time && !probing) {
		u32 elapsed = keepalive_time_elapsed(tcp_sk(sk));
		u32 when = keepalive_time_when(tcp_sk(sk));

		ka_enforce_rearm(sk, when > elapsed ? when - elapsed : 0);
	}
out:
	rcu_read_unlock();
}

/**
 * ka_enforce_changed - whether a namespace enforces or has rules may have changed
 * @kn: the namespace; its policy_lock is held, or nobody else knows it
 *
 * May sleep.
 */
void ka_enforce_changed(struct ka_net *kn)
{
	const struct ka_rules *rules;
	bool enforces, holds;

	rules = rcu_dereference_protected(kn->rules, true);
	enforces = kn->enforce || rules;
	holds = rules && rules->holds;

	if (enforces != kn->enforces)
		atomic_add(enforces ? 1 : -1, &ka_enforce_nets);
	if (holds != kn->holds)
		ka_hook_setsockopt(holds);
	WRITE_ONCE(kn->enforces, enforces);
	WRITE_ONCE(kn->holds, holds);
}

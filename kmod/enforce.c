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
#include "hold.h"
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
/* Of a value that the module set, 8 bits, to be told from one set since. */
#define MARK_PROBES		52
#define MARK_USER_TIMEOUT	44

static_assert(SOCK_TSTAMP_NEW < MARK_USER_TIMEOUT);

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

/* Never 0, which is what no value has. */
static unsigned long enforce_digest(u32 v)
{
	return v < 128 ? v : 128 | hash_32(v, 7);
}

static bool enforce_digested(const struct sock *sk, int mark, u32 v)
{
	unsigned long digest = READ_ONCE(sk->sk_flags) >> mark & 0xff;

	return v && digest == enforce_digest(v);
}

static void enforce_digest_set(struct sock *sk, int mark, u32 v)
{
	unsigned long digest = v ? enforce_digest(v) : 0;

	sk->sk_flags = (sk->sk_flags & ~(0xffUL << mark)) | digest << mark;
}

/**
 * ka_enforce_ours - is it the module's value?
 * @sk: the socket
 * @value: which
 */
bool ka_enforce_ours(const struct sock *sk, enum ka_value value)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	switch (value) {
	case KA_TIME:
		return READ_ONCE(tp->keepalive_time) % HZ == 1;
	case KA_INTVL:
		return READ_ONCE(tp->keepalive_intvl) % HZ == 1;
	case KA_PROBES:
		return enforce_digested(sk, MARK_PROBES,
					READ_ONCE(tp->keepalive_probes));
	default:
		return enforce_digested(sk, MARK_USER_TIMEOUT,
					inet_csk(sk)->icsk_user_timeout);
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

/* Make a value the module's, or with 0 nobody's. */
static void enforce_set(struct sock *sk, enum ka_value value, u32 v)
{
	struct tcp_sock *tp = tcp_sk(sk);

	switch (value) {
	case KA_TIME:
		WRITE_ONCE(tp->keepalive_time, v ? v * HZ + 1 : 0);
		break;
	case KA_INTVL:
		WRITE_ONCE(tp->keepalive_intvl, v ? v * HZ + 1 : 0);
		break;
	case KA_PROBES:
		WRITE_ONCE(tp->keepalive_probes, v);
		enforce_digest_set(sk, MARK_PROBES, v);
		break;
	default:
		WRITE_ONCE(inet_csk(sk)->icsk_user_timeout, v);
		enforce_digest_set(sk, MARK_USER_TIMEOUT, v);
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
	if (how != ENFORCE_DRY)
		enforce_set(sk, value, v);
	return true;
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
 * @sk: the socket
 *
 * TCP's count is of a closed window's probes as well, and the receive fast path
 * leaves it alone.
 */
u32 ka_enforce_probing(const struct sock *sk)
{
	const struct tcp_sock *tp = tcp_sk(sk);

	if (tp->packets_out || !tcp_write_queue_empty(sk) ||
	    keepalive_time_elapsed(tp) < keepalive_time_when(tp))
		return 0;
	return READ_ONCE(inet_csk(sk)->icsk_probes_out);
}

/**
 * ka_enforce_rearm - let the keepalive timer run after some time
 * @sk: the socket, locked
 * @delay: jiffies
 */
void ka_enforce_rearm(struct sock *sk, unsigned long delay)
{
	sk_reset_timer(sk, (struct timer_list *)ka_keepalive_timer(sk),
		       jiffies + delay);
}

/* As SO_KEEPALIVE does, but for the timer. */
static void enforce_on(struct sock *sk)
{
	sk->sk_flags |= BIT(SOCK_KEEPOPEN) | BIT(MARK_KEEPALIVE);
	enforce_mark(sk, MARK_OPTED_OUT, false);
}

static void enforce_off(struct sock *sk)
{
	sock_reset_flag(sk, SOCK_KEEPOPEN);
	enforce_mark(sk, MARK_KEEPALIVE, false);
	sk_stop_timer(sk, (struct timer_list *)ka_keepalive_timer(sk));
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
	bool had = sock_flag(sk, SOCK_KEEPOPEN) ||
		   enforce_marked(sk, MARK_OPTED_OUT);

	enforce_mark(sk, MARK_OPTED_OUT, !on && live && had);
	enforce_mark(sk, MARK_KEEPALIVE, false);
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

/**
 * ka_enforce_dir - who opened this connection?
 * @sk: the socket
 *
 * Nothing of the kernel's in a socket says so. One that the module did not see
 * become established the peer opened if somebody listens where it would have
 * arrived. Under rcu_read_lock().
 */
s8 ka_enforce_dir(const struct sock *sk)
{
	bool in = enforce_marked(sk, MARK_SEEN) ?
		  enforce_marked(sk, MARK_PASSIVE) : !!enforce_listener(sk);

	return in ? TCP_KEEPALIVE_DIR_IN : TCP_KEEPALIVE_DIR_OUT;
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
 * The rule that decides about a connection, or NULL; under rcu_read_lock(). A
 * direction of -1 is found out.
 */
static struct ka_rule *enforce_rule(struct ka_net *kn, const struct sock *sk,
				    s8 dir)
{
	const struct ka_rules *rules = rcu_dereference(kn->rules);
	struct ka_subject s;

	if (!rules)
		return NULL;
	ka_match_subject(&s, sk, dir < 0 ? ka_enforce_dir(sk) : dir);
	return ka_rules_decide(rules, &s);
}

/**
 * ka_enforce_new - a connection becomes established
 * @kn: its namespace
 * @sk: its socket, locked; BHs are off, under rcu_read_lock()
 * @passive: the peer opened it
 *
 * A value that nobody gives stays unset, so that the connection follows the
 * namespace's sysctls.
 */
void ka_enforce_new(struct ka_net *kn, struct sock *sk, bool passive)
{
	s32 effective[KA_NVALUES];
	struct ka_rule *r;
	bool changed;

	if (enforce_skips(sk, passive) != KA_SKIP_NOT)
		return;
	/* A socket may have had a life before, its listener too. */
	if (unlikely(enforce_marked(sk, MARK_KEEPALIVE)))
		enforce_off(sk);
	sk->sk_flags &= ~(BIT(MARK_OPTED_OUT) | BIT(MARK_PASSIVE));
	sk->sk_flags |= BIT(MARK_SEEN) | (unsigned long)passive << MARK_PASSIVE;
	r = enforce_rule(kn, sk, passive ? TCP_KEEPALIVE_DIR_IN :
					   TCP_KEEPALIVE_DIR_OUT);
	changed = r && enforce_values(sk, r, ENFORCE_NEW, effective);
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
	/* One that this end opens TCP arms itself, when the hook has returned. */
	if (changed && passive && sock_flag(sk, SOCK_KEEPOPEN))
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
	    time != tcp_sk(sk)->keepalive_time && !ka_enforce_probing(sk)) {
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
	if (enforces && !kn->enforces)
		ka_hook_asked();
	if (holds != kn->holds)
		ka_hook_setsockopt(holds);
	WRITE_ONCE(kn->enforces, enforces);
	WRITE_ONCE(kn->holds, holds);
}

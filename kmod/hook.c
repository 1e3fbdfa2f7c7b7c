// SPDX-License-Identifier: GPL-2.0
/*
 * Where TCP calls in. This file knows TCP's insides and tells probe.c and
 * enforce.c what happened.
 *
 * A hook runs with the socket locked, by the keepalive timer or the receive path
 * in softirq, or by a process; but for the timer's entry, setsockopt()'s end, and
 * sockets that never were established and are put down unlocked, which have no
 * record. None may sleep.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/irqflags.h>
#include <linux/kprobes.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <linux/tcp.h>
#include <linux/tracepoint.h>
#include <net/inet_connection_sock.h>
#include <net/ip.h>
#include <net/tcp.h>

#include "compat/ftrace.h"
#include "compat/timer.h"
#include "compat/workqueue.h"
#include "conn.h"
#include "enforce.h"
#include "hold.h"
#include "hook.h"
#include "net.h"
#include "probe.h"

/*
 * The namespace of a socket, unless it or the module is leaving; under
 * rcu_read_lock().
 */
static struct ka_net *hook_net(const struct sock *sk)
{
	struct ka_net *kn = ka_net_rcu(sock_net(sk));

	return kn && !READ_ONCE(kn->going) ? kn : NULL;
}

/*
 * Keep to this CPU, and its softirqs out: counters and records are changed
 * there too. A tracepoint may be hit with preemption off, where PREEMPT_RT's
 * local_bh_disable() does not nest well; there softirqs are threads, and
 * preemption off keeps them out.
 */
static void hook_enter(void)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		preempt_disable();
	else
		local_bh_disable();
}

static void hook_leave(void)
{
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		preempt_enable();
	else
		local_bh_enable();
}

/*
 * What TCP closes it with, or 0 where a process does. A program that asks for
 * SO_ERROR clears that, and without the lock, but cannot in an orphan.
 */
static int hook_error(const struct sock *sk)
{
	int err = READ_ONCE(sk->sk_err);

	if (!err && inet_csk(sk)->icsk_probes_out &&
	    !sock_owned_by_user_nocheck(sk) && !sock_flag(sk, SOCK_DEAD))
		err = READ_ONCE(sk->sk_err_soft) ?: ETIMEDOUT;
	return err;
}

/*
 * Did the keepalive timer close it, with the error @err? The timer is then the
 * one that runs, thus not pending, everything sent has been acknowledged, and
 * the error is the one that tcp_write_err() chooses. An RST or a tcp_abort()
 * that comes while the timer waits for the socket's lock brings an error of its
 * own; retransmission that runs out has something unacknowledged.
 */
static bool hook_by_keepalive(const struct sock *sk, int oldstate, int err)
{
	return err && err == (READ_ONCE(sk->sk_err_soft) ?: ETIMEDOUT) &&
	       sock_flag(sk, SOCK_KEEPOPEN) &&
	       !timer_pending(ka_keepalive_timer(sk)) &&
	       tcp_sk(sk)->snd_una == tcp_sk(sk)->write_seq &&
	       !((1 << oldstate) & (TCPF_SYN_SENT | TCPF_SYN_RECV));
}

/* Where both ends open it at once it is a program's already, and no copy. */
static bool hook_passive(const struct sock *sk, int oldstate)
{
	return oldstate == TCP_SYN_RECV &&
	       (!sk->sk_socket || sk->sk_max_ack_backlog);
}

/* Out of line, so that the many changes that are none of ours save nothing. */
static noinline void hook_established(struct sock *sk, int oldstate)
{
	struct ka_net *kn;

	rcu_read_lock();
	kn = hook_net(sk);
	if (kn && (READ_ONCE(kn->enforces) || ka_enforce_marked(sk))) {
		hook_enter();
		ka_enforce_new(kn, sk, hook_passive(sk, oldstate),
			       oldstate == TCP_SYN_SENT);
		hook_leave();
	}
	rcu_read_unlock();
}

static noinline void hook_close(struct sock *sk, int oldstate)
{
	int err = hook_error(sk);
	struct ka_net *kn;

	rcu_read_lock();
	kn = hook_net(sk);
	if (kn) {
		hook_enter();
		if (hook_by_keepalive(sk, oldstate, err))
			ka_probe_dead(kn, sk, err != ETIMEDOUT);
		else
			ka_probe_closed(kn, sk);
		hook_leave();
	}
	rcu_read_unlock();
}

static void hook_set_state(void *unused, const struct sock *csk,
			   const int oldstate, const int newstate)
{
	/* The tracepoint only lends it to be read, but we hold its lock. */
	struct sock *sk = (struct sock *)csk;

	if (newstate == TCP_ESTABLISHED) {
		/* What was noted in a life before is not of this one. */
		if ((ka_enforce_any() || ka_enforce_marked(sk)) &&
		    sk->sk_protocol == IPPROTO_TCP)
			hook_established(sk, oldstate);
	} else if (newstate == TCP_CLOSE) {
		if ((READ_ONCE(sk->sk_err) || ka_conn_maybe(sk)) &&
		    sk->sk_protocol == IPPROTO_TCP)
			hook_close(sk, oldstate);
	}
}

static void hook_receive_reset(void *unused, struct sock *sk)
{
	struct ka_net *kn;

	if (!ka_conn_maybe(sk))
		return;
	rcu_read_lock();
	kn = hook_net(sk);
	if (kn) {
		hook_enter();
		ka_probe_reset(kn, sk);
		hook_leave();
	}
	rcu_read_unlock();
}

/* One call of tcp_write_wakeup(), from its entry to its return. */
struct hook_wakeup {
	struct sock	*sk;
	unsigned long	counted;
};

/* This CPU's share of the namespace's TcpExtTCPKeepAlive. */
static unsigned long hook_counted(const struct sock *sk)
{
	struct linux_mib __percpu *mib = sock_net(sk)->mib.net_statistics;

	return this_cpu_read(mib->mibs[LINUX_MIB_TCPKEEPALIVE]);
}

/* In the keepalive timer, so BHs are off and this CPU stays this CPU. */
static int hook_wakeup_entry(struct kretprobe_instance *ri,
			     struct pt_regs *regs)
{
	struct hook_wakeup *w = (void *)ri->data;

	if ((int)regs_get_kernel_argument(regs, 1) != LINUX_MIB_TCPKEEPALIVE)
		return 1;
	w->sk = (struct sock *)regs_get_kernel_argument(regs, 0);
	w->counted = hook_counted(w->sk);
	return 0;
}

NOKPROBE_SYMBOL(hook_wakeup_entry);

static int hook_wakeup_return(struct kretprobe_instance *ri,
			      struct pt_regs *regs)
{
	struct hook_wakeup *w = (void *)ri->data;
	struct ka_net *kn;

	rcu_read_lock();
	kn = hook_net(w->sk);
	if (kn)
		ka_probe_sent(kn, w->sk, hook_counted(w->sk) - w->counted,
			      (int)regs_return_value(regs));
	rcu_read_unlock();
	return 0;
}

NOKPROBE_SYMBOL(hook_wakeup_return);

static struct kretprobe hook_wakeup = {
	.kp.symbol_name	= "tcp_write_wakeup",
	.entry_handler	= hook_wakeup_entry,
	.handler	= hook_wakeup_return,
	.data_size	= sizeof(struct hook_wakeup),
};

/*
 * TCP's keepalive timer is about to run, and to overwrite the time of the last
 * segment. The lock is the one that it takes next. With PREEMPT_RT it sleeps, and
 * without ftrace the kprobe is a trap, which counts as an NMI: then answers are
 * found without their time, or by who reads.
 */
static void hook_tick_look(struct ka_net *kn, struct sock *sk)
{
	struct ka_conn *c = ka_conn_find(kn, sk);
	bool there = true;

	if (!c)
		return;
	if (!IS_ENABLED(CONFIG_PREEMPT_RT) && !in_nmi() &&
	    spin_trylock(&sk->sk_lock.slock)) {
		/* One that was dropped since it was found owes nothing. */
		there = sock_owned_by_user(sk) || ka_probe_look(c);
		spin_unlock(&sk->sk_lock.slock);
	}
	if (there)
		ka_probe_tick(c);
}

static int hook_tick_entry(struct kprobe *p, struct pt_regs *regs)
{
	struct sock *sk;
	struct ka_net *kn;

	sk = ka_keepalive_sock((void *)regs_get_kernel_argument(regs, 0));
	if (!ka_conn_maybe(sk))
		return 0;
	rcu_read_lock();
	kn = hook_net(sk);
	if (kn)
		hook_tick_look(kn, sk);
	rcu_read_unlock();
	return 0;
}

NOKPROBE_SYMBOL(hook_tick_entry);

static struct kprobe hook_tick = {
	.symbol_name	= "tcp_keepalive_timer",
	.pre_handler	= hook_tick_entry,
};

/*
 * What programs call is heard by ftrace itself: while a kprobe's handler runs its
 * CPU hears no other kprobe, not those of the timer that interrupts it either, and
 * a program may call as often as it likes. Without ftrace it is a kprobe after all.
 */
struct hook_call {
	char		symbol_name[20];
	void		(*fn)(struct pt_regs *regs);
	bool		on;
#ifdef CONFIG_DYNAMIC_FTRACE_WITH_REGS
	struct ftrace_ops ops;
#else
	struct kprobe	kp;
#endif
};

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_REGS
static void notrace hook_called(unsigned long ip, unsigned long parent_ip,
				struct ftrace_ops *ops,
				struct ftrace_regs *fregs)
{
	struct pt_regs *regs = ftrace_get_regs(fregs);

	if (regs)
		container_of(ops, struct hook_call, ops)->fn(regs);
}

#define HOOK_CALLED							\
	.ops = { .func = hook_called, .flags = FTRACE_OPS_FL_SAVE_REGS }

/* As ftrace_free_filter(), which older kernels do not export. */
static void hook_call_forget(struct hook_call *call)
{
	ftrace_set_filter(&call->ops, NULL, 0, 1);
}

static int hook_call_register(struct hook_call *call)
{
	int err = ftrace_set_filter(&call->ops, call->symbol_name,
				    strlen(call->symbol_name), 1);

	if (err)
		return err;
	err = register_ftrace_function(&call->ops);
	if (err)
		hook_call_forget(call);
	return err;
}

static void hook_call_unregister(struct hook_call *call)
{
	unregister_ftrace_function(&call->ops);
	hook_call_forget(call);
}
#else
static int hook_called(struct kprobe *p, struct pt_regs *regs)
{
	container_of(p, struct hook_call, kp)->fn(regs);
	return 0;
}

NOKPROBE_SYMBOL(hook_called);

#define HOOK_CALLED	.kp = { .pre_handler = hook_called }

static int hook_call_register(struct hook_call *call)
{
	call->kp.symbol_name = call->symbol_name;
	call->kp.addr = NULL;
	call->kp.flags = 0;
	return register_kprobe(&call->kp);
}

static void hook_call_unregister(struct hook_call *call)
{
	unregister_kprobe(&call->kp);
}
#endif

static int hook_call_on(struct hook_call *call)
{
	int err = call->on ? 0 : hook_call_register(call);

	if (!err)
		call->on = true;
	return err;
}

static void hook_call_off(struct hook_call *call)
{
	if (call->on)
		hook_call_unregister(call);
	call->on = false;
}

/*
 * Interrupts off rather than BHs: where it is in a kprobe's handler after all,
 * softirqs that ran as BHs come on again would not be heard.
 */
static void hook_hold(struct ka_net *kn, struct sock *sk)
{
	unsigned long flags;

	/* A socket of the kernel's does not hold its namespace. */
	if (!READ_ONCE(kn->holds) || !sk->sk_net_refcnt ||
	    (1 << READ_ONCE(sk->sk_state)) & (TCPF_CLOSE | TCPF_LISTEN))
		return;
	local_irq_save(flags);
	ka_hold_add(sk);
	local_irq_restore(flags);
}

/*
 * A program turns keepalive on or off; the kernel's own way of it, which the
 * module does not take. The process has the socket locked; not so SMC, of the
 * TCP socket inside of its own, which no file has.
 */
static void hook_asked_fn(struct pt_regs *regs)
{
	struct sock *sk = (struct sock *)regs_get_kernel_argument(regs, 0);
	const struct socket *sock;
	struct ka_net *kn;

	rcu_read_lock();
	sock = READ_ONCE(sk->sk_socket);
	kn = hook_net(sk);
	if (kn && (!sock || sock->file)) {
		ka_enforce_asked(sk, (int)regs_get_kernel_argument(regs, 1));
		hook_hold(kn, sk);
	}
	rcu_read_unlock();
}

static struct hook_call hook_asked = {
	.symbol_name	= "tcp_set_keepalive",
	.fn		= hook_asked_fn,
	HOOK_CALLED,
};

/* A program sets an option of TCP. The socket is not locked yet. */
static void hook_setsockopt_fn(struct pt_regs *regs)
{
	struct sock *sk = (struct sock *)regs_get_kernel_argument(regs, 0);
	struct ka_net *kn;

	if ((int)regs_get_kernel_argument(regs, 1) != SOL_TCP)
		return;
	switch ((int)regs_get_kernel_argument(regs, 2)) {
	case TCP_KEEPIDLE:
	case TCP_KEEPINTVL:
	case TCP_KEEPCNT:
	case TCP_USER_TIMEOUT:
		break;
	default:
		return;
	}
	rcu_read_lock();
	kn = hook_net(sk);
	if (kn)
		hook_hold(kn, sk);
	rcu_read_unlock();
}

static struct hook_call hook_setsockopt = {
	.symbol_name	= "tcp_setsockopt",
	.fn		= hook_setsockopt_fn,
	HOOK_CALLED,
};

/* How many namespaces have a use for hook_setsockopt. */
static unsigned int hook_holders;
/* The hooks are there; rules may outlive them, with the namespaces. */
static bool hook_there;
static DEFINE_MUTEX(hook_lock);		/* protects both */
static void hook_rest_fn(struct work_struct *work);
static DECLARE_DELAYED_WORK(hook_rest, hook_rest_fn);

/* Changing the kernel's text is dear: not at the pace of whoever edits rules. */
#define HOOK_REST	(10 * HZ)

/* ftrace waits for all tasks: so does, then, who needs the hook again, and nobody else. */
static void hook_rest_fn(struct work_struct *work)
{
	mutex_lock(&hook_lock);
	if (!hook_holders)
		hook_call_off(&hook_setsockopt);
	mutex_unlock(&hook_lock);
}

/**
 * ka_hook_setsockopt - what programs set is of interest to one namespace more
 * @need: or less
 *
 * May sleep.
 */
void ka_hook_setsockopt(bool need)
{
	int err = 0;

	mutex_lock(&hook_lock);
	if (need) {
		hook_holders++;
		if (hook_there)
			err = hook_call_on(&hook_setsockopt);
	} else if (!--hook_holders && hook_there) {
		mod_delayed_work(system_dfl_wq, &hook_rest, HOOK_REST);
	}
	mutex_unlock(&hook_lock);
	if (err)
		pr_warn_once("cannot hook %s (error %d): what programs set is not noticed\n",
			     hook_setsockopt.symbol_name, err);
}

static struct hook_tracepoint {
	const char		*name;
	void			*probe;
	struct tracepoint	*tp;
} hook_tracepoints[] = {
	{ .name = "inet_sock_set_state", .probe = hook_set_state },
	{ .name = "tcp_receive_reset", .probe = hook_receive_reset },
};

/* The two are not exported, but can be found. */
static void hook_find(struct tracepoint *tp, void *unused)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(hook_tracepoints); i++)
		if (!strcmp(tp->name, hook_tracepoints[i].name))
			hook_tracepoints[i].tp = tp;
}

static void hook_tracepoints_exit(int n)
{
	while (n--)
		tracepoint_probe_unregister(hook_tracepoints[n].tp,
					    hook_tracepoints[n].probe, NULL);
	tracepoint_synchronize_unregister();
}

/**
 * ka_hook_init - let TCP call in
 *
 * May sleep. The state tracepoint comes before the probe: a record that is
 * made must find its end.
 *
 * Return: 0, or a negative error after a line in the log that says which hook
 * cannot be had; none is left then.
 */
int ka_hook_init(void)
{
	const char *name;
	int err, i;

	for_each_kernel_tracepoint(hook_find, NULL);
	for (i = 0; i < ARRAY_SIZE(hook_tracepoints); i++) {
		struct hook_tracepoint *h = &hook_tracepoints[i];

		err = h->tp ? tracepoint_probe_register(h->tp, h->probe, NULL) :
			      -EOPNOTSUPP;
		if (err) {
			pr_err("cannot load: no tracepoint %s in this kernel (error %d)\n",
			       h->name, err);
			goto out;
		}
	}

	name = hook_tick.symbol_name;
	err = register_kprobe(&hook_tick);
	if (err)
		goto out_name;
	name = hook_asked.symbol_name;
	err = hook_call_on(&hook_asked);
	if (err)
		goto out_tick;
	hook_wakeup.maxactive = 2 * num_possible_cpus();
	name = hook_wakeup.kp.symbol_name;
	err = register_kretprobe(&hook_wakeup);
	if (!err) {
		hook_there = true;
		return 0;
	}

	hook_call_off(&hook_asked);
out_tick:
	unregister_kprobe(&hook_tick);
out_name:
	pr_err("cannot load: no way to hook %s in this kernel (error %d)\n",
	       name, err);
	/* insmod would make a symbol missing in the module of it. */
	if (err == -ENOENT)
		err = -EOPNOTSUPP;
out:
	hook_tracepoints_exit(i);
	return err;
}

/* May sleep. No hook is inside when it returns. */
void ka_hook_exit(void)
{
	mutex_lock(&hook_lock);
	hook_there = false;
	mutex_unlock(&hook_lock);
	cancel_delayed_work_sync(&hook_rest);
	hook_call_off(&hook_setsockopt);
	unregister_kretprobe(&hook_wakeup);
	hook_call_off(&hook_asked);
	unregister_kprobe(&hook_tick);
	hook_tracepoints_exit(ARRAY_SIZE(hook_tracepoints));
}

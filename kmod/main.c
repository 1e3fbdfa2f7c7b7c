// SPDX-License-Identifier: GPL-2.0
/*
 * Load, unload, and the namespaces in between.
 *
 * Up: namespaces, hooks, counting, sysfs, netlink. Down: sysfs, which tells
 * netlink of changes, then the other way round, so that each part finds those it
 * stands on; the watch stops when no hook is left that could start it. The hooks
 * of a namespace that goes stay out from pre_exit on, and none is inside when exit
 * begins.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/nsproxy.h>
#include <linux/sched.h>
#include <net/genetlink.h>

#include <linux/tcp_keepalive.h>

#include "conn.h"
#include "event.h"
#include "hold.h"
#include "hook.h"
#include "net.h"
#include "netlink.h"
#include "pace.h"
#include "policy.h"
#include "pool.h"
#include "sysfs.h"
#include "watch.h"

unsigned int ka_net_id __read_mostly;

/* Namespaces that are made from here on have a maker. */
static bool main_loaded;

static int main_param[KA_NSYSCTLS] = { -1, -1, -1 };
static bool main_enforce;
static bool main_inherit;

module_param_named(time, main_param[KA_POLICY_TIME], int, 0444);
MODULE_PARM_DESC(time, "first namespace: seconds idle before the first probe, 1 to 32767 (-1: as it is)");
module_param_named(intvl, main_param[KA_POLICY_INTVL], int, 0444);
MODULE_PARM_DESC(intvl, "first namespace: seconds between unanswered probes, 1 to 32767 (-1: as it is)");
module_param_named(probes, main_param[KA_POLICY_PROBES], int, 0444);
MODULE_PARM_DESC(probes, "first namespace: unanswered probes before the connection is closed, 1 to 127 (-1: as it is)");
module_param_named(enforce, main_enforce, bool, 0444);
MODULE_PARM_DESC(enforce, "first namespace: keepalive on every new connection");
module_param_named(inherit, main_inherit, bool, 0444);
MODULE_PARM_DESC(inherit, "first namespace: new namespaces start with their maker's policy");
module_param_named(max_conns, ka_max_conns, uint, 0644);
MODULE_PARM_DESC(max_conns, "connections recorded per namespace");
module_param_named(max_conns_total, ka_max_conns_total, uint, 0644);
MODULE_PARM_DESC(max_conns_total, "connections recorded in all namespaces");

static int main_params(struct ka_policy *p)
{
	static const char * const name[] = { "time", "intvl", "probes" };
	int i;

	for (i = 0; i < KA_NSYSCTLS; i++) {
		if (main_param[i] == -1)
			continue;
		if (!ka_policy_allows(i, main_param[i])) {
			pr_err("cannot load: parameter %s=%d is not within 1 to %d\n",
			       name[i], main_param[i], ka_policy_max(i));
			return -ERANGE;
		}
		p->v[i] = main_param[i];
		p->given |= BIT(i);
	}
	p->v[KA_POLICY_ENFORCE] = main_enforce;
	p->v[KA_POLICY_INHERIT] = main_inherit;
	p->given |= BIT(KA_POLICY_ENFORCE) | BIT(KA_POLICY_INHERIT);
	return 0;
}

static int __net_init main_net_init(struct net *net)
{
	struct ka_net *kn = ka_net(net);
	int err;

	kn->net = net;
	err = ka_stats_init(kn);
	if (err)
		return err;
	ka_event_net_init(kn);
	ka_watch_init(kn);
	ka_policy_init(kn);
	/* Loading calls this for every namespace there is, as modprobe. */
	if (READ_ONCE(main_loaded))
		err = ka_policy_inherit(kn, ka_net(current->nsproxy->net_ns));
	if (!err)
		return 0;
	ka_policy_exit(kn);
	ka_watch_exit(kn);
	ka_stats_exit(kn);
	return err;
}

static void __net_exit main_net_pre_exit(struct net *net)
{
	WRITE_ONCE(ka_net(net)->going, true);
}

static void __net_exit main_net_exit(struct net *net)
{
	struct ka_net *kn = ka_net(net);

	ka_event_net_exit(kn);
	ka_conn_net_exit(kn);
	ka_watch_exit(kn);
	ka_policy_exit(kn);
	ka_stats_exit(kn);
}

static struct pernet_operations main_net_ops = {
	.init		= main_net_init,
	.pre_exit	= main_net_pre_exit,
	.exit		= main_net_exit,
	.id		= &ka_net_id,
	.size		= sizeof(struct ka_net),
};

/* Nothing is left that could use it. */
static void main_free(void)
{
	/* Tables of rules are freed by call_rcu(). */
	rcu_barrier();
	ka_pool_exit();
	ka_hold_exit();
	ka_conn_exit();
}

static int __init main_init(void)
{
	struct ka_policy p = {};
	int err;

	err = main_params(&p);
	if (err)
		return err;
	err = ka_conn_init() ?: ka_hold_init();
	if (err)
		goto out_free;
	ka_pool_init();
	err = register_pernet_subsys(&main_net_ops);
	if (err)
		goto out_free;
	err = ka_hook_init();
	if (err)
		goto out_net;
	err = ka_stats_start();
	if (err)
		goto out_hook;
	err = ka_sysfs_init();
	if (err)
		goto out_hook;
	ka_policy_set(ka_net(&init_net), &p);
	WRITE_ONCE(main_loaded, true);
	/* Last: a dump would outlive a failure after it. */
	err = ka_netlink_init();
	if (!err)
		return 0;

	ka_sysfs_exit();
out_hook:
	ka_hook_exit();
	ka_watch_stop();
	ka_hold_stop();
out_net:
	unregister_pernet_subsys(&main_net_ops);
out_free:
	main_free();
	return err;
}

static void __exit main_exit(void)
{
	ka_sysfs_exit();
	ka_netlink_exit();
	ka_hook_exit();
	ka_watch_stop();
	ka_hold_stop();
	ka_pace_stop();
	unregister_pernet_subsys(&main_net_ops);
	main_free();
}

module_init(main_init);
module_exit(main_exit);

MODULE_DESCRIPTION("TCP keepalive policy and statistics per network namespace");
MODULE_AUTHOR("The tcp-keepalive authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(KA_VERSION);
MODULE_ALIAS_GENL_FAMILY(TCP_KEEPALIVE_FAMILY_NAME);

// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/class/tcp_keepalive/netns: one device a namespace, and each namespace
 * sees its own. One value a file.
 */
#include <linux/capability.h>
#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/netdevice.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/uidgid.h>
#include <linux/workqueue.h>

#include "compat/class.h"
#include "net.h"
#include "policy.h"
#include "rule.h"
#include "stats.h"
#include "sysfs.h"

static unsigned long sysfs_index(const struct device_attribute *attr)
{
	return (unsigned long)container_of(attr, struct dev_ext_attribute,
					   attr)->var;
}

static ssize_t policy_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	enum ka_policy_field field = sysfs_index(attr);
	struct ka_policy p;

	ka_policy_get(dev_get_drvdata(dev), &p);
	if (field < KA_NSYSCTLS)
		return sysfs_emit(buf, "%d\n", p.v[field]);
	return sysfs_emit(buf, "%s\n", p.v[field] ? "on" : "off");
}

static ssize_t policy_store(struct device *dev, struct device_attribute *attr,
			    const char *buf, size_t len)
{
	enum ka_policy_field field = sysfs_index(attr);
	struct ka_net *kn = dev_get_drvdata(dev);
	struct ka_policy p = { .given = BIT(field) };
	bool on;
	int err;

	if (!ns_capable(kn->net->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	if (field < KA_NSYSCTLS) {
		err = kstrtoint(buf, 10, &p.v[field]);
	} else {
		err = kstrtobool(buf, &on);
		p.v[field] = !err && on;
	}
	if (err)
		return err;
	if (!ka_policy_allows(field, p.v[field]))
		return -ERANGE;
	ka_policy_set(kn, &p);
	return len;
}

#define POLICY_FILE(_name, _field)					\
	static struct dev_ext_attribute policy_##_name = {		\
		.attr = __ATTR(_name, 0644, policy_show, policy_store),	\
		.var = (void *)(_field),				\
	}

POLICY_FILE(time, KA_POLICY_TIME);
POLICY_FILE(intvl, KA_POLICY_INTVL);
POLICY_FILE(probes, KA_POLICY_PROBES);
POLICY_FILE(enforce, KA_POLICY_ENFORCE);
POLICY_FILE(inherit, KA_POLICY_INHERIT);

static ssize_t rules_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	const struct ka_net *kn = dev_get_drvdata(dev);
	const struct ka_rules *rules;
	unsigned int n;

	rcu_read_lock();
	rules = rcu_dereference(kn->rules);
	n = rules ? rules->n : 0;
	rcu_read_unlock();
	return sysfs_emit(buf, "%u\n", n);
}

static DEVICE_ATTR_RO(rules);

static struct attribute *policy_files[] = {
	&policy_time.attr.attr,
	&policy_intvl.attr.attr,
	&policy_probes.attr.attr,
	&policy_enforce.attr.attr,
	&policy_inherit.attr.attr,
	&dev_attr_rules.attr,
	NULL
};

static const struct attribute_group policy_group = { .attrs = policy_files };

static ssize_t stats_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	u64 v[KA_NSTATS];

	ka_stats_read(dev_get_drvdata(dev), v);
	return sysfs_emit(buf, "%llu\n", v[sysfs_index(attr)]);
}

#define X(id, _name)							\
	static struct dev_ext_attribute stats_##_name = {		\
		.attr = __ATTR(_name, 0444, stats_show, NULL),		\
		.var = (void *)KA_##id,					\
	};
KA_STATS(X)
#undef X

#define X(id, _name) &stats_##_name.attr.attr,
static struct attribute *stats_files[] = {
	KA_STATS(X)
	NULL
};

#undef X

static const struct attribute_group stats_group = {
	.name = "statistics",
	.attrs = stats_files,
};

static const struct attribute_group *sysfs_groups[] = {
	&policy_group,
	&stats_group,
	NULL
};

static struct net *sysfs_net(const struct device *dev)
{
	return ((struct ka_net *)dev_get_drvdata(dev))->net;
}

static const ka_class_tag *sysfs_namespace(ka_class_const struct device *dev)
{
	return ka_class_tag_of(sysfs_net(dev));
}

static void sysfs_get_ownership(ka_class_const struct device *dev, kuid_t *uid,
				kgid_t *gid)
{
	net_ns_get_ownership(sysfs_net(dev), uid, gid);
}

/*
 * A namespace made in one step with its user namespace has no root yet: the
 * map is written next. The files are given to it soon after; where there is no
 * map after 10 s there will be none.
 */
#define SYSFS_OWN_WAIT		(HZ / 50)
#define SYSFS_OWN_TRIES		9

static bool sysfs_owned(const struct ka_net *kn)
{
	return uid_valid(make_kuid(kn->net->user_ns, 0)) &&
	       gid_valid(make_kgid(kn->net->user_ns, 0));
}

static void sysfs_own(struct work_struct *work)
{
	struct ka_net *kn = container_of(to_delayed_work(work), struct ka_net,
					 own_work);
	kuid_t uid = GLOBAL_ROOT_UID;
	kgid_t gid = GLOBAL_ROOT_GID;

	if (!sysfs_owned(kn) && ++kn->own_tries < SYSFS_OWN_TRIES) {
		queue_delayed_work(system_power_efficient_wq, &kn->own_work,
				   SYSFS_OWN_WAIT << kn->own_tries);
		return;
	}
	net_ns_get_ownership(kn->net, &uid, &gid);
	sysfs_groups_change_owner(&kn->dev->kobj, sysfs_groups, uid, gid);
}

static void sysfs_release(struct device *dev)
{
	kfree(dev);
}

static struct class sysfs_class = {
	.name		= "tcp_keepalive",
	.ns_type	= &net_ns_type_operations,
	.namespace	= sysfs_namespace,
	.get_ownership	= sysfs_get_ownership,
	.dev_release	= sysfs_release,
};

static int __net_init sysfs_net_init(struct net *net)
{
	struct ka_net *kn = ka_net(net);
	struct device *dev = kzalloc(sizeof(*dev), GFP_KERNEL_ACCOUNT);
	int err;

	if (!dev)
		return -ENOMEM;
	device_initialize(dev);
	dev->class = &sysfs_class;
	dev->groups = sysfs_groups;
	dev_set_drvdata(dev, kn);
	/* udev need not hear of every namespace. */
	dev_set_uevent_suppress(dev, true);
	device_set_pm_not_required(dev);

	err = dev_set_name(dev, "netns");
	if (!err)
		err = device_add(dev);
	if (err) {
		put_device(dev);
		return err;
	}
	kn->dev = dev;
	INIT_DELAYED_WORK(&kn->own_work, sysfs_own);
	if (!sysfs_owned(kn))
		queue_delayed_work(system_power_efficient_wq, &kn->own_work,
				   SYSFS_OWN_WAIT);
	return 0;
}

static void __net_exit sysfs_net_exit(struct net *net)
{
	struct ka_net *kn = ka_net(net);

	cancel_delayed_work_sync(&kn->own_work);
	device_unregister(kn->dev);
}

static struct pernet_operations sysfs_net_ops = {
	.init = sysfs_net_init,
	.exit = sysfs_net_exit,
};

int ka_sysfs_init(void)
{
	int err = class_register(&sysfs_class);

	if (err)
		return err;
	err = register_pernet_subsys(&sysfs_net_ops);
	if (err)
		class_unregister(&sysfs_class);
	return err;
}

void ka_sysfs_exit(void)
{
	unregister_pernet_subsys(&sysfs_net_ops);
	class_unregister(&sysfs_class);
}

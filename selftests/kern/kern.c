// SPDX-License-Identifier: GPL-2.0
/*
 * For the tests: a TCP connection of the kernel's own in the first namespace, over
 * loopback, for as long as it is loaded. See whose.py.
 */
#include <linux/in.h>
#include <linux/module.h>
#include <linux/net.h>
#include <net/net_namespace.h>
#include <net/sock.h>

static unsigned short port;
module_param(port, ushort, 0444);
MODULE_PARM_DESC(port, "that one end listens at");

/* One that listens, one that connects, and what becomes of it. */
static struct socket *ends[3];

static int kern_open(struct sockaddr_in *addr)
{
	struct sockaddr *to = (struct sockaddr *)addr;
	int err, i;

	for (i = 0; i < 2; i++) {
		err = sock_create_kern(&init_net, AF_INET, SOCK_STREAM,
				       IPPROTO_TCP, &ends[i]);
		if (err)
			return err;
	}
	sock_set_reuseaddr(ends[0]->sk);
	return kernel_bind(ends[0], (void *)to, sizeof(*addr)) ?:
	       kernel_listen(ends[0], 1) ?:
	       kernel_connect(ends[1], (void *)to, sizeof(*addr), 0) ?:
	       kernel_accept(ends[0], &ends[2], 0);
}

static void kern_close(void)
{
	int i;

	for (i = ARRAY_SIZE(ends); i--; )
		if (ends[i])
			sock_release(ends[i]);
}

static int __init kern_init(void)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port),
	};
	int err = kern_open(&addr);

	if (err)
		kern_close();
	return err;
}

static void __exit kern_exit(void)
{
	kern_close();
}

module_init(kern_init);
module_exit(kern_exit);

MODULE_DESCRIPTION("A TCP connection of the kernel's own");
MODULE_LICENSE("GPL");

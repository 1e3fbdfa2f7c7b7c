// SPDX-License-Identifier: GPL-2.0
/*
 * For the tests: as TCP gives a connection to a certain port up, a program's
 * thread asks for SO_ERROR, which takes the error away before it is closed. On
 * this side of the system call, so that it comes at the right time.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <net/inet_sock.h>

static unsigned short port;
module_param(port, ushort, 0444);
MODULE_PARM_DESC(port, "of the peer");

static int asks_done(struct kprobe *p, struct pt_regs *regs)
{
	struct sock *sk = (void *)regs_get_kernel_argument(regs, 0);

	if (inet_sk(sk)->inet_dport == htons(port))
		WRITE_ONCE(sk->sk_err, 0);
	return 0;
}

static struct kprobe asks_kprobe = {
	.symbol_name	= "tcp_done",
	.pre_handler	= asks_done,
};

static int __init asks_init(void)
{
	return register_kprobe(&asks_kprobe);
}

static void __exit asks_exit(void)
{
	unregister_kprobe(&asks_kprobe);
}

module_init(asks_init);
module_exit(asks_exit);

MODULE_DESCRIPTION("SO_ERROR is asked for as a connection dies");
MODULE_AUTHOR("The tcp-keepalive authors");
MODULE_LICENSE("GPL");

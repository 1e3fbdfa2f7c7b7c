// SPDX-License-Identifier: GPL-2.0
/*
 * What storm.py needs many of, quickly:
 *
 * storm rules N: replaces a rule for every connection N times. Each gives as time
 * what it gives as intvl.
 *
 * storm namespaces N AT_ONCE [own]: makes N network namespaces and deletes each when a
 * probe is out on a connection in it. They inherit a policy that enforces, or with "own"
 * ask for probes themselves, as they must where the module is not loaded.
 */
#define _GNU_SOURCE
#include <err.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "nl.h"

#define RULES		20
#define VALUES		1000
#define NAP_US		20000
#define NAPS		3000	/* a minute */

static int must(int result, const char *what)
{
	if (result < 0)
		err(EXIT_FAILURE, "%s", what);
	return result;
}

static void rules(int n)
{
	int fd = netlink(), family, i;
	uint32_t group;

	family = family_id(fd, TCP_KEEPALIVE_MCGRP_POLICY, &group);
	if (family < 0)
		errx(EXIT_FAILURE, "no family");
	for (i = 0; i < n; i++) {
		uint32_t value = 10 + i % VALUES;
		struct message m;
		struct answer *r;

		start(&m, family, TCP_KEEPALIVE_CMD_RULE_REPLACE);
		add_u32(&m, TCP_KEEPALIVE_A_RULE_PREF, 1 + i % RULES);
		add_u32(&m, TCP_KEEPALIVE_A_RULE_KEEPALIVE, TCP_KEEPALIVE_ACTION_ON);
		add_u32(&m, TCP_KEEPALIVE_A_RULE_TIME, value);
		add_u32(&m, TCP_KEEPALIVE_A_RULE_INTVL, value);
		r = ask(fd, &m);
		if (r->error)
			errx(EXIT_FAILURE, "rule %d: %s", i, strerror(-r->error));
	}
}

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = must(socket(AF_INET, SOCK_DGRAM, 0), "socket");

	must(ioctl(fd, SIOCSIFFLAGS, &ifr), "lo");
	close(fd);
}

/* A namespace with a connection whose other end hears nothing any more. */
static void namespace(bool own)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog deaf = { .len = 1, .filter = &none };
	/* Or they would keep the namespace, each with a FIN that nobody hears. */
	struct linger reset = { .l_onoff = 1 };
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	struct tcp_info info;
	int listener, a, b, i, one = 1;

	must(unshare(CLONE_NEWNET), "unshare");
	loopback_up();
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
	must(bind(listener, (void *)&at, sizeof(at)), "bind");
	must(listen(listener, 1), "listen");
	must(getsockname(listener, (void *)&at, &len), "getsockname");
	a = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
	must(connect(a, (void *)&at, sizeof(at)), "connect");
	b = must(accept(listener, NULL, NULL), "accept");
	must(setsockopt(a, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), "SO_LINGER");
	must(setsockopt(b, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), "SO_LINGER");
	must(setsockopt(b, SOL_SOCKET, SO_ATTACH_FILTER, &deaf, sizeof(deaf)), "filter");
	if (own) {
		must(setsockopt(a, IPPROTO_TCP, TCP_KEEPIDLE, &one, sizeof(one)), "TCP_KEEPIDLE");
		must(setsockopt(a, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)), "SO_KEEPALIVE");
	}
	for (i = 0; i < NAPS; i++) {
		len = sizeof(info);
		must(getsockopt(a, IPPROTO_TCP, TCP_INFO, &info, &len), "TCP_INFO");
		if (info.tcpi_probes)
			exit(EXIT_SUCCESS);
		usleep(NAP_US);
	}
	errx(EXIT_FAILURE, "no probe");
}

static void namespaces(int n, int at_once, bool own)
{
	int begun, ended, status;

	for (begun = ended = 0; ended < n; ) {
		if (begun < n && begun - ended < at_once) {
			begun++;
			if (!must(fork(), "fork"))
				namespace(own);
			continue;
		}
		must(wait(&status), "wait");
		if (status)
			errx(EXIT_FAILURE, "a namespace: status %#x", status);
		ended++;
	}
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "rules"))
		rules(atoi(argv[2]));
	else if ((argc == 4 || (argc == 5 && !strcmp(argv[4], "own"))) &&
		 !strcmp(argv[1], "namespaces"))
		namespaces(atoi(argv[2]), atoi(argv[3]), argc == 5);
	else
		errx(EXIT_FAILURE, "usage: storm rules N | namespaces N AT_ONCE [own]");
	return EXIT_SUCCESS;
}

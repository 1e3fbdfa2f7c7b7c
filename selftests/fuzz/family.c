// SPDX-License-Identifier: GPL-2.0
/*
 * Random messages to the netlink family, made from its YNL spec: good ones, ones
 * with one thing wrong, cut short, flipped; dumps side by side and left in the
 * middle; namespaces that are made for a few messages and go.
 *
 *	family [-n MESSAGES] [-s SEED] [-r]
 *
 * -r: may only read, as its user has no CAP_NET_ADMIN over the namespace.
 *
 * It looks for what must not happen: an answer that does not parse or is not what
 * the spec says, one from another namespace, a refusal without a word, something
 * wrong that is accepted, a change by somebody who may not, no answer at all. The
 * same seed sends the same messages.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "family.h"

#define SOCKETS		4		/* the first waits for each answer */

static uint64_t seed, sent_now;
static struct draft draft;
static struct asker me;
static struct socket sockets[SOCKETS];
static struct ears ears = { .who = &me, .fd = -1 };

void fail(const char *fmt, ...)
{
	va_list args;
	size_t i;

	fprintf(stderr, "family: seed %" PRIu64 ", message %" PRIu64 ": ", seed, sent_now);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\nthe last one sent:");
	for (i = 0; i < draft.len && i < 512; i++)
		fprintf(stderr, "%s%02x", i % 4 ? "" : " ", (unsigned char)draft.data[i]);
	fprintf(stderr, "\n");
	exit(1);
}

static void socket_open(struct socket *s)
{
	int on = 1;

	if (s->fd > 0)
		close(s->fd);
	*s = (struct socket){ .who = &me, .fd = netlink(), .waits = s == &sockets[0] };
	if (s->fd < 0)
		fail("no socket: %s", strerror(errno));
	/* Else each refusal brings the whole request back. */
	setsockopt(s->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
}

static void ears_open(void)
{
	int i;

	if (ears.fd >= 0)
		close(ears.fd);
	ears.fd = netlink();
	memset(ears.heard, 0, sizeof(ears.heard));
	for (i = 0; i < LEN(ears.group); i++)
		if (setsockopt(ears.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &ears.group[i],
			       sizeof(ears.group[i])))
			fail("cannot listen: %s", strerror(errno));
}

static void open_all(void)
{
	struct stat st;
	int i;

	if (stat("/proc/self/ns/net", &st))
		fail("no namespace: %s", strerror(errno));
	me.netns_ino = (uint32_t)st.st_ino;
	for (i = 0; i < SOCKETS; i++)
		socket_open(&sockets[i]);
	ears_open();
}

static void send_one(struct socket *s)
{
	struct ask *ask = &s->ask[++s->seq % ASKS];
	int n;

	*ask = make(&draft, &me, s->seq);
	me.tally[ask->cmd].sent++;
	if (send(s->fd, draft.data, draft.len, 0) < 0 && errno != EAGAIN && errno != ENOBUFS)
		fail("send: %s", strerror(errno));
	s->sent++;
	if (s->waits) {
		while (take(s))
			;
		if (ask->open)
			fail("%s has no answer", ask->cmd ? commands[ask->cmd].name : "it");
	} else {
		for (n = (int)below(5); n && take(s); n--)
			;
		if (s->sent >= ASKS / 2 || one_in(32))
			socket_open(s);
	}
}

static void send_some(uint64_t n)
{
	for (; n; n--, sent_now++) {
		send_one(&sockets[one_in(3) ? 1 + below(SOCKETS - 1) : 0]);
		if (one_in(32))
			listen_in(&ears);
		if (one_in(512))
			ears_open();
	}
}

/* A namespace, with its owner maybe, that lasts for a few messages. */
static void elsewhere(void)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		chance_in_child();
		if (unshare((me.reader || one_in(2) ? CLONE_NEWUSER : 0) | CLONE_NEWNET))
			_exit(errno == EPERM || errno == ENOSPC || errno == EUSERS ? 0 : 1);
		me.reader = false;
		open_all();
		send_some(50);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		fail("in a new namespace: status %#x", (unsigned int)status);
	sent_now += 50;
}

static uint32_t group_id(const char *name)
{
	int fd = netlink();
	uint32_t id = 0;

	me.family = family_id(fd, name, &id);
	close(fd);
	if (me.family < 0 || !id)
		fail("no family, or no group %s", name);
	return id;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	uint64_t messages = 20000;
	double begin = now(), took;
	int i, opt;

	seed = (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32;
	while ((opt = getopt(argc, argv, "n:s:r")) != -1) {
		if (opt == 'n')
			messages = strtoull(optarg, NULL, 0);
		else if (opt == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (opt == 'r')
			me.reader = true;
		else
			return 2;
	}
	chance_seed(seed);
	ears.group[0] = group_id(TCP_KEEPALIVE_MCGRP_POLICY);
	ears.group[1] = group_id(TCP_KEEPALIVE_MCGRP_EVENTS);
	open_all();
	while (sent_now < messages) {
		send_some(200);
		if (one_in(4))
			elsewhere();
	}
	took = now() - begin;
	printf("seed %" PRIu64 ": %" PRIu64 " messages in %.1f s, %.0f a second; %" PRIu64
	       " events\n", seed, sent_now, took, (double)sent_now / took, ears.events);
	for (i = 1; i < COMMANDS; i++)
		if (!commands[i].event)
			printf("%s %" PRIu64 " sent %" PRIu64 " done %" PRIu64 " refused\n",
			       commands[i].name, me.tally[i].sent, me.tally[i].done,
			       me.tally[i].refused);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The generic-netlink family as a program sees it that uses no library: what is
 * refused and with which extended ack, who may, and who hears of a change.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>

#include "nl.h"

#include "../kselftest_harness.h"

static int sysctl_time(void)
{
	char text[16] = {};
	int fd = open("/proc/sys/net/ipv4/tcp_keepalive_time", O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return -1;
	close(fd);
	return atoi(text);
}

FIXTURE(family)
{
	int fd;
	int id;
	uint32_t policy_group;
	struct message m;
};

FIXTURE_SETUP(family)
{
	/* A namespace of the test's own, so that each starts with the defaults. */
	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	self->fd = netlink();
	ASSERT_LE(0, self->fd);
	self->id = family_id(self->fd, TCP_KEEPALIVE_MCGRP_POLICY,
			     &self->policy_group);
	ASSERT_LT(0, self->id);
	ASSERT_LT(0, self->policy_group);
}

FIXTURE_TEARDOWN(family)
{
	close(self->fd);
}

TEST_F(family, policy_get_gives_every_attribute)
{
	struct answer *r;
	int i;

	start(&self->m, self->id, TCP_KEEPALIVE_CMD_POLICY_GET);
	r = ask(self->fd, &self->m);
	ASSERT_EQ(0, r->error);
	for (i = TCP_KEEPALIVE_A_POLICY_NETNS_INO;
	     i <= TCP_KEEPALIVE_A_POLICY_INHERIT; i++)
		EXPECT_NE(NULL, r->attr[i]);
	EXPECT_EQ(7200, number(r->attr[TCP_KEEPALIVE_A_POLICY_TIME]));
	EXPECT_EQ(75, number(r->attr[TCP_KEEPALIVE_A_POLICY_INTVL]));
	EXPECT_EQ(9, number(r->attr[TCP_KEEPALIVE_A_POLICY_PROBES]));
}

TEST_F(family, stats_get_gives_every_counter)
{
	struct answer *r;
	int i;

	start(&self->m, self->id, TCP_KEEPALIVE_CMD_STATS_GET);
	r = ask(self->fd, &self->m);
	ASSERT_EQ(0, r->error);
	for (i = TCP_KEEPALIVE_A_STATS_PROBES_SENT;
	     i <= TCP_KEEPALIVE_A_STATS_CONNS_UNTRACKED; i++) {
		ASSERT_NE(NULL, r->attr[i]);
		EXPECT_EQ(0, number(r->attr[i]));
	}
}

TEST_F(family, out_of_range_names_attribute_and_range)
{
	static const struct {
		int attr;
		uint32_t bad[2];
		uint64_t max;
	} cases[] = {
		{ TCP_KEEPALIVE_A_POLICY_TIME, { 0, 32768 }, 32767 },
		{ TCP_KEEPALIVE_A_POLICY_INTVL, { -1, 32768 }, 32767 },
		{ TCP_KEEPALIVE_A_POLICY_PROBES, { 0, 128 }, 127 },
	};
	int i, j;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (j = 0; j < 2; j++) {
			struct answer *r;
			int offset;

			start(&self->m, self->id,
			      TCP_KEEPALIVE_CMD_POLICY_SET);
			add_u32(&self->m, TCP_KEEPALIVE_A_POLICY_TIME +
				(cases[i].attr == TCP_KEEPALIVE_A_POLICY_TIME),
				60);
			offset = self->m.nlh.nlmsg_len;
			add_u32(&self->m, cases[i].attr, cases[i].bad[j]);
			r = ask(self->fd, &self->m);
			EXPECT_EQ(-ERANGE, r->error);
			EXPECT_EQ(offset, r->offset);
			EXPECT_TRUE(r->range);
			EXPECT_EQ(1, r->min);
			EXPECT_EQ(cases[i].max, r->max);
			EXPECT_EQ(7200, sysctl_time());
		}
	}
}

TEST_F(family, switches_are_0_or_1)
{
	struct answer *r;
	uint8_t two = 2;

	start(&self->m, self->id, TCP_KEEPALIVE_CMD_POLICY_SET);
	add(&self->m, TCP_KEEPALIVE_A_POLICY_ENFORCE, &two, sizeof(two));
	r = ask(self->fd, &self->m);
	EXPECT_EQ(-ERANGE, r->error);
	EXPECT_EQ(NLMSG_LENGTH(GENL_HDRLEN), r->offset);
	EXPECT_EQ(1, r->max);
}

TEST_F(family, nonsense_is_refused_with_a_word)
{
	struct answer *r;
	uint8_t byte = 60;

	/* Nothing to set. */
	start(&self->m, self->id, TCP_KEEPALIVE_CMD_POLICY_SET);
	r = ask(self->fd, &self->m);
	EXPECT_EQ(-EINVAL, r->error);
	ASSERT_NE(NULL, r->text);
	EXPECT_NE(NULL, strstr(r->text, "time, intvl, probes"));

	/* An attribute that is too short. */
	start(&self->m, self->id, TCP_KEEPALIVE_CMD_POLICY_SET);
	add(&self->m, TCP_KEEPALIVE_A_POLICY_TIME, &byte, sizeof(byte));
	r = ask(self->fd, &self->m);
	EXPECT_GT(0, r->error);
	EXPECT_NE(NULL, r->text);
	EXPECT_EQ(NLMSG_LENGTH(GENL_HDRLEN), r->offset);

	/* One that can only be read, one that nobody knows. */
	start(&self->m, self->id, TCP_KEEPALIVE_CMD_POLICY_SET);
	add_u32(&self->m, TCP_KEEPALIVE_A_POLICY_NETNS_INO, 1);
	r = ask(self->fd, &self->m);
	EXPECT_GT(0, r->error);
	EXPECT_NE(NULL, r->text);
	start(&self->m, self->id, TCP_KEEPALIVE_CMD_POLICY_SET);
	add_u32(&self->m, 60, 1);
	r = ask(self->fd, &self->m);
	EXPECT_GT(0, r->error);
	EXPECT_NE(NULL, r->text);

	/* One where none is taken. */
	start(&self->m, self->id, TCP_KEEPALIVE_CMD_POLICY_GET);
	add_u32(&self->m, 1, 1);
	r = ask(self->fd, &self->m);
	EXPECT_EQ(-EINVAL, r->error);
	ASSERT_NE(NULL, r->text);
	EXPECT_NE(NULL, strstr(r->text, "takes no attributes"));

	start(&self->m, self->id, TCP_KEEPALIVE_CMD_MAX + 1);
	r = ask(self->fd, &self->m);
	EXPECT_EQ(-EOPNOTSUPP, r->error);
	EXPECT_EQ(7200, sysctl_time());
}

TEST_F(family, nobody_reads_and_does_not_set)
{
	struct answer *r;
	int fd;

	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	fd = netlink();
	start(&self->m, self->id, TCP_KEEPALIVE_CMD_STATS_GET);
	r = ask(fd, &self->m);
	EXPECT_EQ(0, r->error);
	start(&self->m, self->id, TCP_KEEPALIVE_CMD_POLICY_SET);
	add_u32(&self->m, TCP_KEEPALIVE_A_POLICY_TIME, 60);
	r = ask(fd, &self->m);
	EXPECT_EQ(-EPERM, r->error);
	start(&self->m, self->id, TCP_KEEPALIVE_CMD_POLICY_RESET);
	r = ask(fd, &self->m);
	EXPECT_EQ(-EPERM, r->error);
	close(fd);
	EXPECT_EQ(7200, sysctl_time());
}

/* The next policy event, or NULL if none comes. */
static struct answer *event(int fd)
{
	static struct answer r;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int len;

	memset(&r, 0, sizeof(r));
	if (poll(&p, 1, 200) != 1)
		return NULL;
	len = recv(fd, &r.m, sizeof(r.m), 0);
	if (len < 0 || r.m.genl.cmd != TCP_KEEPALIVE_CMD_POLICY_NTF)
		return NULL;
	index_attrs(r.attr, r.m.attrs, len - NLMSG_LENGTH(GENL_HDRLEN));
	return &r;
}

static void set_time(struct __test_metadata *_metadata, struct message *m,
		     int fd, int family, int time)
{
	struct answer *r;

	start(m, family, TCP_KEEPALIVE_CMD_POLICY_SET);
	add_u32(m, TCP_KEEPALIVE_A_POLICY_TIME, time);
	r = ask(fd, m);
	ASSERT_EQ(0, r->error);
	EXPECT_EQ(time, number(r->attr[TCP_KEEPALIVE_A_POLICY_TIME]));
	EXPECT_EQ(time, sysctl_time());
}

TEST_F(family, listeners_hear_of_each_change)
{
	struct answer *e;
	int fd = netlink();

	ASSERT_EQ(0, setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP,
				&self->policy_group,
				sizeof(self->policy_group)));

	set_time(_metadata, &self->m, self->fd, self->id, 60);
	e = event(fd);
	ASSERT_NE(NULL, e);
	EXPECT_EQ(60, number(e->attr[TCP_KEEPALIVE_A_POLICY_TIME]));
	EXPECT_EQ(1, number(e->attr[TCP_KEEPALIVE_A_POLICY_SEQ]));
	EXPECT_LT(1000000000000000000, number(e->attr[TCP_KEEPALIVE_A_POLICY_AT]));

	/* Nothing changed, nothing to tell. */
	set_time(_metadata, &self->m, self->fd, self->id, 60);
	EXPECT_EQ(NULL, event(fd));

	start(&self->m, self->id, TCP_KEEPALIVE_CMD_POLICY_RESET);
	EXPECT_EQ(0, ask(self->fd, &self->m)->error);
	e = event(fd);
	ASSERT_NE(NULL, e);
	EXPECT_EQ(7200, number(e->attr[TCP_KEEPALIVE_A_POLICY_TIME]));
	EXPECT_EQ(2, number(e->attr[TCP_KEEPALIVE_A_POLICY_SEQ]));
	close(fd);
}

TEST_F(family, listeners_hear_of_their_own_namespace)
{
	int fd = netlink(), other;

	ASSERT_EQ(0, setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP,
				&self->policy_group,
				sizeof(self->policy_group)));
	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	other = netlink();
	set_time(_metadata, &self->m, other, self->id, 60);
	EXPECT_EQ(NULL, event(fd));
	close(other);
	close(fd);
}

TEST_HARNESS_MAIN

// SPDX-License-Identifier: GPL-2.0
/* A message: which command, what is done wrong to all of it, and what has to come of it. */
#include "family.h"

static int random_command(void)
{
	int cmd;

	/* Rules are to last a while. */
	do
		cmd = 1 + (int)below(COMMANDS - 1);
	while (commands[cmd].event || (cmd == TCP_KEEPALIVE_CMD_RULE_FLUSH && !one_in(8)) ||
	       (cmd == TCP_KEEPALIVE_CMD_RESTORE && !one_in(4)));
	return cmd;
}

static bool reads(int cmd)
{
	return cmd == TCP_KEEPALIVE_CMD_POLICY_GET || cmd == TCP_KEEPALIVE_CMD_STATS_GET ||
	       cmd == TCP_KEEPALIVE_CMD_CONN_GET || cmd == TCP_KEEPALIVE_CMD_RULE_GET ||
	       cmd == TCP_KEEPALIVE_CMD_RULE_TEST;
}

/* What comes after the attributes. */
static void finish_wrong(struct draft *d, int cmd)
{
	struct nlmsghdr *nlh = (void *)d->data;
	struct genlmsghdr *genl = NLMSG_DATA(nlh);
	uint32_t n;

	if (d->wrong == WRONG_UNKNOWN && !d->done_wrong) {
		put_unknown(d, sets[commands[cmd].set].n);
		d->done_wrong = true;
	}
	switch (d->wrong) {
	case WRONG_COMMAND:
		/* Those of events are none that can be asked for. */
		genl->cmd = one_in(4) ? TCP_KEEPALIVE_CMD_EVENT_NTF :
				       (uint8_t)(COMMANDS + below(256 - COMMANDS));
		break;
	case WRONG_DUMP:
		nlh->nlmsg_flags ^= NLM_F_DUMP;
		break;
	case WRONG_HEADER:
		genl->version = (uint8_t)any();
		genl->reserved = (uint16_t)below(2);
		nlh->nlmsg_flags = (uint16_t)any();
		break;
	case WRONG_CUT:
		n = below((uint32_t)d->len - NLMSG_HDRLEN);
		d->len = NLMSG_HDRLEN + n;
		break;
	case WRONG_FLIP:
		for (n = 1 + below(4); n && d->len > NLMSG_HDRLEN; n--)
			d->data[NLMSG_HDRLEN + below((uint32_t)d->len - NLMSG_HDRLEN)] ^=
				(char)(1 << below(8));
		break;
	default:
		return;
	}
	d->done_wrong = true;
}

/* What is known of its answer. */
static struct ask expect(const struct draft *d, int cmd, bool reader)
{
	const struct nlmsghdr *nlh = (void *)d->data;
	bool acked = nlh->nlmsg_flags & NLM_F_ACK;
	struct ask ask = { .seq = nlh->nlmsg_seq };

	ask.may_be_short = d->len < NLMSG_LENGTH(GENL_HDRLEN);
	ask.open = d->wrong != WRONG_SHORT &&
		   (acked || (commands[cmd].dump && d->wrong != WRONG_HEADER));
	if (d->wrong == WRONG_FLIP || d->wrong == WRONG_CUT || !(nlh->nlmsg_flags & NLM_F_REQUEST))
		return ask;
	ask.cmd = cmd;
	ask.reads = reads(cmd);
	ask.refused = (d->done_wrong && d->wrong <= WRONG_REFUSED) || (reader && !ask.reads);
	return ask;
}

struct ask make(struct draft *d, const struct asker *who, uint32_t seq)
{
	int cmd = random_command(), flags = NLM_F_REQUEST;
	struct nlmsghdr *nlh = (void *)d->data;
	struct genlmsghdr *genl = NLMSG_DATA(nlh);

	d->wrong = one_in(3) ? WRONG_NOTHING : (enum wrong)below(WRONGS);
	d->victim = (int)below(one_in(2) ? 2 : 10);
	d->done_wrong = false;
	d->filter = commands[cmd].dump;
	if (commands[cmd].dump)
		flags |= NLM_F_DUMP;
	if (!one_in(8))
		flags |= NLM_F_ACK;

	*nlh = (struct nlmsghdr){ .nlmsg_type = (uint16_t)who->family,
				  .nlmsg_flags = (uint16_t)flags, .nlmsg_seq = seq };
	*genl = (struct genlmsghdr){ .cmd = (uint8_t)cmd, .version = 1 };
	d->len = NLMSG_LENGTH(GENL_HDRLEN);
	put_attrs(d, commands[cmd].set, commands[cmd].request);
	finish_wrong(d, cmd);
	nlh->nlmsg_len = (uint32_t)d->len;
	/* The kernel does not look at what is shorter than it says. */
	if (d->wrong == WRONG_SHORT)
		nlh->nlmsg_len = one_in(2) ? below(NLMSG_HDRLEN) : nlh->nlmsg_len + 1 + below(64);
	return expect(d, cmd, who->reader);
}

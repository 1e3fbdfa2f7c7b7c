// SPDX-License-Identifier: GPL-2.0
/*
 * Talking to the module: libnl carries the messages, and what it leaves out,
 * extended acks, is read here.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/family.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include <linux/tcp_keepalive.h>

#include "kactl.h"
#include "module.h"
#include "nl.h"

/* NLMSGERR_ATTR_MISS_TYPE, which headers before 6.1 do not have. */
#define ACK_MISS_TYPE	5

static struct nl_sock *sock;
static int family;

/* The kernel loads a module for whoever asks by name: a reader must not ask. */
static int family_find(bool load)
{
	struct genl_family *found;
	struct nl_cache *cache;
	int err;

	if (load)
		return genl_ctrl_resolve(sock, TCP_KEEPALIVE_FAMILY_NAME);

	do {
		err = genl_ctrl_alloc_cache(sock, &cache);
	} while (err == -NLE_DUMP_INTR);
	if (err)
		return err;
	found = genl_ctrl_search_by_name(cache, TCP_KEEPALIVE_FAMILY_NAME);
	err = found ? (int)genl_family_get_id(found) : -NLE_OBJ_NOTFOUND;
	if (found)
		genl_family_put(found);
	nl_cache_free(cache);
	return err;
}

/**
 * ka_connect - get ready to talk to the module in this network namespace
 * @load: have the module loaded if it is not
 */
enum status ka_connect(bool load)
{
	const int on = 1;
	int err = -NLE_NOMEM;

	sock = nl_socket_alloc();
	if (sock)
		err = genl_connect(sock);
	if (err) {
		ka_disconnect();
		return fail(ST_REFUSED, "netlink: %s", nl_geterror(err));
	}
	setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_EXT_ACK,
		   &on, sizeof(on));
	setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_CAP_ACK,
		   &on, sizeof(on));
	setsockopt(nl_socket_get_fd(sock), SOL_NETLINK, NETLINK_GET_STRICT_CHK,
		   &on, sizeof(on));

	family = family_find(load);
	if (family == -NLE_OBJ_NOTFOUND) {
		enum status st = load ? module_load() : module_absent();

		if (!st)
			family = family_find(true);
		if (!st && family == -NLE_OBJ_NOTFOUND)
			st = module_blocked();
		if (st) {
			ka_disconnect();
			return st;
		}
	}
	if (family < 0) {
		ka_disconnect();
		return fail(ST_REFUSED, "netlink: %s", nl_geterror(family));
	}
	return ST_DONE;
}

void ka_disconnect(void)
{
	nl_socket_free(sock);
	sock = NULL;
}

enum status request_init(struct request *req, uint8_t cmd)
{
	*req = (struct request){ .msg = nlmsg_alloc() };
	if (req->msg && genlmsg_put(req->msg, NL_AUTO_PORT, NL_AUTO_SEQ, family,
				    0, 0, cmd, TCP_KEEPALIVE_FAMILY_VERSION))
		return ST_DONE;
	nlmsg_free(req->msg);
	return fail(ST_REFUSED, "%s", strerror(ENOMEM));
}

/* Put an attribute, and note that it is what the user calls @name @word. */
void request_put(struct request *req, int attr, const void *data, size_t len,
		 const char *name, const char *word)
{
	if (req->n == SAID_MAX ||
	    nla_put(req->msg, attr, (int)len, data)) {
		req->too_long = true;
		return;
	}
	req->said[req->n].offset = nlmsg_hdr(req->msg)->nlmsg_len -
				   (uint32_t)nla_total_size((int)len);
	req->said[req->n].name = name;
	req->said[req->n].word = word;
	req->n++;
}

struct talk {
	const struct request *req;
	reply_fn reply;
	void *arg;
	bool over;
	enum status status;
};

/* "time 99999: ", of the attribute that begins at or last before @offset. */
static void ack_subject(const struct request *req, uint32_t offset,
			char *text, size_t size)
{
	unsigned int i = req->n;

	while (i && req->said[i - 1].offset > offset)
		i--;
	if (i)
		snprintf(text, size, "%s %s: ", req->said[i - 1].name,
			 req->said[i - 1].word);
}

/* " (1 to 32767 allowed)", of what the kernel says it accepts. */
static void ack_range(struct nlattr *policy, char *text, size_t size)
{
	struct nlattr *tb[NL_POLICY_TYPE_ATTR_MAX + 1];

	if (nla_parse_nested(tb, NL_POLICY_TYPE_ATTR_MAX, policy, NULL))
		return;
	if (tb[NL_POLICY_TYPE_ATTR_MIN_VALUE_S] &&
	    tb[NL_POLICY_TYPE_ATTR_MAX_VALUE_S])
		snprintf(text, size, " (%" PRId64 " to %" PRId64 " allowed)",
			 nla_get_s64(tb[NL_POLICY_TYPE_ATTR_MIN_VALUE_S]),
			 nla_get_s64(tb[NL_POLICY_TYPE_ATTR_MAX_VALUE_S]));
	else if (tb[NL_POLICY_TYPE_ATTR_MIN_VALUE_U] &&
		 tb[NL_POLICY_TYPE_ATTR_MAX_VALUE_U])
		snprintf(text, size, " (%" PRIu64 " to %" PRIu64 " allowed)",
			 nla_get_u64(tb[NL_POLICY_TYPE_ATTR_MIN_VALUE_U]),
			 nla_get_u64(tb[NL_POLICY_TYPE_ATTR_MAX_VALUE_U]));
}

/*
 * The kernel's word on a request: @err, and the attributes that follow @fixed
 * bytes of the message's payload, if the message says that there are any.
 */
static void ack_read(struct talk *talk, struct nlmsghdr *nlh, int err,
		     int fixed)
{
	struct nla_policy policy[ACK_MISS_TYPE + 1] = {
		[NLMSGERR_ATTR_MSG]	= { .type = NLA_STRING },
		[NLMSGERR_ATTR_OFFS]	= { .type = NLA_U32 },
		[ACK_MISS_TYPE]		= { .type = NLA_U32 },
	};
	struct nlattr *tb[ACK_MISS_TYPE + 1] = { NULL };
	char subject[256] = "", detail[64] = "";
	const char *text;

	if (nlh->nlmsg_flags & NLM_F_ACK_TLVS)
		nlmsg_parse(nlh, fixed, tb, ACK_MISS_TYPE, policy);
	text = tb[NLMSGERR_ATTR_MSG] ? nla_get_string(tb[NLMSGERR_ATTR_MSG]) :
				       NULL;
	if (!err) {
		if (text)
			warn("warning: %s", text);
		return;
	}

	if (tb[NLMSGERR_ATTR_OFFS])
		ack_subject(talk->req, nla_get_u32(tb[NLMSGERR_ATTR_OFFS]),
			    subject, sizeof(subject));
	if (tb[NLMSGERR_ATTR_POLICY])
		ack_range(tb[NLMSGERR_ATTR_POLICY], detail, sizeof(detail));
	else if (tb[ACK_MISS_TYPE])
		snprintf(detail, sizeof(detail), " (attribute %u)",
			 nla_get_u32(tb[ACK_MISS_TYPE]));

	if (!text && (err == EPERM || err == EACCES))
		text = "not permitted: it takes CAP_NET_ADMIN over the network namespace";
	talk->status = fail(err == EPERM || err == EACCES ? ST_NOT_PERMITTED :
							    ST_REFUSED,
			    "%s%s%s", subject, text ? text : strerror(err),
			    detail);
}

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct genlmsghdr *genl = nlmsg_data(nlmsg_hdr(msg));
	struct talk *talk = arg;

	if (genlmsg_valid_hdr(nlmsg_hdr(msg), 0) && !talk->status)
		talk->status = talk->reply(genlmsg_attrdata(genl, 0),
					   genlmsg_attrlen(genl, 0), talk->arg);
	return NL_OK;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct talk *talk = arg;

	ack_read(talk, nlmsg_hdr(msg), 0, sizeof(struct nlmsgerr));
	talk->over = true;
	return NL_STOP;
}

/* A dump ends with its errno, and with attributes as in an ack. */
static int on_finish(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *nlh = nlmsg_hdr(msg);
	struct talk *talk = arg;
	int err = 0;

	if (nlmsg_datalen(nlh) >= (int)sizeof(err))
		memcpy(&err, nlmsg_data(nlh), sizeof(err));
	ack_read(talk, nlh, -err, sizeof(err));
	talk->over = true;
	return NL_STOP;
}

static int on_error(struct sockaddr_nl *addr, struct nlmsgerr *e, void *arg)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)((char *)e - NLMSG_HDRLEN);
	int fixed = sizeof(*e);
	struct talk *talk = arg;

	(void)addr;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		fixed += (int)e->msg.nlmsg_len - NLMSG_HDRLEN;
	ack_read(talk, nlh, -e->error, fixed);
	talk->over = true;
	return NL_STOP;
}

/**
 * request_send - send a request and see it through
 * @req: the request, which is freed
 * @reply: called for each message of the reply
 * @arg: handed to @reply
 *
 * A refusal has been told to the user when this returns.
 */
enum status request_send(struct request *req, reply_fn reply, void *arg)
{
	struct talk talk = { .req = req, .reply = reply, .arg = arg };
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int err = -NLE_NOMEM;

	if (req->too_long)
		err = -NLE_MSGSIZE;
	else if (cb)
		err = nl_send_auto(sock, req->msg);
	if (err >= 0) {
		nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, &talk);
		nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, &talk);
		nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, &talk);
		nl_cb_err(cb, NL_CB_CUSTOM, on_error, &talk);
		do {
			err = nl_recvmsgs(sock, cb);
		} while (err >= 0 && !talk.over);
	}
	nl_cb_put(cb);
	nlmsg_free(req->msg);
	if (err < 0 && !talk.over)
		return fail(ST_REFUSED, "netlink: %s", nl_geterror(err));
	return talk.status;
}

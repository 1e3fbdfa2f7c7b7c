// SPDX-License-Identifier: GPL-2.0
/*
 * Talking to the module: libnl carries the messages, and what it leaves out,
 * extended acks, is read here. So are the replies.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/family.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#include <linux/tcp_keepalive.h>

#include "attr.h"
#include "intr.h"
#include "kactl.h"
#include "module.h"
#include "nl.h"

/* NLMSGERR_ATTR_MISS_TYPE, which headers before 6.1 do not have. */
#define ACK_MISS_TYPE	5

/* As much as the kernel puts into one piece of a dump, and more. */
#define BUFFER_SIZE	(64 * 1024)

/* Enough for a request that has no list in it. */
#define REQUEST_SIZE	4096

/* What the kernel keeps for itself of a socket's buffer, and more. */
#define SEND_SLACK	256

/* As many events as wait while nobody reads: some 20 000. */
#define EVENTS_SIZE	(4 * 1024 * 1024)

/* So that one namespace does not keep the others waiting. */
#define EVENTS_AT_ONCE	64

static struct nl_sock *sock;
static int family;
static char buffer[BUFFER_SIZE] __aligned(NLMSG_ALIGNTO);

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

/* Is the module there? Says nothing, and loads nothing. */
bool ka_present(void)
{
	bool there = false;

	sock = nl_socket_alloc();
	if (sock && !genl_connect(sock))
		there = family_find(false) >= 0;
	ka_disconnect();
	return there;
}

void ka_disconnect(void)
{
	nl_socket_free(sock);
	sock = NULL;
}

static enum status request_begin(struct request *req, int to, uint8_t cmd,
				 size_t size)
{
	*req = (struct request){ .msg = nlmsg_alloc_size(size) };
	if (req->msg && genlmsg_put(req->msg, NL_AUTO_PORT, NL_AUTO_SEQ, to,
				    0, 0, cmd, TCP_KEEPALIVE_FAMILY_VERSION))
		return ST_DONE;
	nlmsg_free(req->msg);
	return fail(ST_REFUSED, "%s", strerror(ENOMEM));
}

enum status request_init(struct request *req, uint8_t cmd)
{
	return request_begin(req, family, cmd, REQUEST_SIZE);
}

/* The same, with room for so many bytes. */
enum status request_init_size(struct request *req, uint8_t cmd, size_t size)
{
	return request_begin(req, family, cmd, size);
}

/* Ask for a message for each of many. */
void request_dump(struct request *req)
{
	nlmsg_hdr(req->msg)->nlmsg_flags |= NLM_F_DUMP;
}

/* Note what an attribute that is @len bytes long, and the last one, means. */
static bool request_note(struct request *req, size_t len, const char *name,
			 const char *word)
{
	uint32_t end = nlmsg_hdr(req->msg)->nlmsg_len;
	struct said *said = req->said;

	/* Room is made when a power of two is full. */
	if (!(req->n & (req->n - 1)))
		said = realloc(said, (req->n ? 2 * req->n : 1) * sizeof(*said));
	if (!said)
		return false;
	req->said = said;
	said[req->n++] = (struct said){ .offset = end - (uint32_t)len,
					.end = end, .line = ka.line,
					.name = name, .word = word };
	return true;
}

/* Put an attribute, and note that it is what the user calls @name @word. */
void request_put(struct request *req, int attr, const void *data, size_t len,
		 const char *name, const char *word)
{
	if (nla_put(req->msg, attr, (int)len, data) ||
	    !request_note(req, (size_t)nla_total_size((int)len), name, word))
		req->too_long = name;
}

/* One that says all by being there. */
void request_flag(struct request *req, int attr, const char *name)
{
	request_put(req, attr, NULL, 0, name, "");
}

/* What is put from here to the end of the nest is within @attr. */
struct nlattr *request_nest(struct request *req, int attr)
{
	struct nlattr *nest = nla_nest_start(req->msg, NLA_F_NESTED | attr);

	if (!nest || !request_note(req, NLA_HDRLEN, NULL, ""))
		req->too_long = "the request";
	return nest;
}

void request_nest_end(struct request *req, struct nlattr *nest)
{
	uint32_t start;
	size_t i;

	if (!nest)
		return;
	nla_nest_end(req->msg, nest);
	start = (uint32_t)((char *)nest - (char *)nlmsg_hdr(req->msg));
	for (i = req->n; i-- > 0;)
		if (req->said[i].offset == start)
			req->said[i].end = nlmsg_hdr(req->msg)->nlmsg_len;
}

struct talk {
	const struct request *req;
	reply_fn reply;
	void *arg;
	bool over;
	bool torn;		/* the dump is not of one piece */
	enum status status;
};

static int say(const struct said *said, char *text, size_t size)
{
	return snprintf(text, size, "%s%s%s", said->name,
			*said->word ? " " : "", said->word);
}

/*
 * "time 99999: ", of the attribute that lies at @offset, or of the innermost nest
 * that does; and its line.
 */
static void ack_subject(const struct request *req, uint32_t offset,
			char *text, size_t size)
{
	const struct said *said = NULL;
	int len;
	size_t i;

	for (i = 0; i < req->n; i++)
		if (offset >= req->said[i].offset && offset < req->said[i].end)
			said = &req->said[i];
	if (!said)
		return;
	ka.line = said->line;
	len = said->name ? say(said, text, size) : 0;
	if (len > 0 && (size_t)len < size)
		snprintf(text + len, size - (size_t)len, ": ");
}

/* "local 10.0.0.1, lport 80: ", of all, as nobody says which it is. */
static void ack_subjects(const struct request *req, char *text, size_t size)
{
	const char *last = NULL;
	size_t len = 0, i;

	for (i = 0; i < req->n && len < size; i++) {
		const struct said *said = &req->said[i];

		if (!said->name || (last && said->word == last && *last))
			continue;
		if (len)
			len += (size_t)snprintf(text + len, size - len, ", ");
		if (len < size)
			len += (size_t)say(said, text + len, size - len);
		last = said->word;
	}
	if (len && len < size)
		snprintf(text + len, size - len, ": ");
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
	char subject[256] = "", detail[96] = "";
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

	/* The end of a dump has no offset, up to Linux 6.1. */
	if (tb[NLMSGERR_ATTR_OFFS])
		ack_subject(talk->req, nla_get_u32(tb[NLMSGERR_ATTR_OFFS]),
			    subject, sizeof(subject));
	else if (text && nlh->nlmsg_type == NLMSG_DONE)
		ack_subjects(talk->req, subject, sizeof(subject));
	if (tb[NLMSGERR_ATTR_POLICY])
		ack_range(tb[NLMSGERR_ATTR_POLICY], detail, sizeof(detail));
	else if (tb[ACK_MISS_TYPE])
		snprintf(detail, sizeof(detail), " (attribute %u)",
			 nla_get_u32(tb[ACK_MISS_TYPE]));

	/* What an older module says to what came after it. */
	if (!text && err == EOPNOTSUPP)
		text = "unknown to the module";
	if (text && (!strcmp(text, "unknown to the module") ||
		     !strcmp(text, "Unknown attribute type") ||
		     !strcmp(text, "Unsupported attribute")))
		module_lacks(detail, sizeof(detail));
	if (!text && (err == EPERM || err == EACCES))
		text = "not permitted: it takes CAP_NET_ADMIN over the network namespace";
	talk->status = fail(err == EPERM || err == EACCES ? ST_NOT_PERMITTED :
							    ST_REFUSED,
			    "%s%s%s", subject, text ? text : strerror(err),
			    detail);
	ka.line = 0;
}

static void on_reply(struct talk *talk, struct nlmsghdr *nlh)
{
	struct genlmsghdr *genl = nlmsg_data(nlh);

	if (!talk->reply || !genlmsg_valid_hdr(nlh, 0))
		return;
	talk->status = talk->reply(genlmsg_attrdata(genl, 0),
				   genlmsg_attrlen(genl, 0), talk->arg);
	talk->over = talk->status != ST_DONE;
}

/* The kernel's errors are negative; one that is none is still an error. */
static int errno_of(int error)
{
	return error > 0 || error == INT_MIN ? EPROTO : -error;
}

/* A dump ends with its errno, and with attributes as in an ack. */
static void on_finish(struct talk *talk, struct nlmsghdr *nlh)
{
	int err = 0;

	if (nlmsg_datalen(nlh) >= (int)sizeof(err))
		memcpy(&err, nlmsg_data(nlh), sizeof(err));
	ack_read(talk, nlh, errno_of(err), sizeof(err));
	talk->over = true;
}

static void on_ack(struct talk *talk, struct nlmsghdr *nlh)
{
	struct nlmsgerr *e = nlmsg_data(nlh);
	int fixed = sizeof(*e);

	if (nlmsg_datalen(nlh) < fixed)
		return;
	/* The attributes come after the request, if it is there. */
	if (e->error && !(nlh->nlmsg_flags & NLM_F_CAPPED) &&
	    e->msg.nlmsg_len >= NLMSG_HDRLEN &&
	    e->msg.nlmsg_len <= (uint32_t)nlmsg_datalen(nlh))
		fixed += (int)e->msg.nlmsg_len - NLMSG_HDRLEN;
	ack_read(talk, nlh, errno_of(e->error), fixed);
	talk->over = true;
}

static void on_message(struct talk *talk, struct nlmsghdr *nlh)
{
	const struct nlmsghdr *asked = nlmsg_hdr(talk->req->msg);

	if (nlh->nlmsg_seq != asked->nlmsg_seq)
		return;
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		talk->torn = true;
	if (nlh->nlmsg_type == asked->nlmsg_type)
		on_reply(talk, nlh);
	else if (nlh->nlmsg_type == NLMSG_DONE)
		on_finish(talk, nlh);
	else if (nlh->nlmsg_type == NLMSG_ERROR)
		on_ack(talk, nlh);
}

/*
 * Receive what the kernel sent next. Without libnl, which would make a copy of
 * each of many messages. Returns the length, or an error that is negative.
 */
static int receive(int fd, int flags)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { .iov_base = buffer, .iov_len = sizeof(buffer) };
	struct msghdr msg = { .msg_name = &from, .msg_namelen = sizeof(from),
			      .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n = recvmsg(fd, &msg, flags);

	if (n < 0)
		return -errno;
	if (msg.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	return from.nl_pid ? 0 : (int)n;
}

/* What has been received, of @n bytes. */
static void on_received(struct talk *talk, int n)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)buffer;

	for (; nlmsg_ok(nlh, n) && !talk->over; nlh = nlmsg_next(nlh, &n))
		on_message(talk, nlh);
}

/*
 * A dump is one message ahead of its reader, and to take that one would make
 * another. It is looked at instead, with no room for more: what it says is done.
 */
static void talk_ahead(struct talk *talk)
{
	int fd = nl_socket_get_fd(sock), none = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &none, sizeof(none));
	talk->over = false;
	on_received(talk, receive(fd, MSG_PEEK | MSG_DONTWAIT));
}

static enum status talk_over(struct talk *talk)
{
	int n;

	while (!talk->over) {
		n = receive(nl_socket_get_fd(sock), 0);
		/* What came is taken: the kernel has done it, or said it. */
		if (n <= 0 && intr_caught())
			return ST_ENOUGH;
		if (n < 0 && n != -EINTR)
			return fail(ST_REFUSED, "netlink: %s", strerror(-n));
		on_received(talk, n);
	}
	if (talk->status == ST_ENOUGH && intr_caught())
		talk_ahead(talk);
	if (talk->torn && !talk->status)
		return fail(ST_REFUSED,
			    "the kernel says that things changed meanwhile: some may be missing or twice there");
	return talk->status;
}

/* A message that the socket's buffer cannot hold would not leave. */
static enum status send_room(uint32_t len)
{
	int fd = nl_socket_get_fd(sock), want = (int)len + SEND_SLACK, has = 0;
	socklen_t size = sizeof(has);

	getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &has, &size);
	if (has >= want)
		return ST_DONE;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &want, sizeof(want)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &want, sizeof(want));
	getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &has, &size);
	if (has >= want)
		return ST_DONE;
	return fail(ST_REFUSED,
		    "too long: %" PRIu32 " bytes, of which the socket takes %d (net.core.wmem_max)",
		    len, has);
}

/**
 * request_send - send a request and see it through
 * @req: the request, which is freed
 * @reply: called for each message of the reply
 * @arg: handed to @reply
 *
 * A refusal has been told to the user when this returns. When the reply was
 * not read to its end, which ST_ENOUGH says, the connection is of no more use.
 */
enum status request_send(struct request *req, reply_fn reply, void *arg)
{
	struct talk talk = { .req = req, .reply = reply, .arg = arg };
	enum status st = ST_DONE;
	int err;

	if (req->too_long)
		st = fail(ST_REFUSED, "%s: too long", req->too_long);
	if (!st)
		st = send_room(nlmsg_hdr(req->msg)->nlmsg_len);
	err = st ? 0 : nl_send_auto(sock, req->msg);
	if (err < 0)
		st = fail(ST_REFUSED, "netlink: %s", nl_geterror(err));
	if (!st)
		st = talk_over(&talk);
	nlmsg_free(req->msg);
	free(req->said);
	return st;
}

/* A group's name, and its number if it was found. */
struct group {
	const char *name;
	uint32_t id;
};

/* Look for a group among those of a family's description. */
static enum status group_found(struct nlattr *attrs, int len, void *arg)
{
	const struct nlattr *tb[CTRL_ATTR_MCAST_GROUPS + 1], *attr;
	const struct nlattr *grp[CTRL_ATTR_MCAST_GRP_ID + 1];
	struct group *group = arg;
	uint64_t id;
	int left;

	attr_table(tb, CTRL_ATTR_MCAST_GROUPS, attrs, len);
	if (!tb[CTRL_ATTR_MCAST_GROUPS])
		return ST_DONE;
	attr_each(attr, attr_data(tb[CTRL_ATTR_MCAST_GROUPS]),
		  attr_len(tb[CTRL_ATTR_MCAST_GROUPS]), left) {
		attr_table(grp, CTRL_ATTR_MCAST_GRP_ID, attr_data(attr),
			   attr_len(attr));
		if (attr_is_str(grp[CTRL_ATTR_MCAST_GRP_NAME], group->name) &&
		    attr_uint(grp[CTRL_ATTR_MCAST_GRP_ID], &id))
			group->id = (uint32_t)id;
	}
	return ST_DONE;
}

/* By the family's number: asked for its name, the kernel would load it. */
static enum status group_find(struct group *group)
{
	uint16_t id = (uint16_t)family;
	struct request req;
	enum status st;

	st = request_begin(&req, GENL_ID_CTRL, CTRL_CMD_GETFAMILY,
			   REQUEST_SIZE);
	if (st)
		return st;
	request_put(&req, CTRL_ATTR_FAMILY_ID, &id, sizeof(id),
		    TCP_KEEPALIVE_FAMILY_NAME, "");
	st = request_send(&req, group_found, group);
	if (!st && !group->id)
		st = fail(ST_REFUSED, "the module has no group \"%s\"",
			  group->name);
	return st;
}

static int join(int fd, uint32_t group)
{
	return setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group,
			  sizeof(group));
}

/* The group in which nlctrl says that a family is gone. */
#define CTRL_GROUP	GENL_ID_CTRL

static enum status listen_on(int fd, const char *const *groups)
{
	const struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	const int size = EVENTS_SIZE;
	enum status st = ST_DONE;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	/* First of all, so that the module cannot go unnoticed. */
	if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) ||
	    join(fd, CTRL_GROUP))
		return fail(ST_REFUSED, "netlink: %s", strerror(errno));
	for (; *groups && !st; groups++) {
		struct group group = { .name = *groups };

		st = group_find(&group);
		if (!st && join(fd, group.id))
			st = fail(ST_REFUSED, "group \"%s\": %s", *groups,
				  strerror(errno));
	}
	return st;
}

/**
 * ka_listen - hear what the module says to all in this network namespace
 * @groups: names of groups, ends with NULL
 * @fd: the socket, which does not block
 *
 * To be called while connected; the socket outlives the connection.
 */
enum status ka_listen(const char *const *groups, int *fd)
{
	enum status st;

	*fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
		     NETLINK_GENERIC);
	if (*fd < 0)
		return fail(ST_REFUSED, "netlink: %s", strerror(errno));
	st = listen_on(*fd, groups);
	if (st) {
		close(*fd);
		*fd = -1;
	}
	return st;
}

/* True if it is the module's family that went. */
static bool family_gone(const struct genlmsghdr *genl,
			const struct nlattr *attrs, int len)
{
	const struct nlattr *tb[CTRL_ATTR_FAMILY_ID + 1];
	uint64_t id;

	attr_table(tb, CTRL_ATTR_FAMILY_ID, attrs, len);
	return genl->cmd == CTRL_CMD_DELFAMILY &&
	       attr_uint(tb[CTRL_ATTR_FAMILY_ID], &id) && id == (uint64_t)family;
}

/* Take one thing that was received. */
static enum status hear_message(struct nlmsghdr *nlh, event_fn event, void *arg)
{
	struct genlmsghdr *genl = nlmsg_data(nlh);
	struct nlattr *attrs;
	int len;

	if (!genlmsg_valid_hdr(nlh, 0))
		return ST_DONE;
	attrs = genlmsg_attrdata(genl, 0);
	len = genlmsg_attrlen(genl, 0);
	if (nlh->nlmsg_type == family)
		return event(genl->cmd, attrs, len, arg);
	if (nlh->nlmsg_type == GENL_ID_CTRL && family_gone(genl, attrs, len))
		return fail(ST_NO_MODULE, "module tcp_keepalive was unloaded");
	return ST_DONE;
}

/**
 * ka_hear - read events that have come, some of them if there are many
 * @fd: of ka_listen()
 * @event: called for each
 * @arg: handed to @event
 * @overrun: set if some were lost, because they came faster than they were read
 */
enum status ka_hear(int fd, event_fn event, void *arg, bool *overrun)
{
	enum status st = ST_DONE;
	struct nlmsghdr *nlh;
	int n, i;

	for (i = 0; i < EVENTS_AT_ONCE && !st && !intr_caught(); i++) {
		n = receive(fd, 0);
		if (n == -EAGAIN || n == -EINTR)
			return ST_DONE;
		if (n == -ENOBUFS)
			*overrun = true;
		else if (n < 0)
			return fail(ST_REFUSED, "netlink: %s", strerror(-n));
		nlh = (struct nlmsghdr *)buffer;
		for (; nlmsg_ok(nlh, n) && !st; nlh = nlmsg_next(nlh, &n))
			st = hear_message(nlh, event, arg);
	}
	return st;
}

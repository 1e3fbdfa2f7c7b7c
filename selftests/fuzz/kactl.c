// SPDX-License-Identifier: GPL-2.0
/*
 * All of kactl with libFuzzer: its command line, what it reads from standard
 * input and of processes, and what a hostile kernel answers. The input is
 *
 *	words, each ends with a newline; a NUL;
 *	a file; two NULs;
 *	replies: kind, flags, two bytes of length, payload.
 *
 * The sanitizers look for what must not happen, and so does this: with --json
 * standard output is one JSON document, or one a line, and it ends.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <netlink/genl/family.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>

#define FAMILY		42
#define NR_WORDS	64
#define NR_REPLIES	64
/* How often it may wait, or ask when there is no more. */
#define PATIENCE	200

int kactl_main(int argc, char **argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The tool's variables, all in sections of these names: see ./run. */
extern char __start_ka_data[], __stop_ka_data[];
extern char __start_ka_bss[], __stop_ka_bss[];

static const uint8_t *file, *reply, *end;
static size_t file_len;
static uint32_t seq;
static uint16_t asked;
static unsigned int patience;

static char *said;
static size_t said_len, said_size;

/* --- the world, as the tool is linked to see it --- */

int fuzz_genl_connect(struct nl_sock *sk)
{
	return nl_connect(sk, NETLINK_GENERIC);
}

int fuzz_genl_ctrl_resolve(struct nl_sock *sk, const char *name)
{
	return FAMILY;
}

int fuzz_genl_ctrl_alloc_cache(struct nl_sock *sk, struct nl_cache **cache)
{
	*cache = NULL;
	return 0;
}

struct genl_family *fuzz_genl_ctrl_search_by_name(struct nl_cache *cache, const char *name)
{
	return genl_family_alloc();
}

unsigned int fuzz_genl_family_get_id(struct genl_family *f)
{
	return FAMILY;
}

int fuzz_nl_send_auto(struct nl_sock *sk, struct nl_msg *msg)
{
	nl_complete_msg(sk, msg);
	seq = nlmsg_hdr(msg)->nlmsg_seq;
	asked = nlmsg_hdr(msg)->nlmsg_type;
	return (int)nlmsg_hdr(msg)->nlmsg_len;
}

/* The end of a dump, of @len bytes that are those of @payload. */
static ssize_t reply_put(struct msghdr *msg, int type, int flags, const void *payload, size_t len)
{
	struct nlmsghdr *nlh = msg->msg_iov->iov_base;
	size_t room = msg->msg_iov->iov_len - NLMSG_HDRLEN;

	if (len > room)
		len = room;
	*nlh = (struct nlmsghdr){ .nlmsg_len = (uint32_t)(NLMSG_HDRLEN + len),
				  .nlmsg_type = (uint16_t)type, .nlmsg_flags = (uint16_t)flags,
				  .nlmsg_seq = seq };
	memcpy(NLMSG_DATA(nlh), payload, len);
	return (ssize_t)nlh->nlmsg_len;
}

ssize_t fuzz_recvmsg(int fd, struct msghdr *msg, int flags)
{
	static const int none;
	size_t len;
	int kind;

	msg->msg_flags = 0;
	if (end - reply < 4) {
		/* It was told that it is over, and goes on asking. */
		if (!patience--)
			abort();
		/* What only listens hears no more. */
		if (patience < PATIENCE / 2) {
			errno = EAGAIN;
			return -1;
		}
		return reply_put(msg, NLMSG_DONE, 0, &none, sizeof(none));
	}
	kind = reply[0] % 6;
	flags = reply[1];
	len = reply[2] | (size_t)reply[3] << 8;
	reply += 4;
	if (len > (size_t)(end - reply))
		len = (size_t)(end - reply);
	reply += len;
	switch (kind) {
	case 0:
		return reply_put(msg, asked, flags, reply - len, len);
	case 1:
		return reply_put(msg, NLMSG_DONE, flags << 8, reply - len, len);
	case 2:
		return reply_put(msg, NLMSG_ERROR, flags << 8, reply - len, len);
	case 3:
		return reply_put(msg, GENL_ID_CTRL, flags, reply - len, len);
	case 4:
		return reply_put(msg, FAMILY, flags, reply - len, len);
	default:
		/* Headers of its own. */
		if (len > msg->msg_iov->iov_len)
			len = msg->msg_iov->iov_len;
		memcpy(msg->msg_iov->iov_base, reply - len, len);
		return (ssize_t)len;
	}
}

ssize_t fuzz_read(int fd, void *to, size_t n)
{
	if (n > file_len)
		n = file_len;
	memcpy(to, file, n);
	file += n;
	file_len -= n;
	return (ssize_t)n;
}

ssize_t fuzz_write(int fd, const void *from, size_t n)
{
	if (fd != STDOUT_FILENO)
		return (ssize_t)n;
	if (n > said_size - said_len) {
		said_size = 2 * said_size + n;
		said = realloc(said, said_size);
		if (!said)
			abort();
	}
	memcpy(said + said_len, from, n);
	said_len += n;
	return (ssize_t)n;
}

int fuzz_open(const char *path, int flags, ...)
{
	errno = ENOENT;
	return -1;
}

int fuzz_mkostemp(char *path, int flags)
{
	errno = EROFS;
	return -1;
}

/* /proc: two processes with two files open each. Where a link leads is a line of the file. */
static struct directory {
	unsigned int read;
	struct dirent entry;
} directories[2];

DIR *fuzz_opendir(const char *path)
{
	if (strcmp(path, "/proc")) {
		errno = ENOENT;
		return NULL;
	}
	directories[0].read = 0;
	return (DIR *)&directories[0];
}

DIR *fuzz_fdopendir(int fd)
{
	close(fd);
	directories[1].read = 0;
	return (DIR *)&directories[1];
}

struct dirent *fuzz_readdir(DIR *dir)
{
	static const char *const names[] = { ".", "11", "self", "12" };
	struct directory *d = (struct directory *)dir;

	if (d->read == sizeof(names) / sizeof(*names))
		return NULL;
	strcpy(d->entry.d_name, names[d->read++]);
	return &d->entry;
}

int fuzz_dirfd(DIR *dir)
{
	return AT_FDCWD;
}

int fuzz_closedir(DIR *dir)
{
	return 0;
}

int fuzz_openat(int at, const char *path, int flags, ...)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

ssize_t fuzz_readlinkat(int at, const char *path, char *to, size_t n)
{
	const uint8_t *newline = memchr(file, '\n', file_len);
	size_t len = newline ? (size_t)(newline - file) : file_len;

	if (n > len)
		n = len;
	memcpy(to, file, n);
	len += !!newline;
	file += len;
	file_len -= len;
	errno = ENOENT;
	return n ? (ssize_t)n : -1;
}

int fuzz_setns(int fd, int type)
{
	return 0;
}

int fuzz_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *ts, const sigset_t *mask)
{
	nfds_t i;

	if (end - reply < 4 || !patience)
		return 0;
	for (i = 0; i < n; i++)
		fds[i].revents = (short)(fds[i].events & POLLIN);
	return (int)n;
}

int fuzz_sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *ts)
{
	return SIGINT;
}

/* Ctrl-C, once it has been at it for long enough. */
int fuzz_intr_caught(void)
{
	return patience < PATIENCE / 4 || end - reply < 4 ? SIGINT : 0;
}

void fuzz_intr_catch(void)
{
}

void fuzz_intr_forget(void)
{
}

void fuzz_intr_die(void)
{
}

/* --- is it JSON? RFC 8259 --- */

static const char *json_value(const char *s, const char *last, int depth);

static const char *json_blank(const char *s, const char *last)
{
	while (s && s < last && strchr(" \t\n\r", *s) && *s)
		s++;
	return s;
}

/* Well-formed UTF-8, RFC 3629. */
static const char *json_char(const char *s, const char *last)
{
	unsigned char c = (unsigned char)*s++;
	int more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 :
		   c >= 0xf0 && c < 0xf5 ? 3 : -1;

	if (c < 0x20 || more < 0)
		return NULL;
	for (; more; more--, s++)
		if (s == last || (*s & 0xc0) != 0x80)
			return NULL;
	return s;
}

static const char *json_string(const char *s, const char *last)
{
	while (s && s < last && *s != '"') {
		if (*s != '\\') {
			s = json_char(s, last);
		} else if (last - s < 6) {
			return NULL;
		} else if (s[1] == 'u') {
			for (int i = 2; i < 6; i++)
				if (!isxdigit((unsigned char)s[i]))
					return NULL;
			s += 6;
		} else {
			s = s[1] && strchr("\"\\/bfnrt", s[1]) ? s + 2 : NULL;
		}
	}
	return s && s < last ? s + 1 : NULL;
}

static const char *json_number(const char *s, const char *last)
{
	const char *from;

	if (s < last && *s == '-')
		s++;
	from = s;
	while (s < last && isdigit((unsigned char)*s))
		s++;
	if (s == from || (*from == '0' && s > from + 1))
		return NULL;
	if (s < last && *s == '.') {
		from = ++s;
		while (s < last && isdigit((unsigned char)*s))
			s++;
		if (s == from)
			return NULL;
	}
	return s;
}

static const char *json_members(const char *s, const char *last, int depth, char close)
{
	bool first = true;

	for (;;) {
		s = json_blank(s, last);
		if (!s || s == last)
			return NULL;
		if (*s == close && first)
			return s + 1;
		if (close == '}') {
			if (*s != '"')
				return NULL;
			s = json_blank(json_string(s + 1, last), last);
			if (!s || s == last || *s != ':')
				return NULL;
			s++;
		}
		s = json_blank(json_value(s, last, depth + 1), last);
		if (!s || s == last)
			return NULL;
		if (*s == close)
			return s + 1;
		if (*s++ != ',')
			return NULL;
		first = false;
	}
}

static const char *json_value(const char *s, const char *last, int depth)
{
	static const char *const words[] = { "true", "false", "null" };

	s = json_blank(s, last);
	if (!s || s == last || depth > 32)
		return NULL;
	if (*s == '{' || *s == '[')
		return json_members(s + 1, last, depth, *s == '{' ? '}' : ']');
	if (*s == '"')
		return json_string(s + 1, last);
	for (size_t i = 0; i < 3; i++) {
		size_t n = strlen(words[i]);

		if ((size_t)(last - s) >= n && !memcmp(s, words[i], n))
			return s + n;
	}
	return json_number(s, last);
}

static void json_check(const char *from, const char *last)
{
	const char *s = from;

	do {
		s = json_blank(json_value(s, last, 0), last);
		if (!s) {
			fprintf(stderr, "not JSON: %.*s\n", (int)(last - from), from);
			abort();
		}
	} while (s < last);
}

/* --- one run --- */

/* With the red zones between them, which a function that is watched may not read. */
static void copy(char *to, const char *from, size_t n)
{
	asm volatile("rep movsb" : "+D" (to), "+S" (from), "+c" (n) : : "memory");
}

static void restored(char *from, const char *to, char **kept)
{
	size_t n = (size_t)(to - from);

	if (!*kept) {
		*kept = malloc(n);
		if (!*kept)
			abort();
		copy(*kept, from, n);
	}
	copy(from, *kept, n);
}

/* What would leave this process, or want a terminal, is not for here. */
static bool allowed(const char *word)
{
	return strcmp(word, "top") && strcmp(word, "http") && strncmp(word, "--listen", 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char *data_kept, *bss_kept;
	char words[1024], *argv[NR_WORDS + 2] = { "kactl" }, *s = words;
	const uint8_t *nul = memchr(data, '\0', size), *nuls;
	size_t len = nul ? (size_t)(nul - data) : size;
	bool json = false, lines = false;
	int argc = 1;

	if (len >= sizeof(words))
		return -1;
	memcpy(words, data, len);
	words[len] = '\0';
	while (*s && argc <= NR_WORDS) {
		argv[argc++] = s;
		s += strcspn(s, "\n");
		if (*s)
			*s++ = '\0';
	}
	for (int i = 1; i < argc; i++) {
		if (!allowed(argv[i]))
			return -1;
	}
	end = data + size;
	file = nul ? nul + 1 : end;
	nuls = memmem(file, (size_t)(end - file), "\0\0", 2);
	file_len = (size_t)((nuls ? nuls : end) - file);
	reply = nuls ? nuls + 2 : end;
	patience = PATIENCE;
	said_len = 0;

	restored(__start_ka_data, __stop_ka_data, &data_kept);
	restored(__start_ka_bss, __stop_ka_bss, &bss_kept);
	/* Else it goes on in the middle of a word of the last run's. */
	optind = 0;
	getopt(1, argv, "+");
	kactl_main(argc, argv);

	/* Among plain options; and of what has a line for each object there may be none. */
	for (int i = 1; i < argc && (!strcmp(argv[i], "-q") || !strcmp(argv[i], "-j")); i++)
		json |= argv[i][1] == 'j';
	for (int i = 1; i < argc; i++)
		lines |= !strcmp(argv[i], "monitor") || !strcmp(argv[i], "--watch");
	if (json && (said_len || !lines))
		json_check(said, said + said_len);
	return 0;
}

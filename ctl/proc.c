// SPDX-License-Identifier: GPL-2.0
/*
 * Which processes hold a socket: /proc is gone through once, and what they
 * hold is sorted by inode.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "intr.h"
#include "kactl.h"
#include "out.h"
#include "proc.h"

#define COMM_MAX	64	/* the kernel's own threads have long ones */

struct process {
	uint32_t pid;
	char comm[COMM_MAX];
};

/* A socket, and a process that has it open. */
struct holder {
	uint64_t inode;
	uint32_t process;	/* its place among the processes */
};

static struct process *processes;
static struct holder *holders;
static size_t nr_processes, nr_holders;
static bool missed;		/* there are some that we may not look at */

/* Make room for one more in an array that doubles; NULL for want of memory. */
static void *grow(void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	return realloc(array, (n ? 2 * n : 1) * size);
}

/* False if there is no such number, or not that alone. */
static bool number(const char *s, const char *end, uint64_t *value)
{
	const char *p;

	*value = 0;
	for (p = s; *p >= '0' && *p <= '9'; p++)
		*value = *value * 10 + (uint64_t)(*p - '0');
	return p > s && !strcmp(p, end);
}

static bool add_holder(uint64_t inode)
{
	struct holder *more = grow(holders, nr_holders, sizeof(*holders));

	if (!more)
		return false;
	holders = more;
	holders[nr_holders].inode = inode;
	holders[nr_holders].process = (uint32_t)nr_processes;
	nr_holders++;
	return true;
}

/* Enter the process as the holder of what was added last. */
static bool add_process(int dir, uint32_t pid)
{
	struct process *more = grow(processes, nr_processes, sizeof(*more));
	struct process *p;
	ssize_t n = -1;
	int fd;

	if (!more)
		return false;
	processes = more;
	p = &processes[nr_processes++];
	p->pid = pid;
	fd = openat(dir, "comm", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, p->comm, sizeof(p->comm) - 1);
		close(fd);
	}
	p->comm[n > 0 ? n : 0] = '\0';
	p->comm[strcspn(p->comm, "\n")] = '\0';
	return true;
}

/* Look through what a process has open; false for want of memory. */
static bool read_process(int dir, uint32_t pid)
{
	size_t before = nr_holders;
	struct dirent *d;
	char link[64];
	uint64_t inode;
	bool ok = true;
	DIR *fds;
	ssize_t n;
	int fd;

	fd = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds = fd < 0 ? NULL : fdopendir(fd);
	if (!fds) {
		missed |= errno == EACCES || errno == EPERM;
		if (fd >= 0)
			close(fd);
		return true;
	}
	while (ok && (d = readdir(fds))) {
		if (d->d_name[0] == '.')
			continue;
		n = readlinkat(fd, d->d_name, link, sizeof(link) - 1);
		missed |= n < 0 && (errno == EACCES || errno == EPERM);
		link[n > 0 ? n : 0] = '\0';
		if (!strncmp(link, "socket:[", 8) &&
		    number(link + 8, "]", &inode))
			ok = add_holder(inode);
	}
	closedir(fds);
	return ok && (nr_holders == before || add_process(dir, pid));
}

static int by_inode(const void *one, const void *other)
{
	const struct holder *a = one, *b = other;

	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	return a->process < b->process ? -1 : a->process > b->process;
}

/* Find out who holds which socket. Those that cannot be looked at are left out. */
enum status proc_read(void)
{
	struct dirent *d;
	bool ok = true;
	uint64_t pid;
	DIR *proc;
	int dir;

	proc = opendir("/proc");
	if (!proc)
		return fail(ST_REFUSED, "/proc: %s", strerror(errno));
	while (ok && !intr_caught() && (d = readdir(proc))) {
		if (!number(d->d_name, "", &pid))
			continue;
		dir = openat(dirfd(proc), d->d_name,
			     O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			continue;
		ok = read_process(dir, (uint32_t)pid);
		close(dir);
	}
	closedir(proc);
	if (!ok)
		return fail(ST_REFUSED, "%s", strerror(ENOMEM));
	if (nr_holders)
		qsort(holders, nr_holders, sizeof(*holders), by_inode);
	if (missed)
		warn("warning: not all processes could be looked at: "
		     "it takes privilege to see what others have open");
	return ST_DONE;
}

/* The first holder of a socket, or the end of all. */
static size_t find(uint64_t inode)
{
	size_t from = 0, to = nr_holders, middle;

	while (from < to) {
		middle = from + (to - from) / 2;
		if (holders[middle].inode < inode)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* What the first process that holds a socket is called, or NULL. */
const char *proc_comm(uint64_t inode)
{
	size_t i = find(inode);

	if (!inode || i == nr_holders || holders[i].inode != inode)
		return NULL;
	return processes[holders[i].process].comm;
}

/* The processes that hold a socket, each once; in text as ss has them. */
void proc_out(const char *name, uint64_t inode)
{
	char text[16 * (COMM_MAX + 16)] = "";
	size_t i = find(inode), len = 0;
	const struct holder *last = NULL;
	const struct process *p;

	if (ka.json)
		out_array(name);
	for (; inode && i < nr_holders && holders[i].inode == inode; i++) {
		if (last && holders[i].process == last->process)
			continue;
		last = &holders[i];
		p = &processes[last->process];
		if (ka.json) {
			out_object();
			out_uint("pid", p->pid, NULL);
			out_str("comm", p->comm);
			out_object_end();
		} else if (len + COMM_MAX + 16 < sizeof(text)) {
			len += (size_t)snprintf(text + len, sizeof(text) - len,
						"%s%s(%" PRIu32 ")",
						len ? "," : "", p->comm,
						p->pid);
		} else {
			snprintf(text + len, sizeof(text) - len, ",...");
		}
	}
	if (ka.json)
		out_array_end();
	else if (len)
		out_str(name, text);
}

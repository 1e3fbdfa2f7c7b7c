// SPDX-License-Identifier: GPL-2.0
/*
 * Network namespaces: the one we are in, another, or all that can be reached.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "intr.h"
#include "kactl.h"
#include "netns.h"
#include "nl.h"
#include "out.h"

#define NAMED	"/run/netns"
#define OWN	"/proc/self/ns/net"

/*
 * The named namespaces. Anything that lies in the directory without being a
 * namespace has inode 0.
 */
static struct named {
	char *name;
	ino_t ino;
} *named;
static unsigned int nr_named;
static bool named_known;

/* The one that was asked for last: a dump asks for the same again and again. */
static struct {
	uint32_t ino;
	const char *name;
} last;

static void named_forget(void)
{
	last.ino = 0;
	while (nr_named)
		free(named[--nr_named].name);
	free(named);
	named = NULL;
	named_known = false;
}

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

static int not_dots(const struct dirent *d)
{
	return !is_dots(d->d_name);
}

static void named_read(void)
{
	struct stat own = { 0 }, st;
	struct dirent **entry;
	char path[PATH_MAX];
	int i, n;

	named_known = true;
	n = scandir(NAMED, &entry, not_dots, alphasort);
	if (n < 0)
		return;
	named = calloc((size_t)n + 1, sizeof(*named));
	stat(OWN, &own);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), NAMED "/%s", entry[i]->d_name);
		if (named && !stat(path, &st)) {
			named[nr_named].name = strdup(entry[i]->d_name);
			named[nr_named].ino = st.st_dev == own.st_dev ?
					      st.st_ino : 0;
			if (named[nr_named].name)
				nr_named++;
		}
		free(entry[i]);
	}
	free(entry);
}

static const char *named_find(ino_t ino)
{
	unsigned int i;

	if (!named_known)
		named_read();
	for (i = 0; i < nr_named; i++)
		if (named[i].ino == ino)
			return named[i].name;
	return NULL;
}

/* A namespace's name under /run/netns, or NULL. */
const char *netns_name(uint32_t ino)
{
	if (ino != last.ino) {
		last.name = named_find(ino);
		last.ino = ino;
	}
	return last.name;
}

/* Which namespace an object of the output is about. */
void netns_out(uint32_t ino)
{
	const char *name = netns_name(ino);

	if (name)
		out_str("netns", name);
	else
		out_null("netns");
	out_uint("netns_ino", ino, NULL);
}

static enum status no_entry(const char *what)
{
	switch (errno) {
	case EACCES:
		return fail(ST_NOT_PERMITTED, "%s%s", what, strerror(errno));
	case EPERM:
		return fail(ST_NOT_PERMITTED,
			    "%snot permitted: it takes CAP_SYS_ADMIN to enter another network namespace",
			    what);
	case EINVAL:
		return fail(ST_REFUSED, "%snot a network namespace", what);
	default:
		return fail(ST_REFUSED, "%s%s", what, strerror(errno));
	}
}

static int open_netns(const char *path)
{
	char c;

	/* In Linux 5.10 a link that one may not follow is empty, and leads to its folder. */
	if (!readlink(path, &c, 1)) {
		errno = EACCES;
		return -1;
	}
	/* Not to wait for the other end, should the path be a FIFO's. */
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

static bool is_number(const char *s)
{
	return *s && !s[strspn(s, "0123456789")];
}

/* To be where one is takes no privilege. */
static bool is_own(int fd)
{
	struct stat st, own;

	return !fstat(fd, &st) && !stat(OWN, &own) &&
	       st.st_dev == own.st_dev && st.st_ino == own.st_ino;
}

/**
 * netns_enter - go to another network namespace and stay
 * @which: a name under /run/netns, a PID or a path, tried in that order
 */
enum status netns_enter(const char *which)
{
	char path[PATH_MAX], what[64];
	enum status st = ST_DONE;
	int fd = -1;

	errno = ENOENT;
	if (*which && !is_dots(which) && !strchr(which, '/')) {
		snprintf(path, sizeof(path), NAMED "/%s", which);
		fd = open_netns(path);
	}
	if (fd < 0 && errno == ENOENT && is_number(which)) {
		snprintf(path, sizeof(path), "/proc/%s/ns/net", which);
		fd = open_netns(path);
	}
	if (fd < 0 && errno == ENOENT)
		fd = open_netns(which);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return fail(ST_REFUSED,
			    "no network namespace \"%s\": neither a name under " NAMED
			    ", a PID nor a path", which);

	snprintf(what, sizeof(what), "network namespace \"%.32s\": ", which);
	if (fd < 0)
		return no_entry(what);
	if (!is_own(fd) && setns(fd, CLONE_NEWNET))
		st = no_entry(what);
	close(fd);
	return st;
}

/* The namespace that this process is in, where --all-netns has been. */
static ino_t here;

struct walk {
	enum status (*fn)(void *arg);
	void *arg;
	bool change;
	dev_t dev;		/* of all namespaces */
	ino_t *seen;
	size_t nr_seen;
	unsigned int done;
	bool missed;		/* there are some that we may not enter */
	enum status status;
};

static bool seen(const struct walk *w, const struct stat *st)
{
	size_t i;

	for (i = 0; i < w->nr_seen; i++)
		if (st->st_dev == w->dev && st->st_ino == w->seen[i])
			return true;
	return false;
}

static enum status walk_run(struct walk *w, int fd, const struct stat *st)
{
	enum status status;

	if (st->st_ino != here) {
		if (setns(fd, CLONE_NEWNET)) {
			if (errno != EPERM || w->change)
				return no_entry("");
			w->missed = true;
			return ST_DONE;
		}
		here = st->st_ino;
	}
	status = ka_connect(w->change);
	if (!status) {
		status = w->fn(w->arg);
		ka_disconnect();
	}
	if (status == ST_ENOUGH)
		status = ST_DONE;
	if (!status)
		w->done++;
	return status;
}

/* What comes of a namespace goes into what comes of all. */
static void walk_status(struct walk *w, enum status status)
{
	if (status == ST_NO_MODULE || !w->status)
		w->status = status;
	else if (status && status != w->status)
		w->status = ST_REFUSED;
}

/* Run in a namespace, unless it had its turn, and go on past a failure. */
static void walk_visit(struct walk *w, int fd, const char *label)
{
	struct stat st;
	ino_t *more;

	if (w->status == ST_NO_MODULE || intr_caught() || out_failed() ||
	    fstat(fd, &st) || seen(w, &st))
		return;
	more = realloc(w->seen, (w->nr_seen + 1) * sizeof(*more));
	if (!more) {
		w->status = fail(ST_REFUSED, "%s", strerror(errno));
		return;
	}
	w->seen = more;
	w->seen[w->nr_seen++] = st.st_dev == w->dev ? st.st_ino : 0;

	ka.netns = label;
	walk_status(w, walk_run(w, fd, &st));
	ka.netns = NULL;
}

/* It vanished since it was listed, say. */
static void walk_lost(struct walk *w, const char *label)
{
	if (errno == EACCES || errno == EPERM) {
		w->missed = true;
		return;
	}
	ka.netns = label;
	walk_status(w, fail(ST_REFUSED, "%s", strerror(errno)));
	ka.netns = NULL;
}

static void walk_named(struct walk *w)
{
	char path[PATH_MAX];
	unsigned int i;
	int fd;

	for (i = 0; i < nr_named; i++) {
		snprintf(path, sizeof(path), NAMED "/%s", named[i].name);
		fd = open_netns(path);
		if (fd < 0) {
			walk_lost(w, named[i].name);
			continue;
		}
		walk_visit(w, fd, named[i].name);
		close(fd);
	}
}

/* What a process held when it was looked at is held open for the visit. */
static void walk_processes(struct walk *w)
{
	char path[PATH_MAX], label[64];
	struct dirent *d;
	DIR *proc;
	int fd;

	proc = opendir("/proc");
	while (proc && (d = readdir(proc))) {
		if (!is_number(d->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/ns/net", d->d_name);
		fd = open_netns(path);
		if (fd < 0) {
			w->missed |= errno == EACCES || errno == EPERM;
			continue;
		}
		snprintf(label, sizeof(label), "of PID %.32s", d->d_name);
		walk_visit(w, fd, label);
		close(fd);
	}
	if (proc)
		closedir(proc);
}

static enum status all_netns(bool change, enum status (*fn)(void *arg),
			     void *arg)
{
	static struct stat st;
	static int own = -1;
	struct walk w = { .fn = fn, .arg = arg, .change = change };

	if (own < 0) {
		own = open_netns(OWN);
		if (own < 0 || fstat(own, &st))
			return fail(ST_REFUSED, OWN ": %s", strerror(errno));
		here = st.st_ino;
	}
	w.dev = st.st_dev;

	named_forget();
	named_read();
	walk_visit(&w, own, NULL);
	walk_named(&w);
	walk_processes(&w);
	free(w.seen);
	/* Nobody's namespace lives on because we were the last there. */
	if (here != st.st_ino && !setns(own, CLONE_NEWNET))
		here = st.st_ino;
	if (w.missed && w.status != ST_NO_MODULE)
		warn("warning: other network namespaces are left out: "
		     "it takes privilege to enter them");
	if (w.done && w.status && w.status != ST_NO_MODULE)
		return ST_REFUSED;
	return w.status;
}

/**
 * netns_each - do something in the namespace, or in all if --all-netns
 * @change: it changes something: the module may be loaded for it, and a
 *	namespace that may not be entered is an error
 * @fn: does it; the connection to the module is open
 * @arg: handed to @fn
 */
enum status netns_each(bool change, enum status (*fn)(void *arg), void *arg)
{
	enum status st;

	if (out_is_document())
		intr_catch();
	if (ka.all_netns)
		return all_netns(change, fn, arg);
	st = ka_connect(change);
	if (!st) {
		st = fn(arg);
		ka_disconnect();
	}
	return st == ST_ENOUGH ? ST_DONE : st;
}

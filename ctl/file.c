// SPDX-License-Identifier: GPL-2.0
/*
 * Files that are written: the old one or the new, never a part of one.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "kactl.h"

#define FILE_MODE	0644

static enum status no_file(const char *path)
{
	return fail(errno == EACCES || errno == EPERM ? ST_NOT_PERMITTED :
							ST_REFUSED,
		    "%s: %s", path, strerror(errno));
}

static bool write_all(int fd, const char *text, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, text, len);
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return true;
}

/* Whose it is and who may read it stays as it was. */
static bool like(int fd, const struct stat *was)
{
	mode_t mask = umask(0);

	umask(mask);
	if (!was)
		return !fchmod(fd, FILE_MODE & ~mask);
	return !fchown(fd, was->st_uid, was->st_gid) &&
	       !fchmod(fd, was->st_mode & 07777);
}

/* So that the name is on the disk, too. */
static void sync_folder(const char *path)
{
	char copy[PATH_MAX];
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

/* Beside it, and then in its place: whoever reads it finds one or the other. */
static enum status write_beside(const char *path, const struct stat *was,
				const char *text, size_t len)
{
	char beside[PATH_MAX + 8];
	enum status st = ST_DONE;
	int fd;

	snprintf(beside, sizeof(beside), "%s.XXXXXX", path);
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0)
		return no_file(path);
	if (!write_all(fd, text, len) || !like(fd, was) || fsync(fd))
		st = no_file(path);
	if (close(fd) && !st)
		st = no_file(path);
	if (!st && rename(beside, path))
		st = no_file(path);
	if (st)
		unlink(beside);
	else
		sync_folder(path);
	return st;
}

/* Ctrl-C has to wait: else it would leave what is beside it. */
static enum status replace(const char *path, const struct stat *was,
			   const char *text, size_t len)
{
	sigset_t signals, mask;
	enum status st;

	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, &mask);
	st = write_beside(path, was, text, len);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return st;
}

/**
 * file_replace - write a file, or leave the one there is
 * @path: its name
 * @text: what is to be in it
 * @len: length of @text
 */
enum status file_replace(const char *path, const char *text, size_t len)
{
	char real[PATH_MAX];
	struct stat was;
	bool there;

	/* What a symbolic link names is replaced, and not the link. */
	there = realpath(path, real);
	if (!there && errno != ENOENT)
		return no_file(path);
	if (!there && !lstat(path, &was))
		return fail(ST_REFUSED, "%s: a symbolic link to what is not there", path);
	if (there && stat(real, &was))
		return no_file(path);
	if (there && !S_ISREG(was.st_mode))
		return fail(ST_REFUSED, "%s: not a regular file", path);
	if (!there && snprintf(real, sizeof(real), "%s", path) >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return no_file(path);
	}
	return replace(real, there ? &was : NULL, text, len);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * kactl save: policy and rules as a file of commands.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/tcp_keepalive.h>

#include "attr.h"
#include "kactl.h"
#include "netns.h"
#include "nl.h"
#include "out.h"
#include "parse.h"
#include "policy.h"
#include "rule.h"
#include "rules.h"

#define FILE_MODE	0644

static const char header[] =
	"# TCP keepalive of a network namespace, as commands of kactl(8).\n"
	"#\n"
	"#   kactl restore FILE\n"
	"#\n"
	"# puts it into force, all of it or, if anything is wrong, nothing: the fields\n"
	"# of \"policy set\" are set and the others reset, and the rules become those\n"
	"# below and no others. Without a \"policy set\" the policy stays as it is.\n";

static enum status no_file(const char *path)
{
	return fail(errno == EACCES || errno == EPERM ? ST_NOT_PERMITTED :
							ST_REFUSED,
		    "%s: %s", path, strerror(errno));
}

static enum status save_rule(struct nlattr *attrs, int len, void *arg)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_RULE_MAX + 1];
	FILE *f = arg;

	attr_table(tb, TCP_KEEPALIVE_A_RULE_MAX, attrs, len);
	/* One that could not be restored would keep the others from it. */
	if (tb[TCP_KEEPALIVE_A_RULE_CGROUP_GONE])
		fprintf(f, "# its cgroup is gone: ");
	fprintf(f, "rule add ");
	rule_save(tb, f);
	fprintf(f, "\n");
	return ST_DONE;
}

/* The text that there is to save. */
static enum status save_text(FILE *f)
{
	enum status st;

	fputs(header, f);
	fputc('\n', f);
	st = policy_save(f);
	fputc('\n', f);
	return st ? st : rules_read(save_rule, f);
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
static enum status replace(const char *path, const struct stat *was,
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

static enum status save_to(const char *path, const char *text, size_t len)
{
	char real[PATH_MAX];
	struct stat was;
	bool there;

	/* What a symbolic link names is replaced, and not the link. */
	there = realpath(path, real);
	if (!there && errno != ENOENT)
		return no_file(path);
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

/* Standard output, piece by piece; one namespace after another if need be. */
static void save_out(const char *text, size_t len)
{
	const char *end;

	for (; len; len -= (size_t)(end - text), text = end) {
		end = memchr(text, '\n', len);
		end = end ? end + 1 : text + len;
		out_text("%.*s", (int)(end - text), text);
	}
}

static enum status save_talk(void *arg)
{
	const char *path = arg;
	enum status st;
	char *text = NULL;
	size_t len = 0;
	FILE *f;

	f = open_memstream(&text, &len);
	if (!f)
		return fail(ST_REFUSED, "%s", strerror(errno));
	if (ka.all_netns)
		fprintf(f, "# netns %s\n", ka.netns ? ka.netns : "of kactl");
	st = save_text(f);
	if (fclose(f) && !st)
		st = fail(ST_REFUSED, "%s", strerror(ENOMEM));
	if (!st && path)
		st = save_to(path, text, len);
	else if (!st)
		save_out(text, len);
	free(text);
	return st;
}

static enum status save(struct args *a)
{
	const char *path;
	enum status st = args_file(a, &path);

	if (st)
		return st;
	if (path && ka.all_netns)
		return fail(ST_USAGE, "\"%s\": a file holds one network namespace, not --all-netns",
			    path);
	if (!path && ka.json)
		return fail(ST_USAGE, "a file of commands is not JSON: give a FILE with --json");
	return netns_each(false, save_talk, (void *)path);
}

static const struct verb verbs[] = {
	{
		.name	= "",
		.args	= "[FILE]",
		.run	= save,
		.help	= "Write the policy and the rules as commands that \"kactl restore\"\n"
			  "takes, to FILE, which is replaced as a whole, or to standard output.\n",
	}, { 0 }
};

const struct object object_save = {
	.name		= "save",
	.summary	= "policy and rules to a file of commands",
	.verbs		= verbs,
};

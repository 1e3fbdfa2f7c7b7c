// SPDX-License-Identifier: GPL-2.0
/*
 * Why the module is not there, and having it loaded for those who may.
 */
#include <fcntl.h>
#include <glob.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kactl.h"
#include "module.h"

#define MODULE		"tcp_keepalive"
#define MODULES_DEP	"/lib/modules/*/modules.dep"

/* Read a file's first line, without its end; false if it cannot be read. */
static bool read_line(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "re");
	bool ok = f && fgets(line, (int)size, f);

	if (f)
		fclose(f);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

/* modules.dep is where modprobe itself looks. */
static bool dep_lists_module(const char *path)
{
	FILE *f = fopen(path, "re");
	bool found = false;
	char *line = NULL;
	size_t size = 0;

	while (f && !found && getline(&line, &size, f) > 0) {
		line[strcspn(line, ":")] = '\0';
		found = strstr(line, "/" MODULE ".ko");
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

/* True if modprobe would find the module; if not, @why says what it has. */
static bool installed(char *why, size_t size)
{
	bool here = false, elsewhere = false;
	struct utsname uts;
	glob_t deps;
	size_t i;

	uname(&uts);
	if (glob(MODULES_DEP, 0, NULL, &deps))
		deps.gl_pathc = 0;
	for (i = 0; i < deps.gl_pathc && !here; i++) {
		const char *release = deps.gl_pathv[i] + strlen("/lib/modules/");
		size_t n = strcspn(release, "/");

		if (!dep_lists_module(deps.gl_pathv[i]))
			continue;
		here = !strncmp(release, uts.release, n) && !uts.release[n];
		elsewhere = true;
	}
	globfree(&deps);
	if (elsewhere)
		snprintf(why, size, "not built for this kernel (%s)",
			 uts.release);
	else
		snprintf(why, size, "not installed under /lib/modules");
	return here;
}

/* True if nothing that can be seen stands in the way of loading it. */
static bool loadable(char *why, size_t size)
{
	char line[8];

	if (access("/proc/modules", F_OK)) {
		snprintf(why, size, "this kernel takes no modules");
		return false;
	}
	if (read_line("/proc/sys/kernel/modules_disabled", line,
		      sizeof(line)) && strcmp(line, "0") != 0) {
		snprintf(why, size, "blocked: kernel.modules_disabled is %s",
			 line);
		return false;
	}
	return installed(why, size);
}

/* A reader found no module, and must not cause one to be loaded. */
enum status module_absent(void)
{
	char why[160];

	if (loadable(why, sizeof(why)))
		return fail(ST_NO_MODULE, "module " MODULE
			    " is not loaded: modprobe " MODULE);
	return fail(ST_NO_MODULE, "module " MODULE " is not loaded: %s (modprobe "
		    MODULE " would fail)", why);
}

/*
 * Run modprobe, as the kernel would: it may be outside of our PATH, and it
 * heeds "blacklist". Returns its wait status, or -1; what it says is in @said.
 */
static int modprobe(const char *path, char *said, size_t size)
{
	char *argv[] = { (char *)path, "-b", MODULE, NULL };
	posix_spawn_file_actions_t fds;
	int status = -1, err, fd[2];
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	said[0] = '\0';
	if (pipe2(fd, O_CLOEXEC))
		return -1;
	posix_spawn_file_actions_init(&fds);
	posix_spawn_file_actions_adddup2(&fds, fd[1], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&fds, fd[1], STDERR_FILENO);
	err = posix_spawn(&pid, path, &fds, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fds);
	close(fd[1]);
	if (!err) {
		while ((n = read(fd[0], said + len, size - 1 - len)) > 0)
			len += (size_t)n;
		said[len] = '\0';
	} else {
		snprintf(said, size, "%s: %s", path, strerror(err));
	}
	close(fd[0]);
	if (!err && waitpid(pid, &status, 0) < 0)
		status = -1;
	return status;
}

/* For those lines of modprobe whose meaning is not plain. */
static const char *gloss(const char *said)
{
	if (strstr(said, "Key was rejected") || strstr(said, "Required key"))
		return "signature refused: ";
	if (strstr(said, "install command"))
		return "blocked by an install line of modprobe.d: ";
	return "";
}

/* The kernel was asked for the family, and has not loaded the module. */
enum status module_load(void)
{
	char path[256] = "/sbin/modprobe", said[1024], why[160];
	const char *meaning;
	char *last;

	if (!loadable(why, sizeof(why)))
		return fail(ST_NO_MODULE, "module " MODULE
			    " is not loaded and cannot be: %s", why);
	if (geteuid())
		return fail(ST_NO_MODULE, "module " MODULE
			    " is not loaded, and did not load by itself: ask root for modprobe "
			    MODULE);
	if (read_line("/proc/sys/kernel/modprobe", path, sizeof(path)) &&
	    !*path)
		return fail(ST_NO_MODULE, "module " MODULE
			    " is not loaded and cannot be: blocked: kernel.modprobe is empty");
	if (!modprobe(path, said, sizeof(said)))
		return ST_DONE;

	if (!*said)
		snprintf(said, sizeof(said), "%s failed", path);
	meaning = gloss(said);
	while ((last = strrchr(said, '\n')) && !last[1])
		*last = '\0';
	return fail(ST_NO_MODULE, "module " MODULE
		    " is not loaded and cannot be: %s%s", meaning,
		    last ? last + 1 : said);
}

/* modprobe is content, and yet there is no module. */
enum status module_blocked(void)
{
	return fail(ST_NO_MODULE, "module " MODULE
		    " is not loaded and cannot be: blocked by a blacklist or install line of modprobe.d");
}

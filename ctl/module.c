// SPDX-License-Identifier: GPL-2.0
/*
 * Why the module is not there, and having it loaded for those who may.
 */
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
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
#define DKMS		"/var/lib/dkms/tcp-keepalive"
#define VERSION_FILE	"/sys/module/" MODULE "/version"
#define LOCKDOWN	"/sys/kernel/security/lockdown"

/* What DKMS signs with, on Debian, Fedora and others, and on Ubuntu. */
static const char *const certificates[] = {
	"/var/lib/dkms/mok.pub",
	"/var/lib/shim-signed/mok/MOK.der",
};

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
	if (!access(DKMS, F_OK))
		snprintf(why, size,
			 "not built for this kernel (%s): DKMS does it when the kernel's headers are installed; see dkms status",
			 uts.release);
	else if (elsewhere)
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
	char why[256];

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
	/* Where a parent ignored it there is no status. */
	signal(SIGCHLD, SIG_DFL);
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

/* True if the kernel is locked down, as it is under Secure Boot. */
static bool locked_down(void)
{
	char line[64];

	return read_line(LOCKDOWN, line, sizeof(line)) &&
	       !strstr(line, "[none]");
}

/* What helps where the signature does not do, or is not there. */
static void help_sign(char *help, size_t size)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(certificates); i++) {
		if (access(certificates[i], F_OK))
			continue;
		snprintf(help, size,
			 "; to have its key accepted: mokutil --import %s, and boot again",
			 certificates[i]);
		return;
	}
	snprintf(help, size,
		 "; sign it (DKMS does) and have the key accepted: mokutil --import CERTIFICATE, and boot again");
}

/* What a line of modprobe means, where that is not plain, and what helps. */
static const char *gloss(const char *said, char *help, size_t size)
{
	if (strstr(said, "Key was rejected") || strstr(said, "Required key") ||
	    (strstr(said, "Operation not permitted") && locked_down())) {
		help_sign(help, size);
		return "signature refused: ";
	}
	if (strstr(said, "Exec format error") || strstr(said, "Unknown symbol"))
		return "not built for this kernel: ";
	if (strstr(said, "install command"))
		return "blocked by an install line of modprobe.d: ";
	return "";
}

/* The kernel was asked for the family, and has not loaded the module. */
enum status module_load(void)
{
	char path[256] = "/sbin/modprobe", said[1024], why[256], help[160] = "";
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
	meaning = gloss(said, help, sizeof(help));
	while ((last = strrchr(said, '\n')) && !last[1])
		*last = '\0';
	return fail(ST_NO_MODULE, "module " MODULE
		    " is not loaded and cannot be: %s%s%s", meaning,
		    last ? last + 1 : said, help);
}

/**
 * module_lacks - say whose fault it is that the module does not know a word
 * @text: where to
 * @size: of @text
 */
void module_lacks(char *text, size_t size)
{
	char version[32];

	if (!read_line(VERSION_FILE, version, sizeof(version)))
		strcpy(version, "?");
	snprintf(text, size, " (module " MODULE " is version %s, kactl " VERSION ")",
		 version);
}

/* modprobe is content, and yet there is no module. */
enum status module_blocked(void)
{
	return fail(ST_NO_MODULE, "module " MODULE
		    " is not loaded and cannot be: blocked by a blacklist or install line of modprobe.d");
}

// SPDX-License-Identifier: GPL-2.0
/*
 * many PAIRS PORT: opens that many connections over loopback, both ends of each
 * here, says so, and keeps them until standard input ends.
 *
 * A thousand of them go to each address from 127.1.0.0 on, so that none of them
 * looks long for a port.
 */
#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST		0x7f010000U
#define TO_EACH		1000

static int must(int result, const char *what)
{
	if (result < 0)
		err(EXIT_FAILURE, "%s", what);
	return result;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	int n = argc == 3 ? atoi(argv[1]) : 0;
	struct rlimit files = { 2 * n + 16, 2 * n + 16 };
	int listener, fd, on = 1, i;
	char c;

	if (n <= 0)
		errx(EXIT_FAILURE, "usage: many PAIRS PORT");
	must(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
	to.sin_port = htons(atoi(argv[2]));
	listener = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
	must(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), "SO_REUSEADDR");
	must(bind(listener, (void *)&to, sizeof(to)), "bind");
	must(listen(listener, 1), "listen");
	for (i = 0; i < n; i++) {
		to.sin_addr.s_addr = htonl(FIRST + i / TO_EACH);
		fd = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
		must(connect(fd, (void *)&to, sizeof(to)), "connect");
		must(accept(listener, NULL, NULL), "accept");
	}
	puts("open");
	fflush(stdout);
	must(read(STDIN_FILENO, &c, 1), "read");
	return EXIT_SUCCESS;
}

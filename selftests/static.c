// SPDX-License-Identifier: GPL-2.0
/*
 * A client that never asks for keepalive, statically linked: says on standard
 * error whether it got it and who it is, and copies what it receives to standard
 * output. See coexist.py and nat.py.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_storage parse(const char *addr, const char *port)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in6 *in6 = (void *)&ss;
	struct sockaddr_in *in = (void *)&ss;

	/* Both have the port in the same place. */
	in->sin_port = htons(atoi(port));
	if (inet_pton(AF_INET, addr, &in->sin_addr) == 1)
		ss.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, addr, &in6->sin6_addr) == 1)
		ss.ss_family = AF_INET6;
	else
		errx(2, "\"%s\" is no address", addr);
	return ss;
}

int main(int argc, char **argv)
{
	struct sockaddr_storage to;
	static char buf[65536];
	int fd, on;
	socklen_t len = sizeof(on);
	ssize_t n;

	if (argc != 3)
		errx(2, "usage: %s ADDR PORT", argv[0]);
	to = parse(argv[1], argv[2]);
	fd = socket(to.ss_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to,
			      to.ss_family == AF_INET ? sizeof(struct sockaddr_in) :
							sizeof(struct sockaddr_in6)))
		err(1, "%s", argv[1]);
	if (getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len))
		err(1, "SO_KEEPALIVE");
	fprintf(stderr, "%d %u\n", !!on, geteuid());
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (fwrite(buf, 1, n, stdout) != (size_t)n)
			err(1, "standard output");
	if (n < 0)
		err(1, "read");
	return fflush(stdout) ? 1 : 0;
}

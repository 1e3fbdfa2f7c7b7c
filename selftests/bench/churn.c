// SPDX-License-Identifier: GPL-2.0
/*
 * churn THREADS SECONDS PORT: each thread opens connections over loopback to
 * itself and closes them, one after another. Prints how many that were and the
 * nanoseconds of CPU time that they took.
 *
 * They end with an RST: nothing stays behind that would slow down the later ones.
 */
#include <err.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static atomic_bool over;

struct thread {
	pthread_t id;
	struct sockaddr_in to;
	long connections;
};

static int must(int result, const char *what)
{
	if (result < 0)
		err(EXIT_FAILURE, "%s", what);
	return result;
}

static void *body(void *arg)
{
	static const struct linger reset = { .l_onoff = 1 };
	struct thread *t = arg;
	int listener, a, b;

	listener = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
	must(bind(listener, (void *)&t->to, sizeof(t->to)), "bind");
	must(listen(listener, 1), "listen");
	while (!over) {
		a = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
		must(connect(a, (void *)&t->to, sizeof(t->to)), "connect");
		b = must(accept(listener, NULL, NULL), "accept");
		must(setsockopt(a, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), "SO_LINGER");
		close(a);
		close(b);
		t->connections++;
	}
	close(listener);
	return NULL;
}

int main(int argc, char **argv)
{
	int n = argc == 4 ? atoi(argv[1]) : 0, i;
	struct thread *threads;
	struct timespec cpu;
	long sum = 0;

	threads = n > 0 ? calloc(n, sizeof(*threads)) : NULL;
	if (!threads)
		errx(EXIT_FAILURE, "usage: churn THREADS SECONDS PORT");
	for (i = 0; i < n; i++) {
		threads[i].to.sin_family = AF_INET;
		threads[i].to.sin_addr.s_addr = htonl(0x7f020001 + i);
		threads[i].to.sin_port = htons(atoi(argv[3]));
		if (pthread_create(&threads[i].id, NULL, body, &threads[i]))
			errx(EXIT_FAILURE, "no thread");
	}
	sleep(atoi(argv[2]));
	over = true;
	for (i = 0; i < n; i++) {
		pthread_join(threads[i].id, NULL);
		sum += threads[i].connections;
	}
	free(threads);
	must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu), "clock_gettime");
	printf("%ld %lld\n", sum, cpu.tv_sec * 1000000000LL + cpu.tv_nsec);
	return EXIT_SUCCESS;
}

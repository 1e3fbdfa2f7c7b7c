// SPDX-License-Identifier: GPL-2.0
/*
 * What one operation costs, in nanoseconds of CPU time; on the clock that jumps
 * these are instructions, the program's own and the kernel's. See README.
 *
 *	cost pingpong | bulk | connect
 *	cost probe CONNECTIONS SECONDS
 *	cost exec COMMAND...
 *
 * Both ends of each connection are in this one thread: what goes over loopback
 * has arrived when the call returns, but for the rare time that ksoftirqd has
 * it and is waited for.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct pair {
	int client;
	int server;
};

/* What the operations work on: a connection, a command. */
static struct pair pair;
static char **command;

/* The result of a call that must not fail. */
static long must(long result, const char *what)
{
	if (result < 0)
		err(EXIT_FAILURE, "%s", what);
	return result;
}

static void *array(int n, size_t size)
{
	void *p = calloc(n, size);

	if (!p)
		err(EXIT_FAILURE, "%d", n);
	return p;
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* How long the CPUs have been idle: to the nanosecond, unlike /proc/stat. */
static long long idle_time(void)
{
	static const char path[] = "/proc/timer_list";
	FILE *file = fopen(path, "r");
	long long sum = 0, t;
	char line[256];

	if (!file)
		err(EXIT_FAILURE, "%s", path);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " .idle_sleeptime : %lld", &t) == 1 ||
		    sscanf(line, " .iowait_sleeptime: %lld", &t) == 1)
			sum += t;
	fclose(file);
	return sum;
}

/* A stretch of CPU time; reading its start and its end is not part of it. */
struct stretch {
	long long idle;
	long long start;
};

static struct stretch begin(void)
{
	struct stretch s = { .idle = idle_time() };

	s.start = now();
	return s;
}

static long long end(const struct stretch *s)
{
	long long at = now();

	return at - s->start - (idle_time() - s->idle);
}

static void open_pair(struct pair *p)
{
	static struct sockaddr_in to = { .sin_family = AF_INET };
	static socklen_t len = sizeof(to);
	static int listener = -1;

	if (listener < 0) {
		to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		listener = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
		must(bind(listener, (void *)&to, len), "bind");
		must(listen(listener, 1), "listen");
		must(getsockname(listener, (void *)&to, &len), "getsockname");
	}
	p->client = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
	must(connect(p->client, (void *)&to, len), "connect");
	p->server = must(accept(listener, NULL, NULL), "accept");
}

static void op_connect(void)
{
	struct pair p;

	open_pair(&p);
	close(p.client);
	close(p.server);
}

static void transfer(int from, int to, size_t bytes)
{
	static char data[65536];
	size_t got = 0;

	if (must(write(from, data, bytes), "write") != (long)bytes)
		errx(EXIT_FAILURE, "a short write");
	while (got < bytes)
		got += must(read(to, data, bytes), "read");
}

static void op_pingpong(void)
{
	transfer(pair.client, pair.server, 1);
	transfer(pair.server, pair.client, 1);
}

static void op_bulk(void)
{
	transfer(pair.client, pair.server, 65536);
}

static void op_exec(void)
{
	int status;
	pid_t pid = must(fork(), "fork");

	if (!pid) {
		int null = must(open("/dev/null", O_WRONLY), "/dev/null");

		dup2(null, STDOUT_FILENO);
		execvp(command[0], command);
		err(EXIT_FAILURE, "%s", command[0]);
	}
	must(waitpid(pid, &status, 0), "waitpid");
	if (status)
		errx(EXIT_FAILURE, "'%s' failed", command[0]);
}

static const struct row {
	const char	*name;
	void		(*op)(void);
	int		ops;		/* in a batch */
	int		batches;	/* after one to warm up */
	int		pause;		/* before each, in s: outlasts TIME_WAIT */
} rows[] = {
	{ "pingpong", op_pingpong, 1000, 20, 0 },
	{ "bulk", op_bulk, 100, 20, 0 },
	{ "connect", op_connect, 3000, 6, 70 },
	{ "exec", op_exec, 1, 20, 0 },
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The mean of the middle half of the batches. */
static double measure(const struct row *r)
{
	double *cost = array(r->batches, sizeof(*cost)), sum = 0;
	int batch, i, quarter = r->batches / 4;

	for (batch = -1; batch < r->batches; batch++) {
		struct stretch s;

		sleep(r->pause);
		s = begin();
		for (i = 0; i < r->ops; i++)
			r->op();
		if (batch >= 0)
			cost[batch] = (double)end(&s) / r->ops;
	}
	qsort(cost, r->batches, sizeof(*cost), by_value);
	for (i = quarter; i < r->batches - quarter; i++)
		sum += cost[i];
	free(cost);
	return sum / (r->batches - 2 * quarter);
}

static void set(int fd, int level, int option, int value)
{
	must(setsockopt(fd, level, option, &value, sizeof(value)), "setsockopt");
}

/* On connections that say nothing, each probe is a segment. */
static long segments_out(const struct pair *pairs, int n)
{
	long sum = 0;
	int i;

	for (i = 0; i < n; i++) {
		struct tcp_info info;
		socklen_t len = sizeof(info);

		must(getsockopt(pairs[i].client, IPPROTO_TCP, TCP_INFO, &info,
				&len), "TCP_INFO");
		sum += info.tcpi_segs_out;
	}
	return sum;
}

static long long cpu_time_of(int seconds)
{
	struct stretch s = begin();

	sleep(seconds);
	return end(&s);
}

/*
 * One probe and its answer: the CPU time of an idle machine with connections
 * that are probed every second, evenly spread over it, less that without.
 */
static double measure_probe(int n, int seconds)
{
	struct pair *pairs = array(n, sizeof(*pairs));
	struct rlimit files = { 2 * n + 16, 2 * n + 16 };
	long long cost;
	long probes;
	int i;

	must(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
	for (i = 0; i < n; i++)
		open_pair(&pairs[i]);
	sleep(2);
	cost = -cpu_time_of(seconds);
	for (i = 0; i < n; i++) {
		set(pairs[i].client, IPPROTO_TCP, TCP_KEEPIDLE, 1);
		set(pairs[i].client, IPPROTO_TCP, TCP_KEEPINTVL, 1);
		set(pairs[i].client, SOL_SOCKET, SO_KEEPALIVE, 1);
		usleep(1000000 / n);
	}
	sleep(2);
	probes = -segments_out(pairs, n);
	cost += cpu_time_of(seconds);
	probes += segments_out(pairs, n);
	/* The timer is a little late each time. */
	if (probes < 0.9 * n * seconds)
		errx(EXIT_FAILURE, "%ld probes of %d sockets in %d s",
		     probes, n, seconds);
	free(pairs);
	return (double)cost / probes;
}

/*
 * A command's instructions for each of n sockets: what it takes with them, less
 * what it takes with the two there are before.
 */
static double measure_each(int n)
{
	struct rlimit files = { n + 64, n + 64 };
	struct stretch s;
	long long none;
	struct pair p;
	int i;

	must(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
	op_exec();
	s = begin();
	op_exec();
	none = end(&s);
	for (i = 0; i < n / 2; i++)
		open_pair(&p);
	op_exec();
	s = begin();
	op_exec();
	return (double)(end(&s) - none) / n;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	double cost = -1;
	size_t i;

	open_pair(&pair);
	command = argv + 2;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (!strcmp(name, rows[i].name))
			cost = measure(&rows[i]);
	if (!strcmp(name, "probe") && argc == 4)
		cost = measure_probe(atoi(argv[2]), atoi(argv[3]));
	if (!strcmp(name, "each") && argc > 3) {
		command = argv + 3;
		cost = measure_each(atoi(argv[2]));
	}
	if (cost < 0)
		errx(EXIT_FAILURE, "cost of what?");
	printf("%.1f\n", cost);
	return EXIT_SUCCESS;
}

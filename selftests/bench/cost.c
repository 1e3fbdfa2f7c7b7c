// SPDX-License-Identifier: GPL-2.0
/*
 * What one operation costs, in nanoseconds of CPU time; on the clock that jumps
 * these are instructions, the program's own and the kernel's. See README.
 *
 *	cost pingpong | bulk [CONNECTIONS]	beside so many that were probed
 *	cost connect | netns
 *	cost probe CONNECTIONS SECONDS
 *	cost lost CONNECTIONS SECONDS COMMAND...	what the command adds
 *	cost exec COMMAND...
 *	cost each SOCKETS COMMAND... [-- COMMAND...]...	a line for each
 *
 * or takes, in bytes of the kernel's objects:
 *
 *	cost memory socket | record | netns NUMBER
 *
 * Both ends of each connection are in this one thread: what goes over loopback
 * has arrived when the call returns, but for the rare time that ksoftirqd has
 * it and is waited for.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/tcp.h>
#include <math.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Outlasts TIME_WAIT; nobody waits for it on the clock that jumps. */
#define PAUSE		70

/* To one address; each has its own ports. */
#define PAIRS_EACH	20000

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

static void set(int fd, int level, int option, int value)
{
	must(setsockopt(fd, level, option, &value, sizeof(value)), "setsockopt");
}

/* The number-th: chooses the address. */
static struct pair open_pair(int number)
{
	static struct sockaddr_in to = { .sin_family = AF_INET };
	static socklen_t len = sizeof(to);
	static int listener = -1;
	struct pair p;

	if (listener < 0) {
		listener = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
		must(bind(listener, (void *)&to, len), "bind");
		must(listen(listener, 1), "listen");
		must(getsockname(listener, (void *)&to, &len), "getsockname");
	}
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number / PAIRS_EACH);
	p.client = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
	must(connect(p.client, (void *)&to, len), "connect");
	p.server = must(accept(listener, NULL, NULL), "accept");
	return p;
}

static struct pair *open_pairs(int n)
{
	struct rlimit files = { 2 * n + 64, 2 * n + 64 };
	struct pair *pairs = array(n, sizeof(*pairs));
	int i;

	must(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
	for (i = 0; i < n; i++)
		pairs[i] = open_pair(i);
	return pairs;
}

static void op_connect(void)
{
	struct pair p = open_pair(0);

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

static pid_t start(char **argv)
{
	pid_t pid = must(fork(), "fork");

	if (!pid) {
		int null = must(open("/dev/null", O_WRONLY), "/dev/null");

		dup2(null, STDOUT_FILENO);
		execvp(argv[0], argv);
		err(EXIT_FAILURE, "%s", argv[0]);
	}
	return pid;
}

static void op_exec(void)
{
	pid_t pid = start(command);
	int status;

	must(waitpid(pid, &status, 0), "waitpid");
	if (status)
		errx(EXIT_FAILURE, "'%s' failed", command[0]);
}

/*
 * Leaves the one before, which goes meanwhile. With where the allocators stand it
 * takes 2 % more or less, the module or none: every eighth stays, so that they
 * stand elsewhere each time. What does not go is cheaper, and not of the middle half.
 */
static void op_netns(void)
{
	static int n;

	must(unshare(CLONE_NEWNET), "unshare");
	if (n++ % 8 == 0)
		must(open("/proc/self/ns/net", O_RDONLY), "/proc/self/ns/net");
	sleep(1);
}

static const struct row {
	const char	*name;
	void		(*op)(void);
	int		ops;		/* in a batch */
	int		batches;	/* after one to warm up */
	int		pause;		/* before each, in s */
} rows[] = {
	{ "pingpong", op_pingpong, 1000, 20, 0 },
	{ "bulk", op_bulk, 100, 20, 0 },
	{ "connect", op_connect, 3000, 6, PAUSE },
	{ "exec", op_exec, 1, 20, 0 },
	{ "netns", op_netns, 1, 80, 0 },
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

/* Probes every second from now on, spread over it; there has been one of each. */
static void probe(const struct pair *pairs, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		set(pairs[i].client, IPPROTO_TCP, TCP_KEEPIDLE, 1);
		set(pairs[i].client, IPPROTO_TCP, TCP_KEEPINTVL, 1);
		set(pairs[i].client, IPPROTO_TCP, TCP_KEEPCNT, 127);
		set(pairs[i].client, SOL_SOCKET, SO_KEEPALIVE, 1);
		usleep(1000000 / n);
	}
	sleep(2);
}

/* And none, so to speak. */
static void probe_no_more(const struct pair *pairs, int n)
{
	int i;

	for (i = 0; i < n; i++)
		set(pairs[i].client, IPPROTO_TCP, TCP_KEEPIDLE, 32767);
}

/* CPU time, less what it was without, by probes. */
static double by_probes(const struct pair *pairs, int n, int seconds,
			long long without)
{
	long probes = -segments_out(pairs, n);
	long long cost = cpu_time_of(seconds) - without;

	probes += segments_out(pairs, n);
	/* The timer is a little late each time. */
	if (probes < 0.9 * n * seconds)
		errx(EXIT_FAILURE, "%ld probes of %d sockets in %d s",
		     probes, n, seconds);
	return (double)cost / probes;
}

/*
 * One probe and its answer: the CPU time of an idle machine with connections
 * that are probed every second, less that without.
 */
static double measure_probe(int n, int seconds)
{
	struct pair *pairs = open_pairs(n);
	long long without;

	sleep(2);
	without = cpu_time_of(seconds);
	probe(pairs, n);
	return by_probes(pairs, n, seconds, without);
}

/* What a command that runs adds to each probe that is lost. */
static double measure_lost(int n, int seconds)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog filter = { 1, &nothing };
	struct linger at_once = { 1, 0 };
	struct pair *pairs = open_pairs(n);
	double cost;
	pid_t pid;
	int i;

	for (i = 0; i < n; i++)
		must(setsockopt(pairs[i].server, SOL_SOCKET, SO_ATTACH_FILTER,
				&filter, sizeof(filter)), "SO_ATTACH_FILTER");
	probe(pairs, n);
	cost = -by_probes(pairs, n, seconds, 0);
	pid = start(command);
	sleep(2);
	cost += by_probes(pairs, n, seconds, 0);
	must(kill(pid, SIGTERM), "kill");
	must(waitpid(pid, NULL, 0), "waitpid");
	/* With RST: a FIN that nobody hears would be sent again and again. */
	for (i = 0; i < n; i++) {
		must(setsockopt(pairs[i].client, SOL_SOCKET, SO_LINGER,
				&at_once, sizeof(at_once)), "SO_LINGER");
		must(setsockopt(pairs[i].server, SOL_SOCKET, SO_LINGER,
				&at_once, sizeof(at_once)), "SO_LINGER");
	}
	return cost;
}

/* Where the command that follows a "--" begins, or NULL. */
static char **next_command(char **words)
{
	while (*words && strcmp(*words, "--"))
		words++;
	if (!*words)
		return NULL;
	*words = NULL;
	return words + 1;
}

/*
 * Each command's instructions for each of n sockets: what it takes with them,
 * less what it takes with the two that there are before.
 */
static void measure_each(int n)
{
	long long cost[16] = {};
	char **commands[16];
	int i, c = 0, round;

	for (; command && c < 16; command = next_command(command))
		commands[c++] = command;
	/* The first round warms up. */
	for (round = 0; round < 3; round++) {
		if (round == 2) {
			sleep(PAUSE);
			free(open_pairs(n / 2));
		}
		for (i = 0; i < c; i++) {
			struct stretch s = begin();

			command = commands[i];
			op_exec();
			cost[i] = end(&s) - cost[i] * (round == 2);
		}
	}
	for (i = 0; i < c; i++)
		printf("%.1f\n", (double)cost[i] / n);
}

/* Bytes of the objects that the kernel has. */
static long long slab_used(void)
{
	static const char path[] = "/proc/slabinfo";
	FILE *file = fopen(path, "r");
	long long sum = 0, n, size;
	char line[512];

	if (!file)
		err(EXIT_FAILURE, "%s", path);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%*s %lld %*d %lld", &n, &size) == 2)
			sum += n * size;
	fclose(file);
	return sum;
}

static double memory_of_socket(int n)
{
	long long used;

	sleep(PAUSE);
	used = slab_used();
	free(open_pairs(n / 2));
	return (double)(slab_used() - used) / n;
}

static double memory_of_record(int n)
{
	struct pair *pairs = open_pairs(n);
	long long used;

	sleep(PAUSE);
	used = slab_used();
	probe(pairs, n);
	probe_no_more(pairs, n);
	sleep(PAUSE);
	return (double)(slab_used() - used) / n;
}

static double memory_of_netns(int n)
{
	struct rlimit files = { n + 64, n + 64 };
	long long used;
	int i;

	must(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
	sleep(PAUSE);
	used = slab_used();
	for (i = 0; i < n; i++) {
		must(unshare(CLONE_NEWNET), "unshare");
		must(open("/proc/self/ns/net", O_RDONLY), "/proc/self/ns/net");
	}
	return (double)(slab_used() - used) / n;
}

static double measure_memory(const char *of, int n)
{
	if (!strcmp(of, "socket"))
		return memory_of_socket(n);
	if (!strcmp(of, "record"))
		return memory_of_record(n);
	if (!strcmp(of, "netns"))
		return memory_of_netns(n);
	errx(EXIT_FAILURE, "memory of what?");
}

/* The connection that is measured and others have been probed. */
static void probe_once(int n)
{
	struct pair *pairs = open_pairs(n);

	pairs[0] = pair;
	probe(pairs, n);
	probe_no_more(pairs, n);
	free(pairs);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	double cost = NAN;
	size_t i;

	pair = open_pair(0);
	command = argv + 2;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (strcmp(name, rows[i].name))
			continue;
		if (argc == 3 && rows[i].op != op_exec)
			probe_once(atoi(argv[2]));
		cost = measure(&rows[i]);
	}
	if (!strcmp(name, "probe") && argc == 4)
		cost = measure_probe(atoi(argv[2]), atoi(argv[3]));
	if (!strcmp(name, "memory") && argc == 4)
		cost = measure_memory(argv[2], atoi(argv[3]));
	if (!strcmp(name, "lost") && argc > 4) {
		command = argv + 4;
		cost = measure_lost(atoi(argv[2]), atoi(argv[3]));
	}
	if (!strcmp(name, "each") && argc > 3) {
		command = argv + 3;
		measure_each(atoi(argv[2]));
		return EXIT_SUCCESS;
	}
	if (isnan(cost))
		errx(EXIT_FAILURE, "cost of what?");
	printf("%.1f\n", cost);
	return EXIT_SUCCESS;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * kactl metrics: the statistics for those who keep them.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "kactl.h"
#include "listen.h"
#include "metrics.h"
#include "out.h"
#include "parse.h"

static enum status metrics_print(void)
{
	enum status st;
	char *text;
	size_t len;

	st = metrics_make(METRICS_OPEN, &text, &len);
	if (text)
		out_bytes(text, len);
	free(text);
	return st;
}

/* A file that says less than the one before would look like a restart. */
static enum status metrics_file(const char *path)
{
	enum status st, written = ST_DONE;
	char *text;
	size_t len;

	st = metrics_make(METRICS_TEXT, &text, &len);
	if (text && !strcmp(path, "-"))
		out_bytes(text, len);
	else if (text && !st)
		written = file_replace(path, text, len);
	free(text);
	return written ? written : st;
}

static enum status metrics_listen(const char *word)
{
	enum status st;
	int fd;

	st = listen_open("--listen", word, &fd);
	return st ? st : listen_serve(fd);
}

static enum status metrics(struct args *a)
{
	const char *listen = NULL, *file = NULL;
	enum status st = ST_DONE;

	while (*a->word && !st) {
		if (args_take(a, "--listen"))
			st = args_once(a, "--listen", &listen);
		else if (args_take(a, "--textfile"))
			st = args_once(a, "--textfile", &file);
		else
			st = args_unknown(a);
	}
	if (st)
		return st;
	if (file && !*file)
		return fail(ST_USAGE, "--textfile \"\": not a file");
	if (listen && file)
		return fail(ST_USAGE, "--listen and --textfile exclude each other");
	if (ka.json)
		return fail(ST_USAGE, "--json: metrics are text; \"kactl -j stats\" has "
			    "the same numbers");
	if (listen)
		return metrics_listen(listen);
	return file ? metrics_file(file) : metrics_print();
}

static const struct verb verbs[] = {
	{
		.name	= "",
		.args	= "[--listen ADDR:PORT] [--textfile FILE]",
		.run	= metrics,
		.help	= "Write the statistics and the policy as OpenMetrics text.\n"
			  "  --listen ADDR:PORT  serve them over HTTP as /metrics, until Ctrl-C;\n"
			  "                      an IPv6 address in brackets: [::1]:9000\n"
			  "  --textfile FILE     write them in the format that node_exporter's textfile\n"
			  "                      collector reads, and replace FILE as a whole; - is\n"
			  "                      standard output\n",
	}, { 0 }
};

const struct object object_metrics = {
	.name		= "metrics",
	.summary	= "the statistics for Prometheus and its like",
	.verbs		= verbs,
	.examples	= "  kactl -a metrics --listen 127.0.0.1:9000\n"
			  "  kactl metrics --textfile /var/lib/prometheus/node-exporter/tcp_keepalive.prom\n",
};

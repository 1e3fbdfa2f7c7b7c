// SPDX-License-Identifier: GPL-2.0
/*
 * Statistics as metrics. All namespaces are read first: what is written is one
 * metric after another, with all namespaces in each.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/tcp_keepalive.h>

#include "kactl.h"
#include "metrics.h"
#include "netns.h"
#include "out.h"
#include "policy.h"
#include "stats.h"

#define PREFIX	"tcp_keepalive_"

/* What the histograms are called here, where units are without a prefix. */
static const struct hist_metric {
	const char *name;
	const char *unit;
	const char *doc;
	unsigned int first;	/* power of two, of the first bucket */
	unsigned int last;	/* and of the last but the one without a bound */
	double scale;
} hist_metrics[NR_HISTS] = {
	[HIST_RTT] = { "rtt_seconds", "seconds",
		"time from a probe to its answer, where that can be told",
		4, 26, 0.000001 },
	[HIST_LOST] = { "lost_in_row", NULL,
		"probes lost in a row when the peer was heard again",
		0, 7, 1 },
	[HIST_DETECT] = { "detect_seconds", "seconds",
		"time from when the peer was last heard to declared dead",
		10, 24, 0.001 },
};

static const struct policy_metric {
	int field;
	const char *name;
	const char *unit;
	const char *doc;
} policy_metrics[] = {
	{ POLICY_TIME, "policy_time_seconds", "seconds",
	  "policy: idle before the first probe" },
	{ POLICY_INTVL, "policy_intvl_seconds", "seconds",
	  "policy: between unanswered probes" },
	{ POLICY_PROBES, "policy_probes", NULL,
	  "policy: unanswered probes before the connection is closed" },
	{ POLICY_ENFORCE, "policy_enforce", NULL,
	  "policy: 1 if all new connections get keepalive" },
	{ POLICY_INHERIT, "policy_inherit", NULL,
	  "policy: 1 if new namespaces made from this one get its policy" },
};

/* A namespace, and all that is said about it. */
struct subject {
	char *label;
	struct sample stats;
	int64_t policy[NR_POLICY_FIELDS];
};

struct metrics {
	enum metrics_format format;
	FILE *f;
	struct subject *subject;
	size_t nr;
};

/* The value of a label, quoted and UTF-8; names of namespaces are other people's. */
static char *label_of(uint32_t ino)
{
	const char *name = netns_name(ino), *from, *end;
	char *label = malloc(name ? 2 * strlen(name) + 1 : 16), *to = label;
	wchar_t wc;
	size_t n;

	if (!label)
		return NULL;
	if (!name) {
		snprintf(label, 16, "%" PRIu32, ino);
		return label;
	}
	end = name + strlen(name);
	for (from = name; from < end; from += n ?: 1) {
		n = out_char(from, end, &wc);
		if (*from == '\\' || *from == '"' || *from == '\n')
			*to++ = '\\';
		if (*from == '\n')
			*to++ = 'n';
		else if (n)
			to = mempcpy(to, from, n);
		else
			*to++ = '?';
	}
	*to = '\0';
	return label;
}

static enum status subject_read(void *arg)
{
	struct metrics *m = arg;
	struct subject *more, *s;
	enum status st;

	more = realloc(m->subject, (m->nr + 1) * sizeof(*more));
	if (!more)
		return fail(ST_REFUSED, "%s", strerror(ENOMEM));
	m->subject = more;
	s = &more[m->nr];
	st = stats_read_now(&s->stats);
	if (!st)
		st = policy_read_now(s->policy);
	if (st)
		return st;
	s->label = label_of(s->stats.ino);
	if (!s->label)
		return fail(ST_REFUSED, "%s", strerror(ENOMEM));
	m->nr++;
	return ST_DONE;
}

/* OpenMetrics names a counter without the "_total" that its samples have. */
static void head(const struct metrics *m, const char *name, const char *type,
		 const char *unit, const char *doc)
{
	const char *total = "";

	if (m->format == METRICS_TEXT && !strcmp(type, "counter"))
		total = "_total";
	fprintf(m->f, "# HELP " PREFIX "%s%s %s\n", name, total, doc);
	fprintf(m->f, "# TYPE " PREFIX "%s%s %s\n", name, total, type);
	if (unit && m->format == METRICS_OPEN)
		fprintf(m->f, "# UNIT " PREFIX "%s %s\n", name, unit);
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && !strcmp(s + n - k, end);
}

static void counter(const struct metrics *m, const struct stat_desc *d)
{
	bool gauge = d->flags & STAT_GAUGE;
	const struct sample *s;
	size_t i;

	head(m, d->name, gauge ? "gauge" : "counter",
	     ends_with(d->name, "_bytes") ? "bytes" : NULL, d->doc);
	for (i = 0; i < m->nr; i++) {
		s = &m->subject[i].stats;
		if (s->has & UINT64_C(1) << d->attr)
			fprintf(m->f, PREFIX "%s%s{netns=\"%s\"} %" PRIu64 "\n",
				d->name, gauge ? "" : "_total",
				m->subject[i].label, s->value[d->attr]);
	}
}

/* As OpenMetrics wants a float written that is the name of a bucket. */
static const char *canonical(double value, char *text, size_t size)
{
	snprintf(text, size, "%.15g", value);
	if (!strpbrk(text, ".e"))
		strncat(text, ".0", size - strlen(text) - 1);
	return text;
}

/*
 * The same buckets always, empty or not: one of the module's goes into the next
 * larger. There is no sum, and without one OpenMetrics has no count either.
 */
static void hist_subject(const struct metrics *m, const struct hist_metric *h,
			 const struct subject *s, const struct buckets *b)
{
	uint64_t count = 0;
	unsigned int power;
	char le[32];
	size_t i = 0;

	for (power = h->first; power <= h->last; power++) {
		while (i < b->n && b->bucket[i].bounded &&
		       b->bucket[i].le <= UINT64_C(1) << power)
			count += b->bucket[i++].count;
		canonical((double)(UINT64_C(1) << power) * h->scale, le,
			  sizeof(le));
		fprintf(m->f, PREFIX "%s_bucket{netns=\"%s\",le=\"%s\"} %" PRIu64 "\n",
			h->name, s->label, le, count);
	}
	fprintf(m->f, PREFIX "%s_bucket{netns=\"%s\",le=\"+Inf\"} %" PRIu64 "\n",
		h->name, s->label, b->total);
	if (m->format == METRICS_TEXT)
		fprintf(m->f, PREFIX "%s_count{netns=\"%s\"} %" PRIu64 "\n",
			h->name, s->label, b->total);
}

static void hist(const struct metrics *m, int nr)
{
	const struct hist_metric *h = &hist_metrics[nr];
	size_t i;

	head(m, h->name, "histogram", h->unit, h->doc);
	for (i = 0; i < m->nr; i++)
		hist_subject(m, h, &m->subject[i],
			     &m->subject[i].stats.hist[nr]);
}

static void policy(const struct metrics *m, const struct policy_metric *p)
{
	size_t i;

	head(m, p->name, "gauge", p->unit, p->doc);
	for (i = 0; i < m->nr; i++)
		fprintf(m->f, PREFIX "%s{netns=\"%s\"} %" PRId64 "\n", p->name,
			m->subject[i].label, m->subject[i].policy[p->field]);
}

static void write_all(const struct metrics *m)
{
	size_t i;

	for (i = 0; i < NR_STATS; i++)
		counter(m, &stat_descs[i]);
	for (i = 0; i < NR_HISTS; i++)
		hist(m, (int)i);
	for (i = 0; i < ARRAY_SIZE(policy_metrics); i++)
		policy(m, &policy_metrics[i]);
	if (m->format == METRICS_OPEN)
		fprintf(m->f, "# EOF\n");
}

/**
 * metrics_make - read the statistics and make a text of them
 * @format: of the text
 * @text: the text, to be freed, or NULL if there is none
 * @len: its length
 *
 * With --all-netns there is a text even if some of the namespaces could not be
 * read, which the status says.
 */
enum status metrics_make(enum metrics_format format, char **text, size_t *len)
{
	struct metrics m = { .format = format };
	enum status st = netns_each(false, subject_read, &m);

	*text = NULL;
	if (m.nr && st != ST_NO_MODULE) {
		m.f = open_memstream(text, len);
		if (m.f)
			write_all(&m);
		if (!m.f || fclose(m.f))
			st = fail(ST_REFUSED, "%s", strerror(ENOMEM));
	}
	while (m.nr)
		free(m.subject[--m.nr].label);
	free(m.subject);
	return st;
}

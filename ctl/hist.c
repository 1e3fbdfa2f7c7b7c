// SPDX-License-Identifier: GPL-2.0
/*
 * Histograms: bars for people, arrays for programs. As many buckets are shown
 * as the module has.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <linux/tcp_keepalive.h>

#include "attr.h"
#include "hist.h"
#include "kactl.h"
#include "out.h"

#define BAR_WIDTH	40

/* False if the attribute is no bucket of the histogram, or an empty one. */
static bool bucket_read(const struct hist *h, const struct nlattr *attr,
			struct bucket *b)
{
	const struct nlattr *tb[TCP_KEEPALIVE_A_BUCKET_MAX + 1];

	if (attr_type(attr) != h->attr)
		return false;
	attr_table(tb, TCP_KEEPALIVE_A_BUCKET_MAX, attr_data(attr),
		   attr_len(attr));
	b->bounded = attr_uint(tb[TCP_KEEPALIVE_A_BUCKET_LE], &b->le);
	return attr_uint(tb[TCP_KEEPALIVE_A_BUCKET_COUNT], &b->count) &&
	       b->count;
}

/* Keep them; more than there is room for are counted in the last one. */
void hist_take(const struct hist *h, const struct nlattr *attrs, int len,
	       struct buckets *to)
{
	const struct nlattr *attr;
	struct bucket b;
	int left;

	memset(to, 0, sizeof(*to));
	attr_each(attr, attrs, len, left) {
		if (!bucket_read(h, attr, &b))
			continue;
		to->total += b.count;
		if (to->n < HIST_BUCKETS) {
			to->bucket[to->n++] = b;
			continue;
		}
		b.count += to->bucket[HIST_BUCKETS - 1].count;
		to->bucket[HIST_BUCKETS - 1] = b;
	}
}

static void json_out(const struct hist *h, const struct nlattr *attrs, int len)
{
	const struct nlattr *attr;
	struct bucket b;
	int left;

	out_array(h->name);
	attr_each(attr, attrs, len, left) {
		if (!bucket_read(h, attr, &b))
			continue;
		out_object();
		if (b.bounded)
			out_uint("le", b.le, NULL);
		else
			out_null("le");
		out_uint("count", b.count, NULL);
		out_object_end();
	}
	out_array_end();
}

/* Any that is not empty has a bar, and the widest one fills the line. */
static void bar_out(const struct bucket *b, uint64_t widest)
{
	static const char bar[] = "########################################";
	double share = (double)b->count / (double)widest;
	int width = (int)(share * BAR_WIDTH);
	char le[24] = "inf";

	if (b->bounded)
		snprintf(le, sizeof(le), "%" PRIu64, b->le);
	out_text("  le %-13s %-10" PRIu64 "  %.*s\n", le, b->count,
		 width ? width : 1, bar);
}

static void text_out(const struct hist *h, const struct nlattr *attrs, int len,
		     bool all, bool explain)
{
	uint64_t total = 0, widest = 0;
	const struct nlattr *attr;
	struct bucket b;
	int left;

	attr_each(attr, attrs, len, left) {
		if (!bucket_read(h, attr, &b))
			continue;
		total += b.count;
		if (b.count > widest)
			widest = b.count;
	}
	if (!total && !all)
		return;
	out_uint(h->name, total, explain ? h->doc : NULL);
	attr_each(attr, attrs, len, left)
		if (bucket_read(h, attr, &b))
			bar_out(&b, widest);
}

/**
 * hist_out - show a histogram
 * @h: which
 * @attrs: the message that has it, or has none of its buckets
 * @len: length of @attrs
 * @all: in text, show it if it is empty too
 * @explain: in text, say what it means
 */
void hist_out(const struct hist *h, const struct nlattr *attrs, int len,
	      bool all, bool explain)
{
	if (ka.json)
		json_out(h, attrs, len);
	else
		text_out(h, attrs, len, all, explain);
}

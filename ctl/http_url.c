// SPDX-License-Identifier: GPL-2.0
/*
 * The URL that is checked, and what is said of the way to it.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http.h"
#include "http_curl.h"
#include "kactl.h"

static enum status not_one(const char *word, const char *what)
{
	return fail(ST_USAGE, "URL \"%s\": %s", word, what);
}

static bool scheme_is(CURLU *u, const char *name)
{
	char *scheme = NULL;
	bool is = !curl.url_get(u, CURLUPART_SCHEME, &scheme, 0) && !strcmp(scheme, name);

	curl.free(scheme);
	return is;
}

/* The URL is whole, and without its user and password when @clean. */
static char *text_of(CURLU *u, bool clean)
{
	char *url = NULL, *copy;

	if (clean) {
		curl.url_set(u, CURLUPART_USER, NULL, 0);
		curl.url_set(u, CURLUPART_PASSWORD, NULL, 0);
	}
	copy = curl.url_get(u, CURLUPART_URL, &url, 0) ? NULL : strdup(url);
	curl.free(url);
	return copy;
}

/*
 * libcurl will read it once more, and must not find another host: %2541 is %41, then
 * A; %303 is 03, then 0.0.0.3.
 */
static bool host_stays(CURLU *u)
{
	char *url = NULL, *host = NULL, *other_host = NULL;
	CURLU *other = curl.url();
	bool stays;

	stays = other && !curl.url_get(u, CURLUPART_URL, &url, 0) &&
		!curl.url_set(other, CURLUPART_URL, url, 0) &&
		!curl.url_get(u, CURLUPART_HOST, &host, 0) &&
		!curl.url_get(other, CURLUPART_HOST, &other_host, 0) &&
		!strcmp(host, other_host) && !strchr(host, '%');
	curl.free(url);
	curl.free(host);
	curl.free(other_host);
	curl.url_cleanup(other);
	return stays;
}

/**
 * http_proxy_check - refuse what libcurl would take for a proxy that is out of reach
 * @word: what was given as one; if it is empty there is to be none
 */
enum status http_proxy_check(const char *word)
{
	static const char *const schemes[] = {
		"http", "https", "socks4", "socks4a", "socks5", "socks5h", "socks",
	};
	CURLU *u = curl.url();
	bool known = !*word;
	size_t i;

	if (!u)
		return fail(ST_REFUSED, "%s", strerror(ENOMEM));
	if (!known && !curl.url_set(u, CURLUPART_URL, word,
				    CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME))
		for (i = 0; i < ARRAY_SIZE(schemes) && !known; i++)
			known = scheme_is(u, schemes[i]);
	curl.url_cleanup(u);
	return known ? ST_DONE : fail(ST_USAGE, "--proxy \"%s\": not a proxy's URL", word);
}

/* Of IPv6 it may be in brackets. */
static bool is_address(const char *word, size_t len)
{
	bool bracketed = len > 2 && word[0] == '[' && word[len - 1] == ']';
	char text[INET6_ADDRSTRLEN] = "";
	struct in6_addr addr;

	len -= bracketed ? 2 : 0;
	if (len >= sizeof(text))
		return false;
	memcpy(text, word + bracketed, len);
	return inet_pton(AF_INET6, text, &addr) == 1 ||
	       (!bracketed && inet_pton(AF_INET, text, &addr) == 1);
}

/**
 * http_resolve_check - refuse what libcurl would pass over, as some versions do
 * @word: HOST:PORT:ADDRESS, or more addresses with commas between
 */
enum status http_resolve_check(const char *word)
{
	const char *colon = strchr(word, ':');
	bool good = colon && colon > word && !strchr("+-", *word) &&
		    isdigit((unsigned char)colon[1]);
	char *at = NULL;
	unsigned long port = good ? strtoul(colon + 1, &at, 10) : 0;

	good = port > 0 && port <= UINT16_MAX && *at == ':';
	while (good && *at) {
		size_t len = strcspn(++at, ",");

		good = is_address(at, len);
		at += len;
	}
	return good ? ST_DONE :
		      fail(ST_USAGE, "--resolve \"%s\": not HOST:PORT:ADDRESS", word);
}

/**
 * http_url_set - check this URL
 * @want: that wants it
 * @word: the URL; its scheme may be left out, as curl has it
 */
enum status http_url_set(struct http_want *want, const char *word)
{
	CURLU *u = curl.url();
	enum status st = ST_DONE;
	char *url = NULL, *shown = NULL;

	if (!u)
		return fail(ST_REFUSED, "%s", strerror(ENOMEM));
	if (curl.url_set(u, CURLUPART_URL, word, CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME)) {
		st = not_one(word, "not a URL");
	} else if (!scheme_is(u, "http") && !scheme_is(u, "https")) {
		st = not_one(word, "neither http nor https");
	} else if (!host_stays(u)) {
		st = not_one(word, "not a host's name");
	} else {
		url = text_of(u, false);
		shown = text_of(u, true);
		if (!url || !shown)
			st = fail(ST_REFUSED, "%s", strerror(ENOMEM));
	}
	curl.url_cleanup(u);
	if (st) {
		free(url);
		free(shown);
		return st;
	}
	free(want->url);
	free(want->shown);
	want->url = url;
	want->shown = shown;
	return ST_DONE;
}

/* Is it the other's scheme, host or port, be it said or meant? */
static bool part_stays(CURLU *u, CURLU *other, CURLUPart part)
{
	char *is = NULL, *was = NULL;
	bool stays;

	stays = !curl.url_get(u, part, &is, CURLU_DEFAULT_PORT) &&
		!curl.url_get(other, part, &was, CURLU_DEFAULT_PORT) &&
		!strcasecmp(is, was);
	curl.free(is);
	curl.free(was);
	return stays;
}

static bool origin_stays(const char *url, const char *was)
{
	CURLU *u = curl.url(), *other = curl.url();
	bool stays;

	stays = u && other && !curl.url_set(u, CURLUPART_URL, url, 0) &&
		!curl.url_set(other, CURLUPART_URL, was, 0) &&
		part_stays(u, other, CURLUPART_SCHEME) &&
		part_stays(u, other, CURLUPART_HOST) &&
		part_stays(u, other, CURLUPART_PORT);
	curl.url_cleanup(u);
	curl.url_cleanup(other);
	return stays;
}

static bool is_secret(const char *header)
{
	return !strncasecmp(header, "Authorization:", strlen("Authorization:")) ||
	       !strncasecmp(header, "Cookie:", strlen("Cookie:"));
}

static enum status drop_secrets(struct http_want *want)
{
	struct curl_slist *kept = NULL, *more, *h;

	for (h = want->headers; h; h = h->next) {
		if (is_secret(h->data))
			continue;
		more = curl.slist_append(kept, h->data);
		if (!more) {
			curl.slist_free_all(kept);
			return fail(ST_REFUSED, "%s", strerror(ENOMEM));
		}
		kept = more;
	}
	curl.slist_free_all(want->headers);
	want->headers = kept;
	return ST_DONE;
}

/**
 * http_url_follow - check where the URL was redirected to
 * @want: that wants it; what is secret in its headers is for whom it was given, as
 *	curl has it: for no other scheme, host or port (RFC 9110, 15.4)
 * @url: the other one
 */
enum status http_url_follow(struct http_want *want, const char *url)
{
	enum status st = origin_stays(url, want->url) ? ST_DONE : drop_secrets(want);

	return st ? st : http_url_set(want, url);
}

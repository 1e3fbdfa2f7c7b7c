// SPDX-License-Identifier: GPL-2.0
/*
 * Loading libcurl.
 */
#include <dlfcn.h>
#include <string.h>

#include "http_curl.h"
#include "kactl.h"

#define LIBRARY		"libcurl.so.4"

#define CURL_SYMBOL(name)	{ "curl_" #name, (void **)&curl.name }

struct curl_library curl;

static const struct {
	const char *name;
	void **function;
} symbols[] = {
	CURL_SYMBOL(easy_cleanup),
	CURL_SYMBOL(easy_getinfo),
	CURL_SYMBOL(easy_init),
	CURL_SYMBOL(easy_setopt),
	CURL_SYMBOL(easy_strerror),
	CURL_SYMBOL(free),
	CURL_SYMBOL(global_init),
	CURL_SYMBOL(multi_add_handle),
	CURL_SYMBOL(multi_cleanup),
	CURL_SYMBOL(multi_fdset),
	CURL_SYMBOL(multi_info_read),
	CURL_SYMBOL(multi_init),
	CURL_SYMBOL(multi_perform),
	CURL_SYMBOL(multi_remove_handle),
	CURL_SYMBOL(multi_strerror),
	CURL_SYMBOL(multi_timeout),
	CURL_SYMBOL(slist_append),
	CURL_SYMBOL(slist_free_all),
	CURL_SYMBOL(url),
	CURL_SYMBOL(url_cleanup),
	CURL_SYMBOL(url_get),
	CURL_SYMBOL(url_set),
};

enum status curl_load(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	size_t i;

	if (!library)
		return fail(ST_REFUSED, "libcurl is needed for this (on Debian: apt install "
			    "libcurl4): %s",
			    dlerror());
	for (i = 0; i < ARRAY_SIZE(symbols); i++) {
		*symbols[i].function = dlsym(library, symbols[i].name);
		if (!*symbols[i].function)
			return fail(ST_REFUSED, LIBRARY " has no %s",
				    symbols[i].name);
	}
	if (curl.global_init(CURL_GLOBAL_DEFAULT))
		return fail(ST_REFUSED, LIBRARY " cannot be initialised");
	return ST_DONE;
}

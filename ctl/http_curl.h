/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HTTP_CURL_H
#define HTTP_CURL_H

/*
 * libcurl, loaded when it is wanted: with the thirty libraries behind it, it
 * would cost each run of any other command more than the command itself.
 */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "kactl.h"

/* The name is newer than the code. */
#if LIBCURL_VERSION_NUM < 0x074e00
#define CURLE_SETOPT_OPTION_SYNTAX CURLE_TELNET_OPTION_SYNTAX
#endif

/* Its functions, those that are used. */
struct curl_library {
	__typeof__(curl_easy_cleanup) *easy_cleanup;
	__typeof__(curl_easy_getinfo) *easy_getinfo;
	__typeof__(curl_easy_init) *easy_init;
	__typeof__(curl_easy_setopt) *easy_setopt;
	__typeof__(curl_easy_strerror) *easy_strerror;
	__typeof__(curl_free) *free;
	__typeof__(curl_global_init) *global_init;
	__typeof__(curl_multi_add_handle) *multi_add_handle;
	__typeof__(curl_multi_cleanup) *multi_cleanup;
	__typeof__(curl_multi_fdset) *multi_fdset;
	__typeof__(curl_multi_info_read) *multi_info_read;
	__typeof__(curl_multi_init) *multi_init;
	__typeof__(curl_multi_perform) *multi_perform;
	__typeof__(curl_multi_remove_handle) *multi_remove_handle;
	__typeof__(curl_multi_strerror) *multi_strerror;
	__typeof__(curl_multi_timeout) *multi_timeout;
	__typeof__(curl_slist_append) *slist_append;
	__typeof__(curl_slist_free_all) *slist_free_all;
	__typeof__(curl_url) *url;
	__typeof__(curl_url_cleanup) *url_cleanup;
	__typeof__(curl_url_get) *url_get;
	__typeof__(curl_url_set) *url_set;
};

extern struct curl_library curl;

enum status curl_load(void);

#endif /* HTTP_CURL_H */

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KA_COMPAT_LISTENER_H
#define KA_COMPAT_LISTENER_H

#include <net/inet6_hashtables.h>
#include <net/inet_hashtables.h>

/* Newer kernels find a namespace's table of TCP sockets themselves. */
#ifdef KA_HAVE_LISTENER_HASHINFO
#define __inet_lookup_listener(net, ...)				\
	__inet_lookup_listener(net, (net)->ipv4.tcp_death_row.hashinfo,	\
			       __VA_ARGS__)
#define inet6_lookup_listener(net, ...)					\
	inet6_lookup_listener(net, (net)->ipv4.tcp_death_row.hashinfo,	\
			      __VA_ARGS__)
#endif

#endif

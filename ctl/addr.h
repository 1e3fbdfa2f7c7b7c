/* SPDX-License-Identifier: GPL-2.0 */
#ifndef ADDR_H
#define ADDR_H

#include <stdbool.h>
#include <stdint.h>

struct nlattr;

#define ADDR_TEXT	56	/* an address in brackets, a colon and a port */

const char *addr_family(const struct nlattr *addr);
bool addr_text(const struct nlattr *addr, char *text);
void addr_out(const char *name, const struct nlattr *addr);
void addr_port(const struct nlattr *addr, const struct nlattr *port,
	       char *text);
void addr_word(const struct nlattr *addr, const struct nlattr *port);

#endif /* ADDR_H */

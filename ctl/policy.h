/* SPDX-License-Identifier: GPL-2.0 */
#ifndef POLICY_H
#define POLICY_H

struct nlattr;

void policy_out(const struct nlattr *const *tb);

#endif /* POLICY_H */

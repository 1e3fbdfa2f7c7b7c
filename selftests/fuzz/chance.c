// SPDX-License-Identifier: GPL-2.0
/* Chance, which a seed has decided: xorshift64*. */
#include "family.h"

static uint64_t state;

void chance_seed(uint64_t seed)
{
	/* Of 0 nothing but 0 comes. */
	state = seed * 0x9e3779b97f4a7c15ULL | 1;
}

void chance_in_child(void)
{
	state = ~state;
}

uint32_t any(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * 2685821657736338717ULL) >> 32);
}

uint32_t below(uint32_t n)
{
	return any() % n;
}

bool one_in(uint32_t n)
{
	return !below(n);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Ctrl-C and SIGTERM, for commands that have something to finish first.
 */
#include <signal.h>
#include <stddef.h>
#include <stdatomic.h>

#include "intr.h"
#include "kactl.h"

static atomic_int caught;

static void on_signal(int sig)
{
	caught = sig;
}

/* From now on a first signal is noted; a second one kills, come what may. */
void intr_catch(void)
{
	struct sigaction sa = { .sa_handler = on_signal,
				.sa_flags = (int)SA_RESETHAND };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

/* The signal that came, or 0. */
int intr_caught(void)
{
	return caught;
}

/* The signal has been dealt with. */
void intr_forget(void)
{
	caught = 0;
}

/* Die by the signal, if one came: the shell must see that it was one. */
void intr_die(void)
{
	if (!caught)
		return;
	signal(caught, SIG_DFL);
	raise(caught);
}

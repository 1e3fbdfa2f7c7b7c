#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""No memory: probes that there is no record for are sent all the same, and every
one is accounted for; once there is memory again, all is as ever."""

import contextlib
import subprocess
import time

import fault
import ka
import monitor

CONNS = 80              # more than each CPU has records in reserve


def log():
    return subprocess.run(["dmesg"], capture_output=True, text=True,
                          check=True).stdout.splitlines()


@contextlib.contextmanager
def nomem():
    """No memory for the hooks, for the length of the block."""
    fault.parameter("nth", "1")
    try:
        yield
    finally:
        fault.parameter("nth", "0")


def test_no_memory_for_records():
    with fault.faults(), ka.wire() as (c, s):
        socks = ka.pair(c, s, n=CONNS)
        with nomem():
            # So far away that the timer wheel has 16 seconds in a slot: no time to fill the reserve up again.
            for a, _ in socks:
                ka.keepalive(a, 300, 300, 9)
            ka.poll("a probe of each", 600, lambda: c.mib() >= CONNS)
            for a, _ in socks:
                ka.keepalive(a, 600)
            st = ka.expect(c, probes_pending=0, conns_dead=0)
        # The reserve was used up, and what came after was counted as unseen.
        assert 0 < st["probes_answered"] < st["probes_sent"], st
        assert st["probes_unseen"] > 0, st
        assert st["conns_untracked"] >= CONNS - st["conns_tracked"] > 0, st
        assert not [line for line in log() if "allocation failure" in line]

        for a, _ in socks:
            ka.keepalive(a, 2, 2)
        ka.expect(c, 30, conns_tracked=CONNS, probes_unseen=st["probes_unseen"])
        for a, b in socks:
            a.close()
            b.close()
        ka.expect(c, conns_tracked=0)


def test_no_memory_for_events():
    """A listener sees the gap, and how many it was."""
    with fault.faults(), ka.wire() as (c, s):
        socks = ka.pair(c, s, n=CONNS)
        for a, _ in socks:
            ka.keepalive(a, 1, 2, 9)
        ka.expect(c, 30, conns_tracked=CONNS)
        for a, _ in socks:
            ka.keepalive(a, 600, 2, 9)
        time.sleep(100)
        with monitor.monitor(c, "lost", "--timeout", "60") as p:
            s.drop("prerouting")
            with nomem():
                for a, _ in socks:      # due at once, all of them
                    ka.keepalive(a, 1)
                ka.poll("loss", 60,
                        lambda: c.stats()["probes_lost"] >= CONNS)
            # A gap shows by what comes after it.
            ka.poll("more loss", 60,
                    lambda: c.stats()["probes_lost"] >= 2 * CONNS)
            s.undrop()
            said, warned = p.communicate()
        heard = len(said.splitlines())
        st = c.stats()
        assert 0 < heard < st["probes_lost"], (heard, st)
        assert "lost" in warned, warned
        for a, b in socks:
            a.close()
            b.close()


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

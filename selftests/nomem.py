#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""No memory: probes that there is no record for are sent all the same, and every
one is accounted for; once there is memory again, all is as ever."""

import contextlib
import subprocess

import ka
import loadbpf
import monitor

CONNS = 80              # more than each CPU has records in reserve
PROGRAM = "nomem.bpf.o"


def log():
    return subprocess.run(["dmesg"], capture_output=True, text=True,
                          check=True).stdout.splitlines()


@contextlib.contextmanager
def nomem():
    loadbpf.need(PROGRAM)
    with open("/proc/kallsyms", encoding="ascii") as f:
        if " should_failslab\n" not in f.read():
            raise ka.Skip("no should_failslab in this kernel")
    with loadbpf.attached(PROGRAM):
        yield


def test_no_memory_for_records():
    with ka.wire() as (c, s):
        socks = ka.pair(c, s, n=CONNS)
        before = len(log())
        with nomem():
            for a, _ in socks:
                ka.keepalive(a, 2, 2, 9)
            ka.poll("a probe of each", 30, lambda: c.mib() >= CONNS)
            for a, _ in socks:
                ka.keepalive(a, 600)
            st = ka.expect(c, probes_pending=0, conns_dead=0)
        # The reserve was used up, and what came after was counted as unseen.
        assert 0 < st["probes_answered"] < st["probes_sent"], st
        assert st["probes_unseen"] > 0, st
        assert st["conns_untracked"] >= CONNS - st["conns_tracked"] > 0, st
        assert log()[before:] == [], log()[before:]

        for a, _ in socks:
            ka.keepalive(a, 2)
        ka.expect(c, 30, conns_tracked=CONNS, probes_unseen=st["probes_unseen"])
        for a, b in socks:
            a.close()
            b.close()
        ka.expect(c, conns_tracked=0)


def test_no_memory_for_events():
    """A listener sees the gap, and how many it was."""
    with ka.wire() as (c, s):
        socks = ka.pair(c, s, n=CONNS)
        for a, _ in socks:
            ka.keepalive(a, 1, 2, 9)
        ka.expect(c, 30, conns_tracked=CONNS)
        for a, _ in socks:
            ka.keepalive(a, 5)
        with monitor.monitor(c, "lost", "--timeout", "60") as p:
            s.drop("prerouting")
            with nomem():
                ka.poll("loss", 60,
                        lambda: c.stats()["probes_lost"] >= CONNS)
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

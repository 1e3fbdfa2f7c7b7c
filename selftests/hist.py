#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Histograms: the time to an answer against the wire's own delay, and no sample
where that time cannot be told; probes lost in a row; the time to detect."""

import contextlib
import os
import time

import ka

DELAY = 30              # ms, of the server's answers


@contextlib.contextmanager
def delayed(idle=1, intvl=1, cnt=5):
    """A connection whose peer answers DELAY late."""
    with ka.wire() as (c, s):
        (a, b), = ka.pair(c, s)
        s.exec("tc", "qdisc", "add", "dev", "w0", "root", "netem", "delay",
               f"{DELAY}ms")
        ka.keepalive(a, idle, intvl, cnt)
        yield c, s, a, b
        a.close()
        b.close()


def conn(ns):
    got, = ns.kactl("conn")
    return got


def is_the_wires(us):
    return 1000 * DELAY <= us <= 1000 * DELAY + 500 * ka.SLOW


def test_rtt_is_the_wires():
    """Each probe's, though nobody reads between one and the next."""
    if "PREEMPT_RT" in os.uname().version:
        raise ka.Skip("with PREEMPT_RT only a reader finds the time")
    with delayed() as (c, _, a, _b):
        ka.poll("5 probes", 30, lambda: c.mib() >= 5)
        ka.poll("an answer", 5, lambda: ka.tcp_info(a)[1] == 0)
        st = ka.expect(c, probes_pending=0, probes_lost=0)
        assert st["rtt_us"] == [{"le": 32768, "count": st["probes_answered"]}], st
        got = conn(c)
        assert is_the_wires(got["rtt_us"]) and is_the_wires(got["rtt_min_us"]), got
        assert got["rtt_min_us"] <= got["rtt_us"], got


def test_rtt_min_and_last():
    with delayed() as (c, s, _a, _b):
        ka.expect(c, 20, probes_answered=1)
        s.exec("tc", "qdisc", "change", "dev", "w0", "root", "netem", "delay",
               "90ms")
        ka.poll("a slower one", 20, lambda: conn(c)["rtt_us"] > 90000)
        assert is_the_wires(conn(c)["rtt_min_us"]), conn(c)


def test_rtt_of_a_reader():
    """Whoever reads between the answer and the next tick finds it."""
    with delayed(intvl=30 * ka.SLOW) as (c, _s, _a, _b):
        st = ka.expect(c, 20, probes_answered=1)
        assert [b["count"] for b in st["rtt_us"]] == [1], st


def test_no_rtt_after_a_loss():
    """Karn: which of the two was answered? That of a probe after it may be told."""
    with delayed(intvl=20 * ka.SLOW) as (c, s, _a, _b):
        s.drop("prerouting")
        ka.expect(c, 60, probes_lost=1)
        s.undrop()
        st = ka.expect(c, 60, conns_recovered=1)
        assert sum(b["count"] for b in st["rtt_us"]) < st["probes_answered"], st


def test_no_rtt_for_data():
    """Data answers, but nobody knows what it was sent for."""
    with delayed(2 * ka.SLOW, intvl=30 * ka.SLOW) as (c, s, a, b):
        s.drop("prerouting")
        ka.expect(c, 20, probes_pending=1)
        s.undrop()
        b.send(b"x")
        st = ka.expect(c, probes_answered=1)
        assert not st["rtt_us"], st
        assert a.recv(1) == b"x"


def test_no_rtt_where_the_program_read():
    """Reading notes the time, over that of the answer."""
    with delayed(intvl=30 * ka.SLOW) as (c, _s, a, b):
        b.send(b"xy")
        ka.poll("a probe", 20, lambda: c.mib() == 1)
        ka.poll("the answer", 5, lambda: ka.tcp_info(a)[1] == 0)
        assert a.recv(1) == b"x"
        st = ka.expect(c, probes_answered=1)
        assert not st["rtt_us"], st


def test_no_rtt_for_two_segments():
    """The first of them may be the answer, the time is the second's."""
    with delayed(intvl=30 * ka.SLOW) as (c, s, a, b):
        ka.poll("a probe", 20, lambda: c.mib() == 1)
        ka.poll("the answer", 5, lambda: ka.tcp_info(a)[1] == 0)
        ka.keepalive(b, 1)              # its probe: a segment that is no data
        ka.poll("its probe", 20, lambda: s.mib() >= 1)
        time.sleep(0.1)
        st = ka.expect(c, probes_answered=1)
        assert not st["rtt_us"], st


def test_lost_in_row():
    with delayed(intvl=2) as (c, s, _a, _b):
        s.drop("prerouting")
        ka.expect(c, 20, probes_lost=3)
        s.undrop()
        st = ka.expect(c, 20, conns_recovered=1)
        assert st["lost_in_row"] == [{"le": 4, "count": 1}], st


def test_detect_ms():
    """From the last word heard: idle time and intervals, and the wheel's slack."""
    with delayed(idle=2, intvl=2, cnt=2) as (c, s, _a, _b):
        s.drop("prerouting")
        st = ka.expect(c, 30, conns_dead=1)
        assert st["detect_ms"] == [{"le": 8192, "count": 1}], st


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

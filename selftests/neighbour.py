#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""One namespace does as much as it may: another loses nothing by it, is no slower
and is not seen."""

import contextlib
import json
import os
import resource
import signal
import socket
import time

import cost
import ka
import monitor

PARAMS = "/sys/module/tcp_keepalive/parameters/"
CONNS = 1000


@contextlib.contextmanager
def parameters(**values):
    was = {}
    for name, value in values.items():
        with open(PARAMS + name, encoding="ascii") as f:
            was[name] = f.read()
        with open(PARAMS + name, "w", encoding="ascii") as f:
            f.write(str(value))
    try:
        yield
    finally:
        for name, value in was.items():
            with open(PARAMS + name, "w", encoding="ascii") as f:
                f.write(value)


@contextlib.contextmanager
def connected(n, family=socket.AF_INET):
    """Two hosts and n connections from the first to the second."""
    with ka.wire() as (c, s):
        socks = ka.pair(c, s, family, n=n)
        try:
            yield c, s, socks
        finally:
            for pair in socks:
                for sock in pair:
                    sock.close()


def probed(socks, idle=1):
    for a, _ in socks:
        ka.keepalive(a, idle, 1, 9)


def test_records():
    """Each namespace has its own bound, and none takes another's record."""
    with parameters(max_conns=40, max_conns_total=120), connected(30) as (c, _, own):
        probed(own[:20])
        ka.expect(c, 10, conns_tracked=20, conns_untracked=0)
        # One that wants more than it may have leaves the others their own.
        with connected(60) as (hog, _, socks):
            probed(socks)
            ka.expect(hog, 10, conns_tracked=40, conns_untracked=20)
            probed(own[20:25])
            ka.expect(c, 10, conns_tracked=25, conns_untracked=0)
            # Several together that have all there are leave them what they have.
            with connected(60) as (more, _, others):
                probed(others)
                ka.poll("all are taken", 10,
                        lambda: more.stats()["conns_untracked"] > 0)
                total = sum(ns.stats()["conns_tracked"] for ns in (c, hog, more))
                assert total <= 120, total
                probed(own[25:])
                before = c.stats()
                assert before["conns_tracked"] >= 25, before
                time.sleep(5)
                # Whoever came too late is counted all the same.
                st = ka.expect(c, probes_pending=0, probes_unseen=0, probes_lost=0)
                assert st["probes_answered"] >= before["probes_answered"] + 30, st


def connection_ns(n=100):
    """Nanoseconds for a connection over loopback, made and ended; the least of some."""
    def once():
        begin = time.monotonic_ns()
        for _ in range(n):
            with socket.create_connection(at) as a, listener.accept()[0]:
                a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return (time.monotonic_ns() - begin) / n

    with socket.create_server(("127.0.0.1", 0)) as listener:
        at = listener.getsockname()
        return min(once() for _ in range(6))


def speed():
    """What a namespace that has nothing takes, in instructions."""
    with ka.Netns() as ns:
        took = {name: float(ns.exec(cost.COST, "exec", ka.KACTL, *name.split()))
                for name in ("stats", "conn", "rule")}
        with ns.inside():
            took["a connection"] = connection_ns()
    return took


def test_speed():
    """With all the rules and records of another it takes as long."""
    cost.need_the_clock()
    with connected(CONNS) as (hog, s, socks):
        alone = speed()
        hog.exec(ka.KACTL, "-q", "restore", input="policy set enforce on\n" + "".join(
            f"rule add rport {i}-{i + 9} uid {i} time 9 override\n"
            for i in range(1, 1025)))
        s.drop("prerouting")
        for a, _ in socks:
            ka.keepalive(a, 5, 30000, 9)
        ka.expect(hog, 20, conns_tracked=CONNS, probes_pending=CONNS)
        beside = speed()
    for what, was in alone.items():
        cost.held(f"{what}, over {was:,.0f}", beside[what] - was, round(was * 0.02 * ka.SLOW))


def test_events():
    """A flood that nobody reads is its own namespace's."""
    with connected(CONNS) as (hog, s, socks), connected(1) as (c, cs, own):
        with monitor.monitor(hog, "lost", "--timeout", "300") as deaf, \
                monitor.monitor(c, "lost", "--timeout", "300") as p:
            deaf.send_signal(signal.SIGSTOP)
            s.drop("prerouting")
            cs.drop("prerouting")
            probed(socks)
            probed(own)
            ka.poll("a flood", 60,
                    lambda: hog.stats()["probes_lost"] >= 5 * CONNS)
            ka.poll("its own", 10, lambda: c.stats()["probes_lost"] >= 5)
            time.sleep(1)
            lost = c.stats()["probes_lost"]
            p.terminate()
            said, warned = p.communicate()
            deaf.send_signal(signal.SIGCONT)
        # None is missing, and none of the other's is there.
        assert not warned, warned
        assert abs(len(said.splitlines()) - lost) <= 1, (len(said.splitlines()), lost)
        assert {json.loads(line)["netns_ino"] for line in said.splitlines()} == \
            {c.stats()["netns_ino"]}, said


def busy_with_keepalive(ns, seconds):
    """A user who turns it on and off as fast as he can."""
    pid = os.fork()
    if not pid:
        with ns.inside(), socket.socket() as sock:
            os.setuid(65534)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                for i in range(1000):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, i & 1)
            os._exit(0)
    os.waitpid(pid, 0)


def test_probes_are_heard():
    """The timers of one interrupt what another does."""
    with connected(200) as (c, _, socks), ka.Netns() as hog:
        for a, _ in socks:
            ka.keepalive(a, 2, 1, 9)
            time.sleep(0.004)
        busy_with_keepalive(hog, 5)
        st = ka.expect(c, 10, probes_unseen=0)
        assert st["probes_answered"] >= 2 * len(socks), st


def test_sight():
    """Nothing of one is seen from another."""
    with connected(3) as (c, cs, socks), ka.Netns() as other:
        c.kactl("policy", "set", "time", "77")
        c.kactl("rule", "add", "rport", "7000", "time", "60")
        with monitor.monitor(other, "--timeout", "60") as p:
            cs.drop("prerouting")
            probed(socks)
            ka.expect(c, 60, conns_dead=3)
            p.terminate()
            said, _ = p.communicate()
        assert not said, said
        assert other.kactl("conn") == [] == other.kactl("rule")
        assert other.kactl("policy")[0]["time"] == 7200
        st = other.stats()
        assert not any(v for k, v in st.items()
                       if isinstance(v, int) and k != "netns_ino"), st


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A probe's life: each way in which one can end, held against the kernel's own
count. Every namespace is new, so its counters and the MIB's start at 0."""

import contextlib
import os
import socket
import struct
import time

import ka

HERE = os.path.dirname(os.path.abspath(__file__))
BOTH = (socket.AF_INET, socket.AF_INET6)
TIMESTAMPS = 12         # bytes of the TCP timestamp option, padded
ESTABLISHED, FIN_WAIT2, CLOSE = 1, 5, 7


def abort(sock):
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def dead(sock, seconds):
    """Wait for the connection to be closed by the kernel; the error."""
    ka.poll("closed", seconds, lambda: ka.tcp_info(sock)[0] == CLOSE)
    return ka.error(sock)


@contextlib.contextmanager
def probing(family=socket.AF_INET, hook="prerouting", verdict="drop",
            idle=2, intvl=3, cnt=5):
    """A connection of c whose first probe is out and will not be answered:
    the server's host loses what arrives."""
    with ka.wire() as (c, s):
        (a, b), = ka.pair(c, s, family)
        s.drop(hook, verdict)
        ka.keepalive(a, idle, intvl, cnt)
        ka.poll("a probe", 10, lambda: ka.tcp_info(a)[1] == 1)
        yield c, s, a, b
        a.close()
        b.close()


def test_answered():
    for family in BOTH:
        with ka.wire() as (c, s):
            (a, b), = ka.pair(c, s, family)
            ka.keepalive(a, 1, 1, 3)
            ka.poll("3 probes", 20, lambda: c.mib() >= 3)
            a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
            n = c.mib()
            header = (20 if family == socket.AF_INET else 40) + 20 + TIMESTAMPS
            ka.expect(c, probes_sent=n, probes_answered=n, probes_lost=0,
                      probes_pending=0, conns_tracked=1, conns_recovered=0,
                      probe_bytes=n * header)
            a.close()
            b.close()
            ka.expect(c, conns_tracked=0, probes_answered=n)
            # The other side answered and probed nobody.
            ka.expect(s, probes_sent=0)


def test_answered_within_100_ms():
    with ka.wire() as (c, s):
        (a, b), = ka.pair(c, s)
        s.exec("tc", "qdisc", "add", "dev", "w0", "root", "netem", "delay",
               "300ms")
        ka.keepalive(a, 1, 30, 3)
        ka.expect(c, 10, probes_pending=1)
        ka.poll("the answer", 5, lambda: ka.tcp_info(a)[1] == 0)
        time.sleep(0.1)
        ka.expect(c, 0, probes_answered=1, probes_pending=0)
        a.close()
        b.close()


def test_answered_by_data():
    """Data on the receive fast path leaves icsk_probes_out alone."""
    with probing(intvl=30) as (c, s, a, b):
        s.undrop()
        b.send(b"x")
        ka.expect(c, probes_sent=1, probes_answered=1, probes_pending=0)
        assert a.recv(1) == b"x"


def test_answered_v4_mapped():
    with ka.wire() as (c, s):
        with s.inside(), socket.socket() as listener:
            listener.bind((ka.ADDR[socket.AF_INET][1], 7001))
            listener.listen(1)
            with c.inside():
                a = socket.socket(socket.AF_INET6)
            a.connect(("::ffff:" + ka.ADDR[socket.AF_INET][1], 7001))
            b, _ = listener.accept()
        ka.keepalive(a, 1, 30, 3)
        ka.expect(c, 10, probes_sent=1, probes_answered=1,
                  probe_bytes=40 + TIMESTAMPS)
        a.close()
        b.close()


def test_recovered():
    for family in BOTH:
        with probing(family) as (c, s, a, _):
            ka.poll("two more", 20, lambda: ka.tcp_info(a)[1] == 3)
            s.undrop()
            ka.expect(c, 10, probes_lost=3, probes_answered=1,
                      conns_recovered=1, probes_pending=0, conns_dead=0)
            assert ka.tcp_info(a)[0] == ESTABLISHED


def test_dead_by_keepalive():
    for family in BOTH:
        with probing(family, cnt=4) as (c, _, a, _b):
            assert dead(a, 30) == "ETIMEDOUT"
            ka.expect(c, probes_sent=4, probes_lost=4, conns_dead=1,
                      conns_unreachable=0, probes_pending=0, conns_tracked=0,
                      conns_reset=0)
            assert c.mib("TCPAbortOnTimeout") == 1


@contextlib.contextmanager
def asked():
    """Just as TCP closes it, a thread of the program asks for SO_ERROR."""
    module = HERE + "/kern/asks.ko"
    if not os.path.exists(module):
        raise ka.Skip("asks.ko is not built")
    ka.run("insmod", module, "port=7000")
    try:
        yield
    finally:
        ka.run("rmmod", "asks")


def test_dead_whoever_asks_for_the_error():
    for family in BOTH:
        with asked(), probing(family, cnt=3) as (c, _, a, _b):
            assert dead(a, 30) is None
            ka.expect(c, probes_sent=3, probes_lost=3, probes_abandoned=0,
                      conns_dead=1, conns_unreachable=0)
        # And no other end is taken for that.
        with asked(), probing(family) as (c, _, a, _b):
            abort(a)
            ka.expect(c, probes_abandoned=1, conns_dead=0)
        with asked(), probing(family) as (c, _, a, _b):
            c.exec("ss", "-K", "dport", "=", ":7000")
            assert dead(a, 5) is None
            ka.expect(c, probes_abandoned=1, conns_dead=0)


def test_dead_with_no_probe():
    """tcp_keepalive_probes 0: the first tick closes, nothing was sent."""
    with ka.wire() as (c, s):
        c.sysctl("net.ipv4.tcp_keepalive_probes", 0)
        (a, b), = ka.pair(c, s)
        ka.keepalive(a, 1)
        assert dead(a, 10) == "ETIMEDOUT"
        ka.expect(c, probes_sent=0, conns_dead=1)
        a.close()
        b.close()


def test_dead_by_user_timeout():
    """One lost probe kills if the timeout is at most time + intvl."""
    with ka.wire() as (c, s):
        (a, b), = ka.pair(c, s)
        s.drop("prerouting")
        a.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 4000)
        ka.keepalive(a, 2, 3, 9)
        assert dead(a, 20) == "ETIMEDOUT"
        ka.expect(c, probes_sent=1, probes_lost=1, conns_dead=1)
        a.close()
        b.close()


def test_unreachable():
    """An ICMP error for an ACK of ours stays the last word."""
    for family in BOTH:
        with ka.wire() as (c, s):
            (a, b), = ka.pair(c, s, family)
            s.drop("prerouting", "reject with icmpx type host-unreachable")
            b.send(b"x")
            assert a.recv(1) == b"x"
            s.drop("output", table="mute")
            ka.keepalive(a, 2, 3, 3)
            assert dead(a, 30) == "EHOSTUNREACH"
            ka.expect(c, probes_sent=3, probes_lost=3, conns_dead=1,
                      conns_unreachable=1)
            a.close()
            b.close()


def test_unreachable_for_a_probe_is_no_word():
    """A probe's sequence number is out of window (SND.UNA - 1): TCP ignores
    an ICMP error for it."""
    for family in BOTH:
        with probing(family, verdict="reject with icmpx type host-unreachable",
                     cnt=3) as (c, _, a, _b):
            assert dead(a, 30) == "ETIMEDOUT"
            ka.expect(c, probes_sent=3, probes_lost=3, conns_dead=1,
                      conns_unreachable=0)
            assert c.mib("OutOfWindowIcmps") == 3


def test_abandoned_retransmission_runs_out():
    """With data unacknowledged the retransmission timer rules, not keepalive."""
    for family in BOTH:
        with probing(family, intvl=600) as (c, _, a, _b):
            c.sysctl("net.ipv4.tcp_retries2", 3)
            a.send(b"x")
            assert dead(a, 60) == "ETIMEDOUT"
            ka.expect(c, probes_sent=1, probes_abandoned=1, conns_dead=0,
                      probes_lost=0, conns_tracked=0)


def test_abandoned_ss_kill():
    for family in BOTH:
        with probing(family) as (c, _, a, _b):
            c.exec("ss", "-K", "dport", "=", ":7000")
            assert dead(a, 5) == "ECONNABORTED"
            ka.expect(c, probes_sent=1, probes_abandoned=1, conns_dead=0)


def test_abandoned_abort():
    for family in BOTH:
        with probing(family) as (c, _, a, _b):
            abort(a)
            ka.expect(c, probes_sent=1, probes_abandoned=1, conns_dead=0,
                      conns_tracked=0)


def test_abandoned_close():
    """The program goes; the FIN is never acknowledged."""
    with probing() as (c, _, a, _b):
        c.sysctl("net.ipv4.tcp_orphan_retries", 2)
        a.close()
        ka.expect(c, 60, probes_abandoned=1, conns_dead=0, conns_tracked=0)


def test_closed_after_answer():
    """A close that the peer acknowledges answers the probe."""
    with probing(intvl=600) as (c, s, a, b):
        s.undrop()
        a.close()
        b.close()
        ka.expect(c, probes_sent=1, probes_answered=1, probes_abandoned=0)


def reboot(s):
    """The server's host forgets its connections and says nothing."""
    s.drop("output")
    s.exec("ss", "-K", "sport", "=", ":7000")
    s.undrop()


def test_reset():
    for family in BOTH:
        with ka.wire() as (c, s):
            (a, b), = ka.pair(c, s, family)
            reboot(s)
            ka.keepalive(a, 1, 30, 3)
            assert dead(a, 10) == "ECONNRESET"
            ka.expect(c, probes_sent=1, probes_reset=1, conns_reset=1,
                      conns_dead=0, conns_tracked=0)
            a.close()
            b.close()


def test_reset_after_loss():
    with probing() as (c, s, a, _):
        s.undrop()
        reboot(s)
        assert dead(a, 20) == "ECONNRESET"
        ka.expect(c, probes_sent=2, probes_lost=1, probes_reset=1,
                  conns_reset=1, conns_recovered=0)


def test_data_after_full_shutdown():
    """TCP resets then too, but nobody answered with RST."""
    with ka.wire() as (c, s):
        (a, b), = ka.pair(c, s)
        ka.keepalive(a, 2, 600, 5)
        a.shutdown(socket.SHUT_RDWR)
        ka.poll("FIN_WAIT2", 5, lambda: ka.tcp_info(a)[0] == FIN_WAIT2)
        s.drop("prerouting")
        ka.poll("a probe", 20, lambda: ka.tcp_info(a)[1] == 1)
        s.undrop()
        b.send(b"x")
        ka.poll("closed", 5, lambda: ka.tcp_info(a)[0] == CLOSE)
        ka.expect(c, probes_sent=1, probes_answered=1, probes_reset=0,
                  conns_reset=0)
        a.close()
        b.close()


def test_keepalive_off_while_out():
    """Undecided until the peer is heard."""
    with probing() as (c, s, a, b):
        a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
        ka.expect(c, probes_sent=1, probes_pending=1)
        s.undrop()
        b.send(b"x")
        ka.expect(c, probes_answered=1, probes_pending=0)


def congested(kind, narrow, wide):
    with ka.wire() as (c, s):
        for family in BOTH:
            (a, b), = ka.pair(c, s, family, port=7000 + family)
            before = c.stats()
            c.exec("tc", "qdisc", "replace", "dev", "w0", "root", kind, *narrow)
            ka.keepalive(a, 1, 600, 3)
            ka.poll("some refused", 20, lambda: c.stats()["probes_failed"] -
                    before["probes_failed"] >= 3)
            # TCP counts none of them as unanswered and tries again soon.
            assert ka.tcp_info(a)[1] == 0
            # What is sent while a queue is replaced is lost; not while one is changed.
            c.exec("tc", "qdisc", "change", "dev", "w0", "root", kind, *wide)
            ka.expect(c, probes_answered=before["probes_answered"] + 1,
                      probes_lost=0, conns_recovered=0, probes_pending=0)
            a.close()
            b.close()


def test_failed_by_pfifo():
    congested("pfifo", ["limit", "0"], ["limit", "100"])


def test_failed_by_tbf():
    congested("tbf", ["rate", "1kbit", "burst", "10", "limit", "10"],
              ["rate", "1gbit", "burst", "64kb", "limit", "64kb"])


def test_failed_while_out():
    """A refused probe loses the one before; the late answer recovers."""
    with probing(intvl=2) as (c, s, a, b):
        c.exec("tc", "qdisc", "add", "dev", "w0", "root", "pfifo", "limit", "0")
        ka.poll("one refused", 10, lambda: c.stats()["probes_failed"] >= 1)
        s.undrop()
        b.send(b"x")
        ka.expect(c, probes_lost=1, probes_answered=0, conns_recovered=1,
                  probes_pending=0)
        assert ka.tcp_info(a)[0] == ESTABLISHED


def test_lost_by_local_drop():
    """A local filter's drop counts as unanswered for TCP, thus is lost."""
    for family in BOTH:
        with ka.wire() as (c, s):
            (a, b), = ka.pair(c, s, family)
            c.drop("output")
            ka.keepalive(a, 1, 1, 3)
            assert dead(a, 20) == "ETIMEDOUT"
            ka.expect(c, probes_sent=3, probes_lost=3, probes_failed=0,
                      conns_dead=1)
            a.close()
            b.close()


def test_namespace_gone():
    """The namespace goes with a probe out, kept only by an orphan."""
    with probing(intvl=600) as (c, _, a, _b):
        c.sysctl("net.ipv4.tcp_orphan_retries", 1)
        a.close()
        ka.run("ip", "netns", "del", c.name)
        assert not os.path.exists("/run/netns/" + c.name)


def test_max_conns():
    """Beyond the bound nobody has a lasting record, and totals stay exact."""
    params = "/sys/module/tcp_keepalive/parameters/"
    for param in "max_conns", "max_conns_total":
        with open(params + param, encoding="ascii") as f:
            was = f.read()
        with open(params + param, "w", encoding="ascii") as f:
            f.write("1")
        try:
            with ka.wire() as (c, s):
                socks = ka.pair(c, s, n=10)
                for a, _ in socks:
                    ka.keepalive(a, 5, 1, 3)
                ka.expect(c, 10, probes_answered=10, probes_pending=0,
                          conns_tracked=1, conns_untracked=9)
                s.drop("prerouting")
                for a, _ in socks:
                    assert dead(a, 20) == "ETIMEDOUT"
                ka.expect(c, conns_dead=10, probes_lost=30, conns_tracked=0)
                for pair in socks:
                    for sock in pair:
                        sock.close()
        finally:
            with open(params + param, "w", encoding="ascii") as f:
                f.write(was)


def test_default_policy():
    """7200 s, then 9 probes 75 s apart: to the death of the connection."""
    if os.environ.get("KA_CLOCK") != "jump":
        raise ka.Skip("takes two hours on a clock that does not jump")
    with ka.wire() as (c, s):
        p = c.kactl("policy")[0]
        assert (p["time"], p["intvl"], p["probes"]) == (7200, 75, 9), p
        (a, b), = ka.pair(c, s)
        ka.keepalive(a)
        start = time.monotonic()
        time.sleep(7000)
        ka.expect(c, 600, probes_sent=1, probes_answered=1)
        s.drop("prerouting")
        time.sleep(7000)
        assert dead(a, 1800) == "ETIMEDOUT"
        took = time.monotonic() - start
        # The timer wheel is coarse: up to 1/8 late at each step.
        assert 2 * 7200 + 9 * 75 <= took <= (2 * 7200 + 9 * 75) * 9 / 8, took
        ka.expect(c, probes_sent=10, probes_answered=1, probes_lost=9,
                  conns_dead=1)
        a.close()
        b.close()


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

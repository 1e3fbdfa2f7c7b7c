#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The keepalive cycle, and what RFC 9293 3.8.4 wants of it, as seen on the
wire, by the program and in the kernel's own count; then our statistics. With
IPv4 and IPv6 where what is sent or received matters; the timer is the same."""

import contextlib
import errno
import functools
import os
import re
import socket
import time

import ka
import wire
from probe import BOTH, CLOSE, ESTABLISHED, reboot

TCP = socket.IPPROTO_TCP


class Watched:
    """A connection from c to s, and all of its segments that pass c's device:
    what c sends before it is lost, what it gets before it is looked at."""

    def __init__(self, c, s, cap, socks):
        self.c, self.s, self.cap = c, s, cap
        self.a, self.b = socks
        self.mine = self.a.getsockname()[:2]
        self.peer = self.a.getpeername()[:2]

    def sent(self, what, n, test, seconds=60):
        """Wait for n segments from us."""
        return self.cap.until(what, n, lambda seg: seg.src == self.mine and
                              not seg.icmp and test(seg), seconds)

    def got(self, what, n, test, seconds=60):
        """Wait for n segments from the peer."""
        return self.cap.until(what, n, lambda seg: seg.src == self.peer and
                              test(seg), seconds)

    def probes(self, n, seconds=60):
        return self.sent("probe", n, lambda seg: seg.probe, seconds)

    def answer(self, probe):
        """What came next from the peer; it must be a bare ACK."""
        seg = self.got("answer", 1, lambda seg: seg.at >= probe.at)[0]
        assert (seg.flags, seg.len, seg.icmp) == (wire.ACK, 0, False), seg
        assert seg.at - probe.at < 0.5, (probe, seg)
        return seg

    def last(self):
        """The last segment from the peer until now."""
        return self.got("segment", 1, lambda seg: True)[-1]


@contextlib.contextmanager
def watched(family=socket.AF_INET, n=1):
    """n connections from c to s with a capture on c."""
    with ka.wire() as (c, s), wire.capture(c) as cap:
        socks = ka.pair(c, s, family, n)
        yield [Watched(c, s, cap, pair) for pair in socks]
        for pair in socks:
            for sock in pair:
                sock.close()


def took(start, end, want):
    """The timer wheel is late by up to 1/8; the jiffy it counts from had
    begun before. Until the test has set it going 0.1 s may pass."""
    got = end.at - start.at
    assert want - 0.01 <= got <= want * 9 / 8 + 0.1 * ka.SLOW, f"{got} s, not {want}"


def hears(sock, seconds=60):
    """What a program that waits for data is told."""
    sock.settimeout(seconds)
    try:
        return sock.recv(1)
    except OSError as e:
        return errno.errorcode.get(e.errno, "nothing")


def keepalive_of(sock):
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_idle_probe_answer_and_again():
    """The idle timer, a probe, an answer, and the timer starts again."""
    for family in BOTH:
        with watched(family) as (w,):
            heard = w.last()
            ka.keepalive(w.a, 8, 2, 3)
            for n in 1, 2, 3:
                timer = re.search(r"timer:\(keepalive,(\S+?)(ms|sec),0\)",
                                  w.c.exec("ss", "-Htno", "dport", "=", ":7000"))
                assert timer, "no keepalive timer in ss"
                probe = w.probes(n)[-1]
                took(heard, probe, 8)
                heard = w.answer(probe)
                assert ka.tcp_info(w.a) == (ESTABLISHED, 0)
            ka.expect(w.c, probes_sent=3, probes_answered=3, probes_lost=0)
            ka.expect(w.s, probes_sent=0)


def test_interval_longer_than_the_idle_time():
    """After a probe the timer runs for the interval, answered or not, and where
    that is the longer, the idle time is only what the first probe waits for."""
    with watched() as (w,):
        heard = w.last()
        ka.keepalive(w.a, 2, 6, 3)
        first, second, third = w.probes(3)
        took(heard, first, 2)
        took(w.answer(first), second, 6)
        # Data is a sign of life at any time, but moves the timer no more.
        time.sleep(1)
        w.b.send(b"x")
        fourth = w.probes(4)[-1]
        took(third, fourth, 6)
        ka.expect(w.c, probes_sent=4, probes_answered=4, probes_lost=0)


def test_no_answer_rst_and_error():
    """No answer: probes an interval apart, after one more an RST, and the
    program is told."""
    for family in BOTH:
        with watched(family) as (w,):
            heard = w.last()
            w.s.drop("prerouting")
            ka.keepalive(w.a, 4, 2, 3)
            assert hears(w.a) == "ETIMEDOUT"
            rst, = w.sent("RST", 1, lambda seg: seg.flags & wire.RST)
            probes = w.probes(3)
            assert len(probes) == 3, probes
            took(heard, probes[0], 4)
            for before, after in zip(probes, probes[1:] + [rst]):
                took(before, after, 2)
            assert rst.seq == probes[0].seq + 1, rst
            assert w.last() == heard
            ka.expect(w.c, probes_sent=3, probes_lost=3, conns_dead=1)


def test_rebooted_peer_resets():
    """A peer that knows nothing of the connection answers with RST."""
    for family in BOTH:
        with watched(family) as (w,):
            reboot(w.s)
            ka.keepalive(w.a, 2, 30, 3)
            assert hears(w.a) == "ECONNRESET"
            probe, = w.probes(1)
            rst, = w.got("RST", 1, lambda seg: seg.flags & wire.RST)
            assert rst.seq == probe.ack and 0 <= rst.at - probe.at < 0.5, rst
            ka.expect(w.c, probes_sent=1, probes_reset=1, conns_reset=1,
                      conns_dead=0)


def test_unreachable_for_a_probe_changes_nothing():
    """An ICMP error quotes the probe, whose sequence number is below the
    window: TCP ignores it, and goes on as if there were no answer."""
    for family in BOTH:
        with watched(family) as (w,):
            w.s.drop("prerouting", "reject with icmpx type host-unreachable")
            ka.keepalive(w.a, 4, 2, 3)
            assert hears(w.a) == "ETIMEDOUT"
            probes = w.probes(3)
            errors = w.cap.until("ICMP error", 3, lambda seg: seg.icmp)
            assert [e.seq for e in errors[:3]] == [p.seq for p in probes]
            assert w.c.mib("OutOfWindowIcmps") == 3
            ka.expect(w.c, probes_sent=3, probes_lost=3, conns_dead=1,
                      conns_unreachable=0)


def test_unreachable_for_an_ack_is_the_error():
    """An ICMP error for another segment kills at once no more than that, but
    is what the program is told at the end."""
    for family in BOTH:
        with watched(family) as (w,):
            w.s.drop("prerouting", "reject with icmpx type host-unreachable")
            w.b.send(b"x")
            assert w.a.recv(1) == b"x"
            error, *_ = w.cap.until("ICMP error", 1, lambda seg: seg.icmp)
            w.s.drop("output", table="mute")
            ka.keepalive(w.a, 4, 2, 3)
            assert hears(w.a) == "EHOSTUNREACH"
            probes = w.probes(3)
            assert error.seq == probes[0].seq + 1, (error, probes)
            ka.expect(w.c, probes_sent=3, probes_lost=3, conns_dead=1,
                      conns_unreachable=1)


def test_one_lost_probe_is_not_death():
    with watched() as (w,):
        w.s.drop("prerouting")
        ka.keepalive(w.a, 4, 2, 2)
        first, = w.probes(1)
        w.s.undrop()
        second = w.probes(2)[-1]
        took(first, second, 2)
        w.answer(second)
        assert ka.tcp_info(w.a) == (ESTABLISHED, 0)
        ka.expect(w.c, probes_lost=1, probes_answered=1, conns_recovered=1,
                  conns_dead=0)


def user_timeout(w, ms):
    """One probe is lost of a connection that is probed after 4 s and again 2 s
    later; by its count the first would be the last."""
    w.a.setsockopt(TCP, socket.TCP_USER_TIMEOUT, ms)
    w.s.drop("prerouting")
    ka.keepalive(w.a, 4, 2, 1)
    w.probes(1)
    w.s.undrop()


def test_user_timeout_of_time_and_intvl_is_death_by_one():
    with watched() as (w,):
        heard = w.last()
        user_timeout(w, 6000)
        assert hears(w.a) == "ETIMEDOUT"
        rst, = w.sent("RST", 1, lambda seg: seg.flags & wire.RST)
        took(heard, rst, 6)
        ka.expect(w.c, probes_sent=1, probes_lost=1, conns_dead=1)


def test_user_timeout_beyond_time_and_intvl_is_not():
    """Beyond it by what the timer wheel may be late: the second probe is sent,
    though the count is 1, and its answer comes in time."""
    with watched() as (w,):
        user_timeout(w, 7000)
        w.answer(w.probes(2)[-1])
        assert ka.tcp_info(w.a) == (ESTABLISHED, 0)
        ka.expect(w.c, probes_sent=2, probes_lost=1, probes_answered=1,
                  conns_recovered=1, conns_dead=0)


def test_unacknowledged_data_no_probe():
    """Data is out: TCP retransmits it and sends no probe; when it has been
    acknowledged, the idle time begins."""
    with watched() as (w,):
        w.s.drop("prerouting")
        ka.keepalive(w.a, 2, 1, 3)
        w.a.send(b"x")
        data = w.sent("data", 8, lambda seg: seg.len)
        assert data[-1].at - data[0].at > 4 * 2, data
        assert len({seg.seq for seg in data}) == 1
        assert w.c.mib() == 0
        ka.expect(w.c, probes_sent=0)
        w.s.undrop()
        assert w.b.recv(1) == b"x"
        ack, *_ = w.got("ACK", 1, lambda seg: seg.at > data[-1].at)
        took(ack, w.probes(1)[0], 2)
        ka.expect(w.c, probes_sent=1, probes_answered=1)


def half_idle(w):
    """Most of the way to a probe of a connection that is probed after 8 s."""
    ka.keepalive(w.a, 8, 2, 3)
    time.sleep(5)
    return w.last()


def test_data_resets_the_idle_timer():
    with watched() as (w,):
        half_idle(w)
        w.b.send(b"x")
        data, = w.got("data", 1, lambda seg: seg.len)
        took(data, w.probes(1)[0], 8)
        ka.expect(w.c, probes_sent=1, probes_answered=1)


def test_bare_ack_resets_the_idle_timer():
    with watched() as (w,):
        before = half_idle(w)
        w.a.send(b"x")
        ack, = w.got("ACK", 1, lambda seg: seg.at > before.at)
        assert (ack.flags, ack.len) == (wire.ACK, 0), ack
        took(ack, w.probes(1)[0], 8)
        ka.expect(w.c, probes_sent=1, probes_answered=1)


def test_unacceptable_segment_resets_nothing():
    """The peer's own probe is below the window: answered, but no sign of life."""
    with watched() as (w,):
        heard = w.last()
        ka.keepalive(w.b, 5, 60, 3)
        ka.keepalive(w.a, 8, 2, 3)
        theirs, = w.got("probe of the peer", 1, lambda seg: seg.probe)
        took(heard, theirs, 5)
        ours, = w.probes(1)
        assert theirs.at < ours.at
        took(heard, ours, 8)
        w.answer(ours)
        ka.expect(w.c, probes_sent=1, probes_answered=1)
        ka.expect(w.s, probes_sent=1, probes_answered=1)


def test_a_probe_is_one_below_the_window():
    """SEG.SEQ = SND.NXT - 1, SEG.ACK = RCV.NXT, whatever went before."""
    for family in BOTH:
        with watched(family) as (w,):
            syn, = w.sent("SYN", 1, lambda seg: seg.flags & wire.SYN)
            their, = w.got("SYN", 1, lambda seg: seg.flags & wire.SYN)
            ka.keepalive(w.a, 2, 2, 3)
            for n in 1, 2:
                w.a.send(b"a" * 100)
                w.b.send(b"b" * 200)
                assert len(w.a.recv(200, socket.MSG_WAITALL)) == 200
                probe = w.probes(n)[-1]
                assert probe.seq == (syn.seq + 1 + n * 100 - 1) % 2 ** 32
                assert probe.ack == (their.seq + 1 + n * 200) % 2 ** 32
            ka.expect(w.c, probes_sent=2, probes_answered=2)


def test_must_24_on_or_off_for_each_connection():
    """'the application MUST be able to turn them on or off for each TCP
    connection'"""
    with watched(n=2) as (w, v):
        ka.keepalive(w.a, 4, 2, 3)
        ka.keepalive(v.a, 4, 2, 3)
        v.a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
        w.probes(2)
        w.a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
        assert not v.probes(0)
        v.a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        v.probes(2)
        assert len(w.probes(2)) == 2
        n = w.c.mib()
        ka.expect(w.c, probes_sent=n, probes_answered=n)


def test_must_24_under_enforce_the_program_wins():
    """Policy turns keepalive on, and a program that turns it off is obeyed."""
    with ka.wire() as (c, s), wire.capture(c) as cap:
        c.kactl("policy", "set", "time", "4", "intvl", "2", "enforce", "on")
        on, off = (Watched(c, s, cap, pair) for pair in
                   ka.pair(c, s, n=2))
        assert keepalive_of(on.a) == keepalive_of(off.a) == 1
        off.a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
        on.probes(5)
        assert keepalive_of(off.a) == 0
        assert not off.probes(0)
        n = c.mib()
        ka.expect(c, probes_sent=n, probes_answered=n, conns_enforced=2)
        for w in on, off:
            w.a.close()
            w.b.close()


@functools.cache
def two_hours():
    """Longer than two hours of silence: on a connection over IPv4 and one over
    IPv6 whose programs ask for nothing, and on one with keepalive turned on
    and no more. SO_KEEPALIVE of the silent; what they sent after they were
    made; what the third heard last and then sent; its TCP_KEEPIDLE."""
    if os.environ.get("KA_CLOCK") != "jump":
        raise ka.Skip("takes two hours on a clock that does not jump")
    with ka.wire() as (c, s), wire.capture(c) as cap:
        socks = [ka.pair(c, s, family)[0] for family in BOTH]
        on = [keepalive_of(sock) for pair in socks for sock in pair]
        socks += ka.pair(c, s, port=7001)
        silent = [Watched(c, s, cap, pair).mine for pair in socks[:2]]
        asked = Watched(c, s, cap, socks[2])
        heard = asked.last()
        ka.keepalive(asked.a)
        idle = asked.a.getsockopt(TCP, socket.TCP_KEEPIDLE)
        time.sleep(7200 * 9 / 8)
        probes = asked.probes(1)
        ka.expect(c, probes_sent=1, probes_answered=1)
        ka.expect(s, probes_sent=0)
        for pair in socks:
            for sock in pair:
                sock.close()
        fins = cap.until("FIN", 2, lambda seg: seg.src in silent and
                         seg.flags & wire.FIN)
        sent = [seg for seg in cap.segments()
                if heard.at + 1 < seg.at < fins[0].at
                and {seg.src, seg.dst} & set(silent)]
        return on, sent, heard, probes, idle


def test_must_25_off_by_default():
    """'they MUST default to off'"""
    on, sent, _, _, _ = two_hours()
    assert on == [0] * 4 and not sent, (on, sent)


def test_must_26_only_when_idle():
    """'MUST only be sent when no sent data is outstanding, and no data or
    acknowledgment packets have been received for the connection within an
    interval'"""
    for family in BOTH:
        with watched(family) as (w,):
            ka.keepalive(w.a, 4, 1, 3)
            for end in w.a, w.b, w.a, w.b, w.a, w.b:    # an ACK, data, …
                time.sleep(3)
                end.send(b"x")
            w.s.drop("prerouting")
            w.a.send(b"x")
            time.sleep(20)
            data = w.sent("data", 3 + 4, lambda seg: seg.len)
            assert w.c.mib() == 0 and not w.probes(0)
            ka.expect(w.c, probes_sent=0)
            w.s.undrop()
            ack, *_ = w.got("ACK", 1, lambda seg: seg.at > data[-1].at, 200)
            took(ack, w.probes(1)[0], 4)
            ka.expect(w.c, probes_sent=1, probes_answered=1)


def test_must_27_configurable():
    """'This interval MUST be configurable'"""
    with watched(n=2) as (program, ns):
        c = program.c
        c.sysctl("net.ipv4.tcp_keepalive_time", 4)
        c.sysctl("net.ipv4.tcp_keepalive_intvl", 1)
        heard = ns.last()
        ka.keepalive(program.a, 2)
        ka.keepalive(ns.a)
        assert program.a.getsockopt(TCP, socket.TCP_KEEPIDLE) == 2
        for n, want in (1, 4), (2, 8):
            assert ns.a.getsockopt(TCP, socket.TCP_KEEPIDLE) == want
            probe = ns.probes(n)[-1]
            took(heard, probe, want)
            heard = ns.answer(probe)
            c.kactl("policy", "set", "time", "8")
        took(*program.probes(2)[:2], 2)
        for w in program, ns:
            w.a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
        n = c.mib()
        ka.expect(c, probes_sent=n, probes_answered=n)


def test_must_28_two_hours_by_default():
    """'MUST default to no less than two hours'"""
    _, _, heard, probes, idle = two_hours()
    assert idle >= 7200
    probe, = probes
    took(heard, probe, 7200)


def test_must_29_no_answer_is_not_a_dead_connection():
    """'MUST NOT interpret failure to respond to any specific probe as a dead
    connection'"""
    with watched() as (w,):
        ka.keepalive(w.a, 2, 1, 2)
        for n in range(4):
            w.s.drop("prerouting")
            w.probes(2 * n + 1)
            w.s.undrop()
            w.answer(w.probes(2 * n + 2)[-1])
            assert ka.tcp_info(w.a)[0] == ESTABLISHED
        ka.expect(w.c, probes_lost=4, probes_answered=4, conns_recovered=4,
                  conns_dead=0)
        w.b.send(b"x")
        assert hears(w.a) == b"x"


def test_shld_12_no_data():
    """'SHOULD send a keep-alive segment with no data'"""
    for family in BOTH:
        with watched(family) as (w,):
            ka.keepalive(w.a, 2, 2, 3)
            w.a.send(b"x" * 10)
            end = w.sent("data", 1, lambda seg: seg.len)[0].seq + 10
            below = w.sent("segment below the window", 3,
                           lambda seg: seg.seq == (end - 1) % 2 ** 32)
            assert {seg.len for seg in below} == {0}, below
            ka.expect(w.c, probes_sent=len(below))


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Keepalive for programs that never asked, and for nobody else."""

import contextlib
import socket
import time

import ka

BOTH = (socket.AF_INET, socket.AF_INET6)
IPPROTO_MPTCP = 262
TCP_REPAIR = 19


def on(sock):
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))


@contextlib.contextmanager
def enforcing(*values):
    """Two hosts that enforce."""
    with ka.wire() as (c, s):
        for ns in c, s:
            ns.kactl("policy", "set", "enforce", "on", *values)
        yield c, s


def close(*socks):
    for sock in socks:
        sock.close()


def test_both_sides():
    for family in BOTH:
        with enforcing("time", "1", "intvl", "1") as (c, s):
            (a, b), = ka.pair(c, s, family)
            for ns, sock in (c, a), (s, b):
                assert on(sock)
                ka.poll("a probe", 10, lambda n=ns: n.mib() >= 1)
                assert ns.stats()["conns_enforced"] == 1
            close(a, b)


def test_only_new_connections():
    with ka.wire() as (c, s):
        (a, b), = ka.pair(c, s)
        c.kactl("policy", "set", "enforce", "on")
        assert not on(a)
        (a2, b2), = ka.pair(c, s, port=7001)
        assert on(a2) and not on(b2)
        c.kactl("policy", "set", "enforce", "off")
        (a3, b3), = ka.pair(c, s, port=7002)
        assert not on(a3) and on(a2)
        ka.expect(c, conns_enforced=1)
        close(a, b, a2, b2, a3, b3)


def test_the_programs_own_values_win():
    with enforcing("time", "1", "intvl", "1") as (c, s):
        with c.inside():
            a = socket.socket()
        ka.keepalive(a, 1000, 100, 7)
        with s.inside(), socket.socket() as listener:
            listener.bind((ka.ADDR[socket.AF_INET][1], 7000))
            listener.listen()
            a.connect(listener.getsockname())
            b, _ = listener.accept()
        ka.expect(c, conns_enforced=0)
        time.sleep(3)
        assert c.mib() == 0
        assert a.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 1000
        close(a, b)


def test_the_program_has_the_last_word():
    with enforcing("time", "1", "intvl", "1") as (c, s):
        (a, b), = ka.pair(c, s)
        a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
        time.sleep(3)
        assert c.mib() == 0
        close(a, b)


def test_never_one_in_repair():
    with enforcing() as (c, _):
        with c.inside():
            a = socket.socket()
        a.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        a.bind((ka.ADDR[socket.AF_INET][0], 7000))
        a.connect((ka.ADDR[socket.AF_INET][1], 7000))
        assert ka.tcp_info(a)[0] == 1, "not established"
        assert not on(a)
        ka.expect(c, conns_enforced=0)
        a.close()


def mptcp(family):
    try:
        return socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP)
    except OSError:
        raise ka.Skip("no MPTCP in this kernel") from None


def test_plain_connection_to_an_mptcp_listener():
    """Go's listeners are such."""
    for family in BOTH:
        with enforcing() as (c, s):
            with s.inside(), mptcp(family) as listener:
                listener.bind((ka.ADDR[family][1], 7000))
                listener.listen()
                with c.inside():
                    a = socket.socket(family)
                a.connect((ka.ADDR[family][1], 7000))
                b, _ = listener.accept()
            assert on(b)
            ka.expect(s, conns_enforced=1)
            close(a, b)


def test_mptcp_subflows_are_left_alone():
    with enforcing("time", "1") as (c, s):
        with s.inside(), mptcp(socket.AF_INET) as listener:
            listener.bind((ka.ADDR[socket.AF_INET][1], 7000))
            listener.listen()
            with c.inside():
                a = mptcp(socket.AF_INET)
            a.connect(listener.getsockname())
            b, _ = listener.accept()
        a.send(b"x")
        assert b.recv(1) == b"x"
        assert "mptcp" in s.exec("ss", "-tnei")
        for ns in c, s:
            ka.expect(ns, conns_enforced=0)
        time.sleep(3)
        assert c.mib() == s.mib() == 0
        close(a, b)


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a socket alone does not say: whose a value is, the program's or the
module's, who opened the connection and whose it is."""

import contextlib
import ctypes
import os
import socket
import struct
import subprocess

import ka
from decide import IDLE, TCP, USER_TIMEOUT, connected, on, rule, values

HERE = os.path.dirname(os.path.abspath(__file__))
KERN = HERE + "/kern/kern.ko"
KERN_PORT = "7399"

_libc = ctypes.CDLL(None, use_errno=True)


def turn(sock, value):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, value)


def apply(ns, *words):
    got, = ns.kactl("apply", *words)
    return got


def test_turned_off_before_anything_was_set():
    """Nobody enforces and there is no rule yet."""
    ka.run("rmmod", "tcp_keepalive")
    ka.run("modprobe", "tcp_keepalive")
    with ka.wire() as (c, s), connected(c, s) as (a, _), \
            connected(c, s, port=7001) as (never, _):
        turn(a, 1)
        turn(a, 0)
        c.kactl("policy", "set", "enforce", "on")
        got = apply(c)
        assert got["skipped"]["opted_out"] == 1 and not on(a), got
        assert on(never)


def test_timeouts_of_the_programs_are_not_taken_for_the_modules():
    with ka.wire() as (c, s):
        rule(c, "keepalive", "on", "user-timeout", 200000)
        socks = ka.pair(c, s, n=300)
        for i, (a, _) in enumerate(socks):
            assert values(a)[3] == 200000
            a.setsockopt(TCP, USER_TIMEOUT, 200001 + i)
        apply(c)
        for i, (a, b) in enumerate(socks):
            assert values(a)[3] == 200001 + i, (i, values(a))
            a.close()
            b.close()


def disconnect(sock):
    addr = struct.pack("=H14x", socket.AF_UNSPEC)
    if _libc.connect(sock.fileno(), addr, len(addr)):
        raise OSError(ctypes.get_errno(), "connect")


def test_nothing_of_a_life_before():
    """The socket of a connection connects to somewhere else."""
    with ka.wire() as (c, s):
        rule(c, "rport", 7000, "keepalive", "on", "time", 30, "intvl", 7,
             "probes", 3, "user-timeout", 99000)
        rule(c, "rport", 7002, "keepalive", "off")
        with contextlib.ExitStack() as stack:
            a, _ = stack.enter_context(connected(c, s))
            assert values(a) == (30, 7, 3, 99000) and on(a)
            disconnect(a)
            with s.inside():
                listener = stack.enter_context(
                    socket.create_server(("10.9.0.2", 7001)))
            a.connect(("10.9.0.2", 7001))
            stack.enter_context(listener.accept()[0])
            assert values(a) == (7200, 75, 9, 0) and not on(a), values(a)
            # What the program itself had turned on it has again.
            with connected(c, s, port=7002, before=ka.keepalive) as (p, _):
                assert not on(p)
                disconnect(p)
                p.connect(("10.9.0.2", 7001))
                stack.enter_context(listener.accept()[0])
                assert on(p)


def test_nothing_of_a_life_before_that_nothing_rules():
    """By the time of the new one nobody enforces and there is no rule."""
    with ka.wire() as (c, s), contextlib.ExitStack() as stack:
        rule(c, "keepalive", "on", "time", 30)
        with s.inside():
            listener = stack.enter_context(socket.create_server(("10.9.0.2", 7001)))
        a, _ = stack.enter_context(connected(c, s))
        l, _ = stack.enter_context(connected(c, s))
        assert on(a) and on(l) and values(a)[0] == 30
        c.kactl("rule", "flush")
        for sock in a, l:
            disconnect(sock)
        a.connect(("10.9.0.2", 7001))
        stack.enter_context(listener.accept()[0])
        assert not on(a) and values(a)[0] == 7200, values(a)
        # One that listens since: what comes in is new.
        with c.inside():
            l.listen(1)
        with s.inside():
            stack.enter_context(socket.create_connection(("10.9.0.1", l.getsockname()[1])))
        b = stack.enter_context(l.accept()[0])
        assert not on(b) and values(b)[0] == 7200, values(b)


def test_who_opened_what_nobody_saw():
    """Made before there was a rule, its listener gone since."""
    for family in socket.AF_INET, socket.AF_INET6:
        with ka.wire() as (c, s), contextlib.ExitStack() as stack:
            for a, b in ka.pair(c, s, family):
                stack.callback(a.close)
                stack.callback(b.close)
            for ns, want in (c, 22), (s, 11):
                rule(ns, "dir", "in", "keepalive", "on", "time", 11)
                rule(ns, "dir", "out", "keepalive", "on", "time", 22)
                assert apply(ns)["changed"] == 1
                conn, = ns.kactl("conn")
                assert conn["time"] == want, conn


def test_both_opened_it():
    """SYNs that cross: neither end let the other in."""
    with ka.wire() as (c, s):
        for ns in c, s:
            ns.exec("tc", "qdisc", "add", "dev", "w0", "root", "netem",
                    "delay", "300ms")
            rule(ns, "dir", "in", "keepalive", "on", "time", 11)
            rule(ns, "dir", "out", "keepalive", "on", "time", 22)
        ends = []
        for ns, addr in (c, "10.9.0.1"), (s, "10.9.0.2"):
            ns.exec("ping", "-c1", "-W5", "10.9.0.2" if ns is c else "10.9.0.1")
            with ns.inside():
                ends.append(socket.socket())
            ends[-1].bind((addr, 7000))
            ends[-1].setblocking(False)
        for sock, addr in zip(ends, ("10.9.0.2", "10.9.0.1")):
            assert sock.connect_ex((addr, 7000)) == 115     # EINPROGRESS
        ka.poll("established", 20, lambda: all(
            ka.tcp_info(sock)[0] == 1 for sock in ends))
        for sock in ends:
            assert values(sock)[0] == 22, values(sock)
            sock.close()


def test_an_incoming_one_is_its_listeners():
    """accept() makes the socket that of who accepts."""
    with ka.wire() as (c, s):
        rule(s, "dir", "in", "uid", 0, "keepalive", "on", "time", "20..30")
        rule(s, "uid", 33, "keepalive", "off", "override")
        with s.inside(), socket.create_server(("10.9.0.2", 7000)) as listener:
            with c.inside():
                a = socket.socket()
            a.connect(("10.9.0.2", 7000))
            os.seteuid(33)
            try:
                b, _ = listener.accept()
            finally:
                os.seteuid(0)
            assert on(b) and values(b)[0] == 30, values(b)
            conn, = s.kactl("conn")
            assert (conn["rule"], conn["uid"]) == (10, 33), conn
            b.setsockopt(TCP, IDLE, 90)
            ka.poll("within bounds", 1.2, lambda: values(b)[0] == 30)
            assert apply(s)["changed"] == 0 and on(b)
            a.close()
            b.close()


def test_what_the_program_had_turned_on_it_has_again():
    """A rule turned it off, and has gone."""
    with ka.wire() as (c, s):
        rule(c, "rport", 7000, "keepalive", "off")
        rule(c, "rport", 7001, "keepalive", "off", "override")
        with connected(c, s, before=ka.keepalive) as (a, _), \
                connected(c, s, port=7001) as (p, _), \
                connected(c, s, port=7002) as (never, _):
            turn(p, 1)
            ka.poll("turned off", 1.2, lambda: not on(p))
            assert not on(a) and not on(never)
            assert apply(c)["changed"] == 0 and not on(a)
            c.kactl("rule", "flush")
            assert apply(c)["changed"] == 2
            assert on(a) and on(p) and not on(never)
            # They are the program's: neither policy nor its end turns them off.
            c.kactl("policy", "set", "enforce", "on")
            apply(c)
            c.kactl("policy", "set", "enforce", "off")
            apply(c)
            assert on(a) and on(p) and not on(never)


@contextlib.contextmanager
def kernels_own():
    """A connection of the kernel's own, in the first namespace."""
    ka.run("insmod", KERN, "port=" + KERN_PORT)
    try:
        yield
    finally:
        ka.run("rmmod", "kern")


def test_never_the_kernels_own():
    if not os.path.exists(KERN):
        raise ka.Skip("kern.ko is not built")
    kactl = [ka.KACTL, "-q"]
    before = ka.run(ka.KACTL, "save")
    try:
        with kernels_own():
            ka.run(*kactl, "policy", "set", "enforce", "on")
            ka.run(*kactl, "rule", "add", "time", "60", "keepalive", "on", "override")
            out = ka.run(*kactl, "apply", "rport", KERN_PORT)
            assert "skipped_kernel" in out.split(), out
            assert out.split()[out.split().index("skipped_kernel") + 1] == "1", out
        with kernels_own():
            for end in "lport", "rport":
                out = ka.run(*kactl, "conn", "status", "unprotected", end, KERN_PORT)
                assert KERN_PORT in out, out
    finally:
        subprocess.run([*kactl, "restore"], input=before, text=True, check=True)


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Namespaces side by side, whose connections have the same addresses and ports:
each sees its own and nobody another's, whether TCP keeps them all in one hash or
each namespace's in its own."""

import contextlib
import json
import os
import socket

import ka
import monitor

PORT = 7000
CHILD_HASH = "/proc/sys/net/ipv4/tcp_child_ehash_entries"


def hashes():
    """One for all; and, since Linux 6.1, one for each namespace that is made."""
    yield
    if os.path.exists(CHILD_HASH):
        with open(CHILD_HASH, "w", encoding="ascii") as f:
            f.write("64\n")
        try:
            yield
        finally:
            with open(CHILD_HASH, "w", encoding="ascii") as f:
                f.write("0\n")


class Side:
    """Two hosts and n connections, from PORT + 1 and so on to PORT."""

    def __init__(self, c, s, n):
        self.c, self.s = c, s
        addr = ka.ADDR[socket.AF_INET]
        self.a, self.b = [], []
        with s.inside(), socket.create_server((addr[1], PORT)) as listener:
            for i in range(n):
                with c.inside():
                    a = socket.socket()
                # So that a test may listen there.
                a.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                a.bind((addr[0], PORT + 1 + i))
                a.connect(listener.getsockname())
                self.a.append(a)
                self.b.append(listener.accept()[0])

    def close(self):
        for sock in self.a + self.b:
            sock.close()


@contextlib.contextmanager
def sides(*numbers):
    """One for each number, of so many connections."""
    with contextlib.ExitStack() as stack:
        made = []
        for n in numbers:
            made.append(Side(*stack.enter_context(ka.wire()), n))
            stack.callback(made[-1].close)
        yield made


def inodes(socks):
    return sorted(os.fstat(sock.fileno()).st_ino for sock in socks)


def on(sock):
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_connections():
    for _ in hashes():
        # So many that some are in one chain with another's.
        with sides(300, 200, 0) as all_sides:
            everything = json.loads(ka.run(ka.KACTL, "-aj", "conn"))
            for side in all_sides:
                for ns, socks in (side.c, side.a), (side.s, side.b):
                    got = ns.kactl("conn")
                    assert {x["netns"] for x in got} <= {ns.name}, got
                    assert sorted(x["inode"] for x in got) == inodes(socks)
                    assert inodes(socks) == sorted(
                        x["inode"] for x in everything if x["netns"] == ns.name)
                # What they have in common chooses each's own.
                got = side.c.kactl("conn", "lport", str(PORT + 1))
                assert [x["inode"] for x in got] == inodes(side.a[:1]), got


def test_policy_onto_connections():
    for _ in hashes():
        with sides(300, 200) as (one, other):
            one.c.kactl("policy", "set", "time", "60", "enforce", "on")
            got, = one.c.kactl("apply")
            assert (got["seen"], got["changed"]) == (300, 300), got
            assert all(map(on, one.a))
            assert not any(map(on, other.a + other.b + one.b))
            got, = other.c.kactl("apply")
            assert (got["seen"], got["changed"]) == (200, 0), got


def test_who_listens():
    """A connection is not another's because somebody listens at its port in
    another namespace."""
    for _ in hashes():
        with sides(1, 0) as (one, other):
            addr = one.a[0].getsockname()
            with other.c.inside(), socket.create_server(addr):
                for dir_, n in ("in", 0), ("out", 1):
                    one.c.kactl("-q", "rule", "add", "dir", dir_, "keepalive",
                                "on")
                    got, = one.c.kactl("apply", "--dry-run")
                    assert got["changed"] == n, (dir_, got)
                    one.c.kactl("rule", "flush")
            with one.c.inside(), socket.create_server(("0.0.0.0", addr[1])):
                one.c.kactl("-q", "rule", "add", "dir", "in", "keepalive", "on")
                got, = one.c.kactl("apply", "--dry-run")
                assert got["changed"] == 1, got


def test_probes_and_events():
    n = 20
    for _ in hashes():
        with sides(n, n) as (dead, alive):
            dead.s.drop("prerouting")
            with monitor.monitor(dead.c, "dead", "lost") as hears, \
                    monitor.monitor(alive.c, "dead", "lost", "recovered") as not_:
                for sock in dead.a + alive.a:
                    ka.keepalive(sock, 1, 2, 2)
                ka.expect(dead.c, 30, conns_dead=n, probes_lost=2 * n,
                          probes_answered=0, conns_tracked=0)
                st = ka.expect(alive.c, 30, conns_dead=0, probes_lost=0,
                               conns_tracked=n)
                assert st["probes_answered"] >= n, st
                assert not monitor.stop(not_)
                heard = monitor.stop(hears)
            assert sorted(e["inode"] for e in heard if e["event"] == "dead") == \
                inodes(dead.a), heard
            ino = os.stat("/run/netns/" + dead.c.name).st_ino
            assert {e["netns_ino"] for e in heard} == {ino}, heard
            for ns in dead.s, alive.s:
                ka.expect(ns, probes_sent=0, conns_tracked=0)


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Everything at once, on two CPUs: probes answered, lost and reset while the
module, namespaces and policies come and go. What is looked for is a kernel
that complains, and counts that do not add up."""

import contextlib
import os
import socket
import subprocess
import threading
import time

import ka

ROUNDS = int(os.environ.get("KA_STORM", "20"))
CLOSE = 7


def need_two_cpus():
    if os.cpu_count() < 2:
        raise ka.Skip("needs two CPUs")


@contextlib.contextmanager
def loop(work):
    """work() again and again in a thread, for the length of the block."""
    stop, failed = threading.Event(), []

    def body():
        try:
            while not stop.is_set():
                work()
        except Exception as e:  # shown by the one who waits
            failed.append(e)

    thread = threading.Thread(target=body)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]


@contextlib.contextmanager
def traffic(n=60):
    """Two hosts; n connections with short policies over a wire that loses a
    third of what arrives. Those that die are replaced."""
    with ka.wire() as (c, s):
        socks = ka.pair(c, s, n=n)
        for a, _ in socks:
            ka.keepalive(a, 1, 1, 2)
        s.nft("table inet loss { chain l { type filter hook prerouting priority"
              " 0; meta l4proto tcp numgen random mod 3 0 drop; }; }")
        yield c, s, socks
        s.nft("delete table inet loss")
        for a, b in socks:
            a.close()
            b.close()


def settled(c):
    """All is closed or answered: nothing out, and every count in its place."""
    st = ka.expect(c, 30, probes_pending=0)
    assert st["probes_unseen"] == 0, st
    return st


def test_counts_add_up():
    need_two_cpus()
    with traffic() as (c, s, socks):
        with loop(c.stats), loop(lambda: c.kactl("policy", "set", "time",
                                                 str(int(time.time()) % 9 + 1))):
            time.sleep(ROUNDS / 2)
        dead = sum(ka.tcp_info(a)[0] == CLOSE for a, _ in socks)
        for a, _ in socks:
            a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
        s.nft("flush table inet loss")
        for a, b in socks:
            if ka.tcp_info(a)[0] != CLOSE:
                b.send(b"x")
        st = settled(c)
        assert st["conns_dead"] == dead, (dead, st)
        assert st["probes_sent"] >= len(socks), st


def test_namespaces_gone_with_probes_out():
    need_two_cpus()
    for _ in range(ROUNDS):
        with ka.wire() as (c, s):
            socks = ka.pair(c, s, n=5)
            s.drop("prerouting")
            for a, _ in socks:
                ka.keepalive(a, 1, 1, 9)
            ka.poll("probes", 10, lambda: c.mib() >= 5)
            ka.run("ip", "netns", "del", c.name)
            for a, b in socks:
                a.close()
                b.close()


def test_loaded_and_unloaded_under_traffic():
    need_two_cpus()
    with traffic():
        for _ in range(ROUNDS):
            with loop(lambda: subprocess.run([ka.KACTL, "-a", "stats"],
                                             capture_output=True, check=False)):
                ka.poll("unloaded", 20, lambda: not subprocess.run(
                    ["rmmod", "tcp_keepalive"], stderr=subprocess.DEVNULL,
                    check=False).returncode)
                ka.run("modprobe", "tcp_keepalive")
    with traffic(10) as (c, _, socks):
        ka.poll("probes", 10, lambda: c.stats()["probes_sent"] >= 10)
        for a, _ in socks:
            a.close()
        settled(c)


def test_namespaces_made_while_policies_change():
    """Who inherits gets one policy whole."""
    need_two_cpus()
    with ka.Netns() as ns:
        ns.kactl("policy", "set", "inherit", "on", "time", "10", "intvl", "10")
        values = iter(range(11, 32000))

        def change():
            v = str(next(values))
            ns.kactl("policy", "set", "time", v, "intvl", v)

        with loop(change):
            for _ in range(ROUNDS):
                got = ns.exec("unshare", "-n", "sysctl", "-n",
                              "net.ipv4.tcp_keepalive_time",
                              "net.ipv4.tcp_keepalive_intvl").split()
                assert got[0] == got[1], got


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

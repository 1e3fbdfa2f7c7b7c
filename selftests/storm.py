#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Everything at once, on two CPUs: probes answered, lost and reset while the
module, namespaces, policies and rules come and go. What is looked for is a kernel
that complains, counts that do not add up, and something that stays behind."""

import contextlib
import functools
import glob
import os
import socket
import subprocess
import threading
import time

import ka
import monitor

STORM = os.path.dirname(os.path.abspath(__file__)) + "/storm"
# How much of what make storm does, per cent.
SHARE = int(os.environ.get("KA_STORM", "2"))
LOADS, NAMESPACES, RULES = 5 * SHARE, 50 * SHARE, 1000 * SHARE
ROUNDS = 20
SLACK_KB = 2048		# what the kernel keeps for later
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


def tool(*args):
    """kactl, be the module there or not."""
    return lambda: subprocess.run([ka.KACTL, *args], capture_output=True, check=False)


@contextlib.contextmanager
def asked(ns):
    """Somebody dumps and applies all the time."""
    with loop(tool("-n", ns.name, "conn")), loop(tool("-n", ns.name, "apply")), loop(tool("-a", "stats")):
        yield


@contextlib.contextmanager
def traffic(n=200):
    """Two hosts; n connections with short policies over a wire that loses a
    third of what arrives, but for SYNs. Those that die stay dead."""
    with ka.wire() as (c, s):
        socks = ka.pair(c, s, n=n)
        for a, _ in socks:
            ka.keepalive(a, 1, 1, 9)
        s.nft("table inet loss { chain l { type filter hook prerouting priority"
              " 0; tcp flags & syn != syn numgen random mod 3 0 drop; }; }")
        yield c, s, socks
        s.nft("delete table inet loss")
        for a, b in socks:
            a.close()
            b.close()


def meminfo(*names):
    with open("/proc/meminfo", encoding="ascii") as f:
        kb = {line.split(":")[0]: int(line.split()[1]) for line in f}
    return sum(kb[name] for name in names)


def memory():
    """What the kernel uses for itself, in KB, but for what its caches of objects keep for later."""
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("3")
    for path in glob.glob("/sys/kernel/slab/*/shrink"):
        with contextlib.suppress(FileNotFoundError), open(path, "w", encoding="ascii") as f:
            f.write("1")
    return meminfo("Slab", "Percpu", "KernelStack", "VmallocUsed")


def slack():
    """KASAN keeps what was freed, up to 1/32 of all memory; what is lost kmemleak tells there."""
    return SLACK_KB + (meminfo("MemTotal") // 32 if os.path.exists("/sys/kernel/debug/kmemleak") else 0)


def unload():
    ka.poll("unloaded", 60, lambda: not subprocess.run(
        ["rmmod", "tcp_keepalive"], stderr=subprocess.DEVNULL, check=False).returncode)


@functools.cache
def caches_filled():
    """What the kernel keeps of namespaces and connections that are gone, without the
    module: 1.4 MB after the first hundred on Linux 7.3, and a third of that after others."""
    ka.run(STORM, "namespaces", "100", "20", "own")


@contextlib.contextmanager
def nothing_left():
    """The module unloads after the block, and memory is as it was before."""
    unload()
    caches_filled()
    before = memory()
    ka.run("modprobe", "tcp_keepalive")
    yield
    unload()
    try:
        ka.poll(f"memory back at {before} KB", 120, lambda: memory() <= before + slack())
    finally:
        print(f"# memory: {before} KB before, {memory()} KB after", flush=True)
        ka.run("modprobe", "tcp_keepalive")


def settled(c):
    """All is closed or answered: nothing out, and every count in its place."""
    st = ka.expect(c, 30, probes_pending=0)
    # Linux 5.10 hears no kprobe while it sees to the kretprobes of a task that ends: 2 of 9,555 timer softirqs were
    # missed by one of tracefs, without the module; Linux 6.1 missed none.
    deaf = os.uname().release.startswith("5.10.")
    assert st["probes_unseen"] <= (3 + st["probes_sent"] // 1000 if deaf else 0), st
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
    with nothing_left(), traffic() as (c, _, socks):
        with ka.Netns() as maker, asked(c):
            maker.kactl("policy", "set", "time", "1", "intvl", "1", "probes", "9", "enforce", "on", "inherit", "on")
            maker.exec(STORM, "namespaces", str(NAMESPACES), "20")
        for a, _ in socks:
            a.close()
        settled(c)


def test_loaded_and_unloaded_under_traffic():
    need_two_cpus()
    with nothing_left(), traffic() as (c, _, socks):
        with asked(c):
            for _ in range(LOADS):
                unload()
                ka.run("modprobe", "tcp_keepalive")
        ka.poll("probes", 10, lambda: c.stats()["probes_sent"] >= 10)
        for a, _ in socks:
            a.close()
        ka.poll("no probe out", 30, lambda: c.stats()["probes_pending"] == 0)
        ka.law(c.stats())


def test_rules_replaced_while_connections_open():
    """Each connection gets one rule whole."""
    need_two_cpus()
    with nothing_left(), traffic() as (c, s, socks):
        opened = 0
        with asked(c), subprocess.Popen(["ip", "netns", "exec", c.name, STORM, "rules", str(RULES)]) as storm:
            while storm.poll() is None:
                for a, b in ka.pair(c, s, n=5):
                    got = [a.getsockopt(socket.IPPROTO_TCP, opt) for opt in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)]
                    assert got[0] == got[1] and got[0] < 7200 or got == [7200, 75], got
                    opened += got[0] == got[1]
                    a.close()
                    b.close()
            assert storm.returncode == 0
        assert opened and len(c.kactl("rule")) == 20
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


def test_read_while_it_changes():
    """Who reads takes no socket's lock, who is probed waits for no reader."""
    need_two_cpus()
    values = iter(range(1, 1 << 30))

    def opens():
        for a, b in ka.pair(c, s, n=4, port=7001):
            ka.keepalive(a, 1 + next(values) % 3)
            a.send(b"x")
            a.close()
            b.close()

    def sets():
        v = next(values)
        a, b = socks[v % len(socks)]
        ka.keepalive(a, 1 + v % 3, 1 + v % 2, 2 + v % 3)
        # One dies at any time.
        with contextlib.suppress(TimeoutError, ConnectionError):
            a.send(b"x")
            b.send(b"x")
        time.sleep(0.1)		# or none would be idle for a second

    def replaces():
        c.kactl("-q", "rule", "replace", "pref", "10", "dir", "out", "time",
                f"1..{2 + next(values) % 9}", "keepalive", "on")

    with traffic(20) as (c, s, socks), \
            monitor.monitor(c, "dead", "lost", "recovered", "--timeout", "600") as p:
        replaces()
        with loop(opens), loop(sets), loop(replaces), \
                loop(lambda: c.kactl("conn")), loop(lambda: c.kactl("-q", "apply")), \
                loop(lambda: c.kactl("conn", "status", "probing", "idle-min", "1")):
            time.sleep(ROUNDS / 2)
        c.kactl("-q", "rule", "flush")
        s.nft("flush table inet loss")
        # An answer that was lost would be owed until the next probe.
        for a, _ in socks:
            a.close()
        settled(c)
        lost = [e for e in monitor.stop(p) if e["event"] == "lost"]
        assert lost, "nothing was lost in all that time"


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

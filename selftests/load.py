#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Loading and unloading, with probes out; refusing to load; hooks that
somebody switches off."""

import errno
import os
import re
import socket
import subprocess
import tempfile

import ka

MODULE = "tcp_keepalive"


def load():
    ka.run("modprobe", MODULE)


def unload():
    ka.poll("unloaded", 10, lambda: not subprocess.run(
        ["rmmod", MODULE], stderr=subprocess.DEVNULL, check=False).returncode)


def nothing_left():
    assert not os.path.exists("/sys/module/" + MODULE)
    assert not os.path.exists("/sys/class/tcp_keepalive")
    with open("/proc/kallsyms", encoding="ascii") as f:
        assert not [line for line in f if f"[{MODULE}]" in line]
    kprobes = "/sys/kernel/debug/kprobes/list"
    if os.path.exists(kprobes):
        with open(kprobes, encoding="ascii") as f:
            assert "tcp_write_wakeup" not in f.read()
    functions = "/sys/kernel/tracing/enabled_functions"
    if os.path.exists(functions):
        with open(functions, encoding="ascii") as f:
            assert "tcp_set_keepalive" not in f.read()
    p = subprocess.run([ka.KACTL, "stats"], capture_output=True, text=True,
                       check=False)
    assert p.returncode == 3, p


def refused(old, new, says):
    """A copy of the module that looks for another name does not load."""
    path = ka.run("modinfo", "-n", MODULE).strip()
    tool = {".xz": "xz", ".zst": "zstd", ".gz": "gzip"}.get(
        os.path.splitext(path)[1])
    with open(path, "rb") as f:
        code = f.read()
    if tool:
        code = subprocess.run([tool, "-dc"], input=code, capture_output=True,
                              check=True).stdout
    assert old in code
    unload()
    try:
        with tempfile.TemporaryDirectory() as folder:
            other = os.path.join(folder, "other.ko")
            with open(other, "wb") as f:
                f.write(code.replace(old, new))
            p = subprocess.run(["insmod", other], capture_output=True,
                               text=True, check=False)
        assert p.returncode, "it loads"
        log = ka.run("dmesg").splitlines()
        lines = [line for line in log if f"{MODULE}: cannot load" in line]
        assert lines and re.search(says, lines[-1]), (p.stderr, log[-5:])
        nothing_left()
    finally:
        load()


def test_refuses_without_its_probe_hook():
    refused(b"tcp_write_wakeup", b"no_such_function",
            "no way to hook no_such_function")


def test_refuses_without_a_tracepoint():
    refused(b"inet_sock_set_state", b"no_such_tracepoint_",
            "no tracepoint no_such_tracepoint_")
    refused(b"tcp_receive_reset\0", b"no_such_tracepnt_\0",
            "no tracepoint no_such_tracepnt_")


def test_unload_leaves_nothing():
    with ka.Netns():
        unload()
        nothing_left()
        load()


def test_loads_by_family():
    unload()
    aliases = ka.run("modprobe", "--show-depends",
                     "net-pf-16-proto-16-family-" + MODULE)
    assert MODULE + ".ko" in aliases, aliases
    load()


def test_unload_with_probes_out():
    """The connections that it gave keepalive keep it, and end as they would."""
    with ka.wire() as (c, s):
        c.kactl("policy", "set", "enforce", "on")
        socks = ka.pair(c, s, n=50)
        s.drop("prerouting")
        for a, _ in socks:
            ka.keepalive(a, 1, 2, 4)
        ka.expect(c, 10, probes_pending=50)
        unload()
        nothing_left()
        for a, b in socks:
            ka.poll("closed", 30, lambda a=a: ka.tcp_info(a)[0] == 7)
            assert ka.error(a) == "ETIMEDOUT"
            a.close()
            b.close()
        load()


def test_load_with_probes_out():
    """It counts from the next probe on."""
    with ka.wire() as (c, s):
        unload()
        socks = ka.pair(c, s, n=20)
        s.drop("prerouting")
        for a, _ in socks:
            ka.keepalive(a, 1, 3, 4)
        ka.poll("probes", 10, lambda: c.mib() == 20)
        load()
        st = c.stats()
        assert st["probes_sent"] == st["probes_pending"] == 0, st
        for a, b in socks:
            ka.poll("closed", 30, lambda a=a: ka.tcp_info(a)[0] == 7)
            a.close()
            b.close()
        ka.poll("settled", 5, lambda: not c.stats()["probes_pending"])
        st = c.stats()
        ka.law(st)
        assert st["probes_sent"] == st["probes_lost"] == c.mib() - 20 == 60, st
        assert st["conns_dead"] == 20, st


def switched(path, off):
    """Probes while a switch is off are unseen, and the tool says so."""
    with open(path, encoding="ascii") as f:
        was = f.read()
    with ka.wire() as (c, s):
        (a, b), = ka.pair(c, s)
        try:
            with open(path, "w", encoding="ascii") as f:
                f.write(off)
        except OSError as e:
            if e.errno != errno.EOPNOTSUPP:
                raise
            raise ka.Skip("this kernel has it always on") from None
        try:
            ka.keepalive(a, 1, 1, 3)
            ka.poll("2 probes", 10, lambda: c.mib() >= 2)
        finally:
            with open(path, "w", encoding="ascii") as f:
                f.write(was)
        a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
        n = c.mib()
        st = ka.expect(c, probes_sent=n, probes_unseen=n, probes_answered=0)
        p = subprocess.run([ka.KACTL, "-n", c.name, "stats"], text=True,
                           capture_output=True, check=True)
        assert "probes_unseen" in p.stderr, p
        # Seen again, and counted beside those.
        ka.keepalive(a, 1, 30, 3)
        ka.expect(c, 10, probes_sent=n + 1, probes_answered=1,
                  probes_unseen=st["probes_unseen"])
        a.close()
        b.close()


def test_kprobes_switched_off():
    switched("/sys/kernel/debug/kprobes/enabled", "0")


def test_ftrace_switched_off():
    switched("/proc/sys/kernel/ftrace_enabled", "0")


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

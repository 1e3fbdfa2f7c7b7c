#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""kactl monitor: each kind of event, what is chosen, how it ends, and that
what was lost is told."""

import contextlib
import datetime
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import time

import ka
import trace

CONN_KEYS = ("event at netns_ino family local lport remote rport uid inode "
             "lost idle_ms seq").split()
POLICY_KEYS = ("event at netns_ino seq time intvl probes enforce inherit "
               "detect_seconds").split()
NOBODY = ("setpriv", "--reuid", "65534", "--clear-groups")
GENERIC = "16"
F_SETPIPE_SZ = 1031     # fcntl has it since Python 3.10


def sockets(pid):
    """How many generic-netlink groups each socket in the process's network
    namespace listens to."""
    try:
        with open(f"/proc/{pid}/net/netlink", encoding="ascii") as f:
            rows = [line.split() for line in f][1:]
    except FileNotFoundError:       # it has just ended
        return []
    return [bin(int(r[3], 16)).count("1") for r in rows if r[1] == GENERIC]


@contextlib.contextmanager
def monitor(ns, *args, options=("-j",), before=()):
    """kactl monitor, which listens when the block begins."""
    groups = 1 + ("policy" in args) + any(
        k in args for k in ("dead", "reset", "recovered", "lost"))
    p = subprocess.Popen(
        ["ip", "netns", "exec", ns.name, *before, ka.KACTL, *options,
         "monitor", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True)
    try:
        ka.poll("listening", 10, lambda: p.poll() is not None or
                (3 if groups == 1 else groups) in sockets(p.pid))
        yield p
    finally:
        p.kill()
        p.communicate()


def end(p, status=0, seconds=20):
    """What was shown, an object a line; nothing else was said."""
    out, err = p.communicate(timeout=seconds)
    assert p.returncode == status, f"{p.returncode}: {err}"
    assert not err, err
    return [json.loads(line) for line in out.splitlines()]


def stop(p):
    p.send_signal(signal.SIGINT)
    return end(p)


def set_time(ns, seconds):
    ka.run(ka.KACTL, "-n", ns.name, "policy", "set", "time", str(seconds))


def test_policy():
    with ka.Netns() as ns, monitor(ns, "--count", "2") as p:
        start = time.time()
        set_time(ns, 60)
        ns.exec("sh", "-c", "echo on >/sys/class/tcp_keepalive/netns/enforce")
        events = end(p)
        assert [sorted(e) for e in events] == [sorted(POLICY_KEYS)] * 2, events
        first, second = events
        assert (first["event"], first["time"], first["enforce"]) == \
            ("policy", 60, False), first
        assert second["enforce"] is True, second
        assert second["seq"] == first["seq"] + 1, events
        assert first["detect_seconds"] == 60 + 75 * 9, first
        assert first["netns_ino"] == os.stat("/run/netns/" + ns.name).st_ino
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",
                            first["at"]), first
        at = datetime.datetime.fromisoformat(first["at"][:-1] + "+00:00")
        assert start - 1 <= at.timestamp() <= time.time() + 1, first


def test_rules():
    """Numbered together with what happens to the policy."""
    with ka.Netns() as ns, monitor(ns, "policy", "--count", "6") as p:
        for words in ("rule add dir in rport 80 keepalive on",
                      "policy set time 100",
                      "rule replace pref 10 time 20..30 override",
                      "rule add keepalive leave", "rule del pref 10"):
            ka.run(ka.KACTL, "-n", ns.name, *words.split())
        events = end(p)
        seq = [e.pop("seq") for e in events]
        assert seq == list(range(seq[0], seq[0] + 6)), seq
        for e in events:
            assert e.pop("netns_ino") == os.stat("/run/netns/" + ns.name).st_ino
            assert re.fullmatch(r"\S+T\S+Z", e.pop("at")), e
        first = {"event": "policy", "pref": 10, "dir": "in", "rport": [80, 80],
                 "keepalive": "on", "hits": 0}
        second = {"event": "policy", "pref": 10, "time": [20, 30],
                  "override": True, "hits": 0}
        third = {"event": "policy", "pref": 20, "keepalive": "leave", "hits": 0}
        assert events.pop(1)["event"] == "policy"
        assert events == [first, {**first, "removed": True}, second, third,
                          {**second, "removed": True}], events


def test_rules_text():
    with ka.Netns() as ns, \
            monitor(ns, "policy", "--count", "2", options=()) as p:
        ka.run(ka.KACTL, "-n", ns.name, "rule", "add", "mark", "7/15", "time",
               "60")
        ka.run(ka.KACTL, "-n", ns.name, "rule", "flush")
        out, err = p.communicate(timeout=20)
        assert re.match(r"\S+Z policy pref 10 mark 0x7/0xf time 60 hits 0 seq "
                        r"\d+\n\S+Z policy pref 10 mark 0x7/0xf time 60 hits 0 "
                        r"removed seq \d+\n$", out), out
        assert not err, err


def test_text():
    with ka.Netns() as ns, \
            monitor(ns, "policy", "--count", "1", options=()) as p:
        set_time(ns, 61)
        out, err = p.communicate(timeout=20)
        assert re.match(r"\S+Z policy time 61 intvl 75 probes 9 enforce off "
                        r"inherit off detect_seconds 736 seq \d+\n$",
                        out), out
        assert not err, err


def test_count():
    """What comes after the last one is not shown."""
    with ka.Netns() as ns, monitor(ns, "policy", "--count", "2") as p:
        p.send_signal(signal.SIGSTOP)
        for seconds in 60, 61, 62, 63:
            set_time(ns, seconds)
        p.send_signal(signal.SIGCONT)
        assert [e["time"] for e in end(p)] == [60, 61]


def test_timeout():
    with ka.Netns() as ns:
        start = time.monotonic()
        with monitor(ns, "--timeout", "0.7") as p:
            assert end(p) == []
        assert 0.7 <= time.monotonic() - start < 10
        with monitor(ns, "--timeout", "0") as p:
            assert end(p) == []


def test_timeout_and_a_slow_reader():
    """What is waiting by then is shown for a second more, not for as long as
    it takes somebody to read it."""
    sets = 1000
    with ka.Netns() as ns, monitor(ns, "policy", "--timeout", "3") as p:
        fcntl.fcntl(p.stdout, F_SETPIPE_SZ, 4096)
        p.send_signal(signal.SIGSTOP)
        ns.exec("sh", "-c", f"i=0; while [ $((i += 1)) -le {sets} ]; do "
                "echo $i >/sys/class/tcp_keepalive/netns/time; done")
        p.send_signal(signal.SIGCONT)
        shown = 0
        for _ in p.stdout:
            shown += 1
            time.sleep(0.02)
        assert p.wait(20) == 0, p.returncode
        assert 0 < shown < sets / 2, shown


def test_signals():
    with ka.Netns() as ns:
        with monitor(ns) as p:
            assert stop(p) == []
        with monitor(ns) as p:
            set_time(ns, 60)
            ka.poll("shown", 10, lambda: len(os.read(p.stdout.fileno(), 4096)))
            p.send_signal(signal.SIGTERM)
            end(p, -signal.SIGTERM)
        with monitor(ns) as p, open(f"/proc/{p.pid}/ns/net", "rb"):
            p.kill()
            end(p, -signal.SIGKILL)
            with ns.inside():
                ka.poll("no socket", 5, lambda: not any(
                    n > 1 for n in sockets("self")))


def test_reader_gone():
    """No event need come for it to be noticed."""
    with ka.Netns() as ns, monitor(ns) as p:
        p.stdout.close()
        assert p.wait(20) == 1
        assert not p.stderr.read()


def test_without_privilege():
    with ka.Netns() as ns, \
            monitor(ns, "policy", "--count", "1", before=NOBODY) as p:
        set_time(ns, 60)
        assert end(p)[0]["time"] == 60


def check(event, c, a, name, **want):
    """An event is about the client's socket, and has all its keys."""
    assert sorted(event) == sorted(CONN_KEYS), event
    want.update(event=name, lport=a.getsockname()[1], rport=7000, uid=0,
                netns_ino=os.stat("/run/netns/" + c.name).st_ino)
    wrong = {k: event[k] for k, v in want.items() if event[k] != v}
    assert not wrong, f"{wrong}, wanted {want}"


def test_lost_and_dead():
    for family in socket.AF_INET, socket.AF_INET6:
        with ka.wire() as (c, s), monitor(c) as p:
            (a, b), = ka.pair(c, s, family)
            inode = os.fstat(a.fileno()).st_ino
            s.drop("prerouting")
            ka.keepalive(a, 1, 1, 3)
            ka.expect(c, 20, conns_dead=1)
            events = stop(p)
            assert [e["event"] for e in events] == ["lost"] * 3 + ["dead"], \
                events
            for i, e in enumerate(events):
                check(e, c, a, e["event"], lost=min(i + 1, 3), inode=inode,
                      family={socket.AF_INET: "inet",
                              socket.AF_INET6: "inet6"}[family],
                      local=ka.ADDR[family][0], remote=ka.ADDR[family][1],
                      seq=events[0]["seq"] + i)
            idle = [e["idle_ms"] for e in events]
            assert idle == sorted(idle) and 3500 <= idle[-1] <= 10000, idle
            a.close()
            b.close()


def test_recovered():
    with ka.wire() as (c, s), monitor(c, "recovered") as p:
        (a, b), = ka.pair(c, s)
        s.drop("prerouting")
        ka.keepalive(a, 1, 1, 50)
        ka.poll("two lost", 20, lambda: c.stats()["probes_lost"] >= 2)
        s.undrop()
        ka.poll("recovery", 20, lambda: c.stats()["conns_recovered"] == 1)
        e, = stop(p)
        check(e, c, a, "recovered", lost=c.stats()["probes_lost"])
        a.close()
        b.close()


def test_recovered_at_once():
    """After the first loss of all, with nobody who reads, long before the next tick."""
    with ka.wire() as (c, s), monitor(c, "recovered", "lost", "--count", "2") as p:
        (a, b), = ka.pair(c, s)
        s.drop("prerouting")
        ka.keepalive(a, 1, 60, 5)
        ka.poll("a probe", 30, lambda: c.mib() == 1)
        s.undrop()
        lost, recovered = end(p, seconds=200)
        check(lost, c, a, "lost", lost=1)
        check(recovered, c, a, "recovered", lost=1)
        waited = [datetime.datetime.fromisoformat(e["at"].replace("Z", "+00:00")) for e in (lost, recovered)]
        assert (waited[1] - waited[0]).total_seconds() < ka.SLOW, waited
        a.close()
        b.close()


def test_nobody_looks_for_nobody():
    """When the last listener is gone, connections that owe an answer wake no CPU."""
    with ka.wire() as (c, s), trace.instance() as path:
        trace.write(path + "/events/tcp_keepalive/enable", "0")
        trace.write(path + "/events/workqueue/workqueue_execute_start/enable", "1")

        def looked():
            with open(path + "/trace", encoding="ascii") as f:
                return sum("watch_work_fn" in line for line in f)

        (a, b), = ka.pair(c, s)
        s.drop("prerouting")
        with monitor(c, "lost", "--count", "1") as p:
            ka.keepalive(a, 1, 5, 50)
            end(p, seconds=60)
        ka.poll("a look for who listened", 10, looked)
        at = c.mib()
        ka.poll("a probe that nobody listens for", 60, lambda: c.mib() > at)
        before = looked()
        ka.poll("the next", 60, lambda: c.mib() > at + 1)
        assert looked() - before < 3, (before, looked())
        trace.write(path + "/events/workqueue/workqueue_execute_start/enable", "0")
        a.close()
        b.close()


def test_reset():
    with ka.wire() as (c, s), monitor(c, "reset", "dead") as p:
        (a, b), = ka.pair(c, s)
        s.drop("output")
        s.exec("ss", "-K", "sport", "=", ":7000")
        s.undrop()
        ka.keepalive(a, 1, 30, 3)
        ka.expect(c, 10, conns_reset=1)
        e, = stop(p)
        check(e, c, a, "reset", lost=0)
        a.close()
        b.close()


def test_kinds():
    """What is not shown was not lost."""
    with ka.wire() as (c, s), monitor(c, "dead") as dead, \
            monitor(c, "policy", "lost") as lost:
        for port in 7000, 7001:
            (a, b), = ka.pair(c, s, port=port)
            s.drop("prerouting")
            ka.keepalive(a, 1, 1, 2)
            ka.poll("closed", 20, lambda a=a: ka.tcp_info(a)[0] == 7)
            s.undrop()
            a.close()
            b.close()
        set_time(c, 60)
        got = [e["event"] for e in stop(dead)]
        assert got == ["dead"] * 2, got
        got = [e["event"] for e in stop(lost)]
        assert got == ["lost"] * 4 + ["policy"], got


def test_other_namespaces():
    """Each hears of its own; with --all-netns all are heard."""
    with ka.Netns() as one, ka.Netns() as other:
        with monitor(one, "policy") as p:
            set_time(other, 60)
            set_time(one, 61)
            assert [e["time"] for e in stop(p)] == [61]
        p = subprocess.Popen([ka.KACTL, "-aj", "monitor", "policy"], stdout=subprocess.PIPE)
        want = {os.stat("/run/netns/" + ns.name).st_ino for ns in (one, other)}
        os.set_blocking(p.stdout.fileno(), False)
        got, text, seconds = set(), "", 100

        def heard():
            nonlocal text, seconds
            seconds += 1
            set_time(one, seconds)
            set_time(other, seconds)
            with contextlib.suppress(BlockingIOError):
                text += os.read(p.stdout.fileno(), 1 << 20).decode()
            got.update(json.loads(line)["netns_ino"]
                       for line in text.split("\n")[:-1])
            return want <= got
        ka.poll("events of both", 20, heard)
        p.send_signal(signal.SIGINT)
        assert p.wait(20) == 0


@contextlib.contextmanager
def small_buffers():
    """As large as nobody may have them on older kernels; newer ones give more."""
    name = "net.core.rmem_max"
    before = ka.run("sysctl", "-n", name).strip()
    ka.run("sysctl", "-qw", name + "=212992")
    try:
        yield
    finally:
        ka.run("sysctl", "-qw", f"{name}={before}")


def test_lost_events_are_told():
    """A small buffer, as nobody may have a large one, that nobody reads."""
    sets = 3000
    with small_buffers(), ka.Netns() as ns, \
            monitor(ns, "policy", before=NOBODY) as p:
        p.send_signal(signal.SIGSTOP)
        ns.exec("sh", "-c", f"i=0; while [ $((i += 1)) -le {sets} ]; do "
                "echo $i >/sys/class/tcp_keepalive/netns/time; done")
        p.send_signal(signal.SIGCONT)
        # Only another event tells how many there were.
        ka.poll("read", 20, lambda: os.read(p.stdout.fileno(), 1))
        shown = b"{"
        os.set_blocking(p.stdout.fileno(), False)

        def last():
            nonlocal shown
            set_time(ns, 20000 + shown.count(b"\n") % 1000)
            with contextlib.suppress(BlockingIOError):
                shown += os.read(p.stdout.fileno(), 1 << 20)
            return re.search(rb'"time":2\d{4},', shown.rsplit(b"\n", 2)[-2])
        ka.poll("the last one", 20, last)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=20)
        assert p.returncode == 0, p.returncode
        events = [json.loads(line) for line in
                  (shown.decode() + (out or "")).splitlines()]
        told = [int(n) for n in
                re.findall(r"^kactl: monitor: warning: (\d+) events lost$",
                           err, re.M)]
        assert told, err
        # All that was ever sent was either shown or told.
        span = events[-1]["seq"] - events[0]["seq"] + 1
        assert span == len(events) + sum(told), (span, len(events), told)
        assert span >= sets, span


def test_module_goes():
    with ka.Netns() as ns, monitor(ns) as p:
        ka.poll("gone", 10, lambda: not subprocess.run(
            ["rmmod", "tcp_keepalive"], stderr=subprocess.DEVNULL,
            check=False).returncode)
        out, err = p.communicate(timeout=20)
        ka.run("modprobe", "tcp_keepalive")
        assert p.returncode == 3, p.returncode
        assert err == "kactl: monitor: module tcp_keepalive was unloaded\n", err
        assert out == "", out


def test_no_module():
    ka.poll("gone", 10, lambda: not subprocess.run(
        ["rmmod", "tcp_keepalive"], stderr=subprocess.DEVNULL,
        check=False).returncode)
    p = subprocess.run([ka.KACTL, "-j", "monitor", "--timeout", "5"], text=True,
                       capture_output=True, check=False)
    loaded = os.path.exists("/sys/module/tcp_keepalive")
    ka.run("modprobe", "tcp_keepalive")
    assert p.returncode == 3 and "not loaded" in p.stderr, p
    assert not loaded


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Policy and rules onto connections that exist: what changes, what is left
alone, when the first probe comes."""

import bisect
import contextlib
import json
import re
import resource
import signal
import socket
import subprocess
import time

import busy
import ka
from decide import CNT, IDLE, TCP, USER_TIMEOUT, connected, on, rule, values
from trace import instance

TCP_REPAIR = 19


def apply(ns, *words):
    got, = ns.kactl("apply", *map(str, words))
    return got


def next_ms(ns):
    conn, = ns.kactl("conn", "rport", "7000")
    return conn["next_ms"]


def test_keepalive_on_net_of_idle_time():
    with ka.wire() as (c, s), connected(c, s) as (a, b):
        time.sleep(100)
        c.kactl("policy", "set", "time", "300", "enforce", "on")
        assert not on(a)
        got = apply(c, "--dry-run")
        assert (got["seen"], got["matched"], got["changed"], got["overdue"]) == \
            (1, 1, 1, 0), got
        assert not on(a) and c.stats()["conns_applied"] == 0
        got = apply(c)
        assert (got["changed"], got["overdue"]) == (1, 0), got
        assert on(a) and not on(b)
        assert 150000 < next_ms(c) <= 202000, next_ms(c)
        ka.expect(c, conns_applied=1)
        # Once more changes nothing.
        assert apply(c)["changed"] == 0
        ka.expect(c, 600, probes_sent=1, probes_answered=1)


def test_a_timer_of_two_hours_does_not_delay():
    with ka.wire() as (c, s), connected(c, s) as (a, _):
        ka.keepalive(a)
        time.sleep(50)
        c.kactl("policy", "set", "time", "60")
        assert next_ms(c) > 7000000
        apply(c)
        assert next_ms(c) <= 12000
        ka.expect(c, 60, probes_sent=1)


def test_overdue():
    with ka.wire() as (c, s), connected(c, s):
        time.sleep(1000)
        c.kactl("policy", "set", "time", "60", "intvl", "5", "enforce", "on")
        got = apply(c, "--spread", "0")
        assert got["overdue"] == 1, got
        ka.expect(c, 2, probes_sent=1, probes_answered=1)


def test_enforce_off_turns_off_what_the_module_turned_on():
    with ka.wire() as (c, s):
        c.kactl("policy", "set", "enforce", "on")
        with connected(c, s) as (a, _), connected(c, s, port=7001) as (p, _), \
                connected(c, s, port=7002, before=ka.keepalive) as (q, _):
            ka.keepalive(p)             # by now it is the program's own
            c.kactl("policy", "set", "enforce", "off")
            assert on(a)
            assert apply(c)["changed"] == 1
            assert not on(a) and on(p) and on(q)


def test_the_programs_word_after_enforce_off():
    """Nobody enforces any more, and what programs say is still heard."""
    with ka.wire() as (c, s):
        c.kactl("policy", "set", "enforce", "on")
        with connected(c, s) as (p, _), connected(c, s, port=7001) as (q, _):
            c.kactl("policy", "set", "enforce", "off")
            ka.keepalive(p)
            q.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
            assert apply(c)["changed"] == 0 and on(p)
            c.kactl("policy", "set", "enforce", "on")
            got = apply(c)
            assert got["skipped"]["opted_out"] == 1 and not on(q), got


def test_dry_run_tells_of_what_would_be():
    with ka.wire() as (c, s), connected(c, s), connected(c, s, port=7001):
        time.sleep(1000)
        rule(c, "keepalive", "on", "time", 60, "intvl", 5, "probes", 2)
        dry = apply(c, "--dry-run")
        assert (dry["changed"], dry["overdue"]) == (2, 2), dry
        assert apply(c) == dry


def test_an_orphan_ends_by_its_own_timer():
    """In FIN_WAIT2 the timer of keepalive is that of another end."""
    with ka.wire() as (c, s), connected(c, s) as (a, _):
        ka.keepalive(a, 5)
        a.setsockopt(TCP, socket.TCP_LINGER2, 120)
        rule(c, "keepalive", "off", "override")
        port = a.getsockname()[1]
        a.close()
        ka.poll("FIN_WAIT2", 5, lambda: [
            x for x in c.kactl("conn", "lport", str(port))
            if x["state"] == "FIN-WAIT-2"])
        got = apply(c)
        assert got["skipped"]["closed"] == 1, got
        ka.poll("its end", 300, lambda: not c.kactl("conn", "lport", str(port)))


def test_opted_out():
    with ka.wire() as (c, s):
        c.kactl("policy", "set", "enforce", "on")
        with connected(c, s) as (a, _):
            a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
            got = apply(c)
            assert got["skipped"]["opted_out"] == 1 and not on(a), got
            # An override rule has the last word.
            rule(c, "keepalive", "on", "override")
            assert apply(c)["changed"] == 1 and on(a)


def test_repair():
    with ka.wire() as (c, s), connected(c, s) as (a, _):
        c.kactl("policy", "set", "enforce", "on")
        a.setsockopt(TCP, TCP_REPAIR, 1)
        assert apply(c)["skipped"]["repair"] == 1 and not on(a)
        a.setsockopt(TCP, TCP_REPAIR, 0)


def test_rules_that_change():
    """What the module set follows; what the program set stays."""
    with ka.wire() as (c, s):
        rule(c, "keepalive", "on", "time", 61, "probes", 3)
        with connected(c, s) as (a, _), connected(c, s, port=7001) as (p, _):
            p.setsockopt(TCP, IDLE, 15)
            p.setsockopt(TCP, CNT, 4)
            c.kactl("rule", "replace", "pref", "10", "keepalive", "on", "time",
                    "62", "intvl", "8")
            got = apply(c)
            assert got["changed"] == 2, got
            assert values(a)[:3] == (62, 8, 9), values(a)
            assert values(p)[:3] == (15, 8, 4), values(p)
            c.kactl("rule", "flush")
            apply(c)
            assert values(a)[:3] == (7200, 75, 9) and not on(a)
            assert values(p)[:3] == (15, 75, 4) and not on(p)


def test_filters():
    with ka.wire() as (c, s):
        with connected(c, s) as (a, _), connected(c, s, port=7001) as (b, _):
            c.kactl("policy", "set", "enforce", "on")
            got = apply(c, "rport", 7001)
            assert (got["seen"], got["matched"], got["changed"]) == (2, 1, 1), got
            assert on(b) and not on(a)
            assert apply(c, "idle-min", 3600)["matched"] == 0
            assert apply(c, "remote", "fd09::/64")["matched"] == 0


def test_one_that_is_being_probed_is_left_to_its_timer():
    with ka.wire() as (c, s), connected(c, s) as (a, _):
        s.drop("prerouting")
        ka.keepalive(a, 2, 40, 9)
        ka.poll("a probe", 10, lambda: ka.tcp_info(a)[1] == 1)
        before = next_ms(c)
        c.kactl("policy", "set", "time", "1", "intvl", "1")
        assert apply(c, "--spread", "0")["overdue"] == 0
        time.sleep(20)
        assert c.mib() == 1 and next_ms(c) <= before - 19000, next_ms(c)


def test_one_that_a_program_is_busy_with():
    """However long that takes: it is passed over after a second."""
    with ka.wire() as (c, s), connected(c, s) as (a, _), \
            connected(c, s, port=7001) as (free, _):
        c.kactl("policy", "set", "enforce", "on")
        with busy.sockets(a):
            got = apply(c)
            assert (got["changed"], got["skipped"]["busy"]) == (1, 1), got
        assert on(free) and not on(a)
        assert apply(c)["changed"] == 1 and on(a)


def test_turned_on_again_with_a_dead_peer():
    """TCP still counts the probes of before; nothing would ever run."""
    with ka.wire() as (c, s), connected(c, s) as (a, _), \
            connected(c, s, port=7001) as (p, _):
        c.kactl("-q", "policy", "set", "time", "2", "intvl", "2", "probes", "9",
                "enforce", "on")
        apply(c)
        s.drop("prerouting")
        ka.poll("probes", 20, lambda: ka.tcp_info(a)[1] > 1 < ka.tcp_info(p)[1])
        c.kactl("policy", "set", "enforce", "off")
        assert apply(c)["changed"] == 2 and not on(a)
        c.kactl("policy", "set", "enforce", "on")
        assert apply(c)["changed"] == 2 and next_ms(c) is not None
        # Likewise where the program turns it off and a rule on again.
        rule(c, "rport", 7001, "keepalive", "on", "override")
        p.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
        ka.poll("on again", 1.2, lambda: on(p))
        ka.poll("both are closed", 60, lambda: not c.kactl("conn"))
        assert c.stats()["conns_dead"] == 2, c.stats()


def references(ns):
    """On the socket of each connection, by local port."""
    with ns.inside(), open("/proc/self/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f][1:]
    return {int(r[1][-4:], 16): int(r[10]) for r in rows if r[3] == "01"}


def test_a_count_of_before_is_of_no_probe():
    """TCP counts on from an outage that ended with data: its fast path for what it
    receives leaves the count alone."""
    with ka.wire() as (c, s), connected(c, s) as (a, b):
        # A few, as the path is not taken where memory or the window has to change.
        for n in range(1, 20):
            ka.keepalive(a, 1, 1, 9)
            s.drop("input")
            ka.poll("two probes", 20, lambda: ka.tcp_info(a)[1] >= 2)
            a.setsockopt(TCP, IDLE, 7200)
            s.undrop()
            b.sendall(b"x")
            ka.poll("data", 20, lambda n=n: len(a.recv(99, socket.MSG_PEEK)) == n)
            if ka.tcp_info(a)[1] >= 2:
                break
        else:
            raise AssertionError("never by the fast path")
        time.sleep(10)
        before = c.stats()["probes_answered"]
        rule(c, "time", 2, "user-timeout", 3000, "override")
        assert apply(c, "--spread", "0")["overdue"] == 1
        ka.poll("an answer", 20, lambda: c.stats()["probes_answered"] > before)
        assert ka.error(a) is None and ka.tcp_info(a)[0] == 1


def test_closes_within_the_time_that_was_told():
    """A user timeout takes the place of the probes."""
    with ka.wire() as (c, s):
        c.kactl("policy", "set", "time", "60", "intvl", "10", "probes", "3")
        for timeout, least, most in (300000, 150, 210), (20000, 5, 10), (0, 25, 30):
            with connected(c, s) as (a, _):
                a.setsockopt(TCP, USER_TIMEOUT, timeout)
                time.sleep(100)
                rule(c, "keepalive", "on")
                s.drop("input")
                said = subprocess.run([ka.KACTL, "-n", c.name, "apply", "--spread", "0"], text=True,
                                      capture_output=True, check=True).stderr
                told = int(re.search(r"within (\d+) s", said).group(1))
                assert least < told <= most, said
                began = time.monotonic()
                ka.poll("closed", 2 * most, lambda: ka.error(a) == "ETIMEDOUT")
                assert least < time.monotonic() - began < told + 2, (timeout, told)
                s.undrop()
                c.kactl("rule", "flush")


def test_many_times_over():
    """Each waits for its turn once, and all that waits is given back."""
    with ka.wire() as (c, s):
        socks = ka.pair(c, s, n=12)
        before = references(c)
        time.sleep(1000)
        c.kactl("-q", "policy", "set", "time", "60", "enforce", "on")
        for i in range(8):
            assert apply(c, "--spread", 600)["overdue"] == 12 - i
            # The first one's turn comes at once.
            ka.poll("a probe", 5, lambda i=i: c.mib() == i + 1)
        # One for its record if it was probed, and one for what waits.
        more = {port: n - before[port] for port, n in references(c).items()}
        assert max(more.values()) <= 2, more
        ka.poll("all probed, and given back", 900, lambda: all(
            n == before[port] + 1 for port, n in references(c).items()))
        for a, b in socks:
            a.close()
            b.close()


def test_nobody_else_waits_for_one_that_is_busy():
    """While apply waits for sockets, other families come and go."""
    with ka.wire() as (c, s):
        socks = ka.pair(c, s, n=8)
        c.kactl("policy", "set", "enforce", "on")
        with busy.sockets(*[a for a, _ in socks]), \
                subprocess.Popen([ka.KACTL, "-qn", c.name, "-j", "apply"],
                                 stdout=subprocess.PIPE, text=True) as p:
            time.sleep(1.5)
            start = time.monotonic()
            ka.run("modprobe", "l2tp_netlink")
            ka.run("modprobe", "-r", "l2tp_netlink")
            took = time.monotonic() - start
            assert p.poll() is None
            got, = json.loads(p.communicate()[0])
        assert took < 2, took
        assert got["skipped"]["busy"] == 8, got
        for a, b in socks:
            a.close()
            b.close()


def test_not_without_privilege():
    with ka.Netns() as ns:
        p = subprocess.run(["ip", "netns", "exec", ns.name, "setpriv", "--reuid",
                            "65534", "--clear-groups", ka.KACTL, "apply",
                            "--dry-run"], capture_output=True, text=True,
                           check=False)
        assert p.returncode == 4, p


def test_no_herd():
    """2000 overdue connections: in no 100 ms more than twice the mean."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    n, spread = 2000, 10
    with ka.wire() as (c, s), contextlib.ExitStack() as stack:
        for a, b in ka.pair(c, s, n=n):
            stack.callback(a.close)
            stack.callback(b.close)
        time.sleep(1000)
        c.kactl("policy", "set", "time", "600", "intvl", "75", "enforce", "on")
        with instance() as path:
            assert apply(c)["overdue"] == n
            ka.poll("all probed", 60, lambda: c.mib() >= n)
            with open(path + "/trace", encoding="ascii") as f:
                times = sorted(float(t) for t in re.findall(
                    r" (\d+\.\d+): probe_sent:", f.read()))
        assert len(times) >= n, len(times)
        busiest = max(bisect.bisect_left(times, t + 0.1) - i
                      for i, t in enumerate(times[:n]))
        print(f"# {busiest} in the busiest 100 ms, {n / spread / 10:.0f} in the"
              f" mean, over {times[n - 1] - times[0]:.1f} s")
        assert busiest <= 2 * n / spread / 10, busiest
        assert spread - 1 <= times[n - 1] - times[0] <= spread + 1


def test_connections_that_come_and_go():
    """Those that live throughout are all applied to, and nothing falls over."""
    with ka.wire() as (c, s), contextlib.ExitStack() as stack:
        socks = ka.pair(c, s, n=200)
        for a, b in socks:
            stack.callback(a.close)
            stack.callback(b.close)
        with s.inside():
            churn = subprocess.Popen(
                ["python3", "-c", "import socket\n"
                 "l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen(9)\n"
                 "while True:\n"
                 " a = socket.create_connection(l.getsockname())\n"
                 " b, _ = l.accept(); a.close(); b.close()\n"])
        try:
            s.kactl("policy", "set", "enforce", "on")
            for _ in range(10):
                apply(s)
        finally:
            churn.send_signal(signal.SIGKILL)
            churn.wait()
        assert all(on(b) for _, b in socks)


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

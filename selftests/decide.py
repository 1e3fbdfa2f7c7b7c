#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What rules do to connections: which one decides, what it gives, whose a value
is, and what holds against a program that sets its own."""

import contextlib
import errno
import ipaddress
import json
import os
import random
import resource
import socket
import time

import ka

BOTH = (socket.AF_INET, socket.AF_INET6)
TCP = socket.IPPROTO_TCP
IDLE, INTVL, CNT = socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT
USER_TIMEOUT = socket.TCP_USER_TIMEOUT
SO_MARK = 36


def on(sock):
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))


def values(sock):
    """(idle, interval, count, user timeout) as the program sees them."""
    return tuple(sock.getsockopt(TCP, o) for o in (IDLE, INTVL, CNT, USER_TIMEOUT))


def rule(ns, *words):
    return ns.kactl("rule", "add", *map(str, words))[0]


def hits(ns):
    return {r["pref"]: r["hits"] for r in ns.kactl("rule")}


@contextlib.contextmanager
def connected(c, s, family=socket.AF_INET, port=7000, before=None, uid=0):
    """A connection, of that user's; before(sock) is done to the client's socket
    first."""
    addr = ka.ADDR[family][1]
    with s.inside(), socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((addr, port))
        listener.listen(1)
        with c.inside():
            os.seteuid(uid)
            try:
                a = socket.socket(family, socket.SOCK_STREAM)
            finally:
                os.seteuid(0)
        if before:
            before(a)
        a.connect((addr, port))
        b, _ = listener.accept()
    try:
        yield a, b
    finally:
        a.close()
        b.close()


def test_first_match_decides():
    for family in BOTH:
        with ka.wire() as (c, s):
            rule(c, "pref", 30, "keepalive", "on", "time", 30)
            rule(c, "pref", 20, "rport", "7000", "keepalive", "on", "time", 20)
            rule(c, "pref", 10, "rport", "7001-7009", "time", 10)
            with connected(c, s, family) as (a, b):
                assert on(a) and values(a)[0] == 20 and not on(b)
                conn, = c.kactl("conn", "rport", "7000")
                assert (conn["rule"], conn["source"]) == (20, "rule"), conn
            with connected(c, s, family, port=7010) as (a, _):
                assert on(a) and values(a)[0] == 30
            assert hits(c) == {10: 0, 20: 1, 30: 1}, hits(c)
            ka.expect(c, conns_enforced=2)


def test_direction():
    with ka.wire() as (c, s):
        for ns in c, s:
            rule(ns, "dir", "in", "keepalive", "on", "time", 11)
            rule(ns, "dir", "out", "keepalive", "on", "time", 22)
        with connected(c, s) as (a, b):
            assert values(a)[0] == 22 and values(b)[0] == 11
            assert c.kactl("conn")[0]["rule"] == 20
            assert s.kactl("conn")[0]["rule"] == 10


def test_addresses():
    with ka.wire() as (c, s):
        rule(c, "pref", 1, "remote", "10.9.0.99/24", "local", "10.9.0.1",
             "keepalive", "on")
        rule(c, "pref", 2, "remote", "fd09::/64", "keepalive", "on", "time", 9)
        with connected(c, s) as (a, _):
            assert on(a) and values(a)[0] == 7200
        with connected(c, s, socket.AF_INET6) as (a, _):
            assert on(a) and values(a)[0] == 9
        assert hits(c) == {1: 1, 2: 1}, hits(c)


def test_mark():
    with ka.wire() as (c, s):
        rule(c, "mark", "0x10/0xf0", "keepalive", "on")
        with connected(c, s, before=lambda a: a.setsockopt(
                socket.SOL_SOCKET, SO_MARK, 0x1f)) as (a, _):
            assert on(a)
        with connected(c, s, before=lambda a: a.setsockopt(
                socket.SOL_SOCKET, SO_MARK, 0x20)) as (a, _):
            assert not on(a)


def test_uid():
    with ka.wire() as (c, s):
        rule(c, "uid", "1000-2000", "keepalive", "on")
        for uid, want in (0, False), (1500, True), (2001, False):
            with connected(c, s, uid=uid) as (a, _):
                assert on(a) == want, uid


def test_cgroup():
    with ka.wire() as (c, s), connected(c, s, port=7001) as (outside, _), \
            contextlib.ExitStack() as stack:
        with ka.cgroup() as (path, _), ka.cgroup():     # one below the other
            rule(c, "cgroup", path, "keepalive", "on")
            a, _ = stack.enter_context(connected(c, s))
            assert on(a)
        assert not on(outside)
        # It has been removed: still listed, and it says so; a connection that was
        # made in it lives on, and is not matched any more.
        with connected(c, s, port=7002) as (later, _):
            assert not on(later)
        conn, = c.kactl("conn", "rport", "7000")
        assert conn["rule"] is None, conn
        got, = c.kactl("apply")
        assert got["changed"] == 1 and not on(a), got
        assert c.kactl("rule")[0]["cgroup"] == path
        assert "gone" in ka.run(ka.KACTL, "-n", c.name, "rule")


def test_cgroup_of_the_askers_namespace():
    """A path is from the root that is seen there, with its first slash or without."""
    with ka.wire() as (c, s), ka.cgroup() as (upper, _), ka.cgroup() as (lower, leave), \
            connected(c, s) as (a, _):
        inside = ("unshare", "-C", ka.KACTL)
        c.exec(*inside, "rule", "add", "cgroup", "/", "keepalive", "on")
        leave()
        shown, = json.loads(c.exec(*inside, "-j", "rule"))
        assert shown["cgroup"] == lower[len(upper):], shown
        assert c.kactl("rule")[0]["cgroup"] == lower
        c.kactl("rule", "flush")
        for path in lower[len(upper):], lower[len(upper) + 1:]:
            c.exec(*inside, "rule", "add", "cgroup", path, "keepalive", "on")
            # What the host saves, it can put back.
            saved = c.exec(ka.KACTL, "save")
            assert f"rule add pref 10 cgroup {lower} keepalive on\n" in saved, saved
            c.kactl("rule", "flush")
            c.exec(ka.KACTL, "restore", input=saved)
            c.kactl("apply")
            assert on(a), path
            c.kactl("rule", "flush")
            c.kactl("apply")
            assert not on(a)
        rule(c, "cgroup", upper.rpartition("/")[0] or "/", "keepalive", "on")
        shown, = json.loads(c.exec(*inside, "-j", "rule"))
        assert shown["cgroup"] == "/..", shown


def test_leave_and_off_under_a_policy_that_enforces():
    with ka.wire() as (c, s):
        c.kactl("policy", "set", "enforce", "on")
        rule(c, "rport", 7001, "keepalive", "leave")
        rule(c, "rport", 7002, "keepalive", "off")
        with connected(c, s) as (a, _):
            assert on(a)
        for port in 7001, 7002:
            with connected(c, s, port=port) as (a, _):
                assert not on(a)
        # Turned off when it becomes established; the program may turn it on.
        with connected(c, s, port=7002, before=ka.keepalive) as (a, _):
            assert not on(a)
            ka.keepalive(a)
            time.sleep(2)
            assert on(a)


def test_values_where_the_program_set_none():
    with ka.wire() as (c, s):
        rule(c, "keepalive", "on", "time", 61, "intvl", 7, "probes", 3,
             "user-timeout", 99000)
        with connected(c, s) as (a, _):
            assert values(a) == (61, 7, 3, 99000), values(a)

        def own(sock):
            sock.setsockopt(TCP, INTVL, 20)
            sock.setsockopt(TCP, USER_TIMEOUT, 5000)
        with connected(c, s, before=own) as (a, _):
            assert values(a) == (61, 20, 3, 5000), values(a)
            a.setsockopt(TCP, IDLE, 33)
            time.sleep(2)
            assert values(a) == (33, 20, 3, 5000), values(a)
            conn, = c.kactl("conn", "rport", "7000")
            assert conn["source"] == "program", conn


def test_the_timer_is_the_rules():
    with ka.wire() as (c, s):
        rule(c, "keepalive", "on", "time", 2, "intvl", 2, "probes", 2)
        with connected(c, s) as (a, _):
            ka.poll("a probe", 10, lambda: c.mib() >= 1)
            s.drop("prerouting")
            ka.expect(c, 30, conns_dead=1)
            assert ka.error(a) == "ETIMEDOUT"


def test_override():
    def own(sock):
        ka.keepalive(sock, 15, 15, 5)
    with ka.wire() as (c, s):
        rule(c, "keepalive", "on", "time", 60, "override")
        with connected(c, s, before=own) as (a, _):
            assert values(a)[:3] == (60, 15, 5), values(a)
            # As Go does, after connecting; within the second it is over.
            own(a)
            a.setsockopt(TCP, IDLE, 15)
            time.sleep(1)
            assert values(a)[:3] == (60, 15, 5), values(a)
            a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
            time.sleep(1)
            assert on(a)
            next_ms = c.kactl("conn", "rport", "7000")[0]["next_ms"]
            assert 50000 < next_ms <= 62000, next_ms


def test_override_of_every_value():
    with ka.wire() as (c, s):
        want = (60, 7, 3, 99000)
        rule(c, "keepalive", "on", "time", 60, "intvl", 7, "probes", 3,
             "user-timeout", 99000, "override")
        with connected(c, s) as (a, _):
            for option, value in (IDLE, 90), (INTVL, 9), (CNT, 5), \
                    (USER_TIMEOUT, 5000):
                assert values(a) == want, values(a)
                a.setsockopt(TCP, option, value)
                assert values(a) != want
                time.sleep(1)
            assert values(a) == want, values(a)


def test_what_is_a_hit():
    """That it decided: not that it is shown, would decide, or holds again."""
    with ka.wire() as (c, s):
        rule(c, "keepalive", "on", "time", "20..30")
        with connected(c, s) as (a, _):
            for _ in range(3):
                a.setsockopt(TCP, IDLE, 90)
                time.sleep(1)
                assert values(a)[0] == 30
            c.kactl("conn")
            c.kactl("apply", "--dry-run")
            c.kactl("rule", "test", "dir", "out")
            assert hits(c) == {10: 1}, hits(c)
            c.kactl("apply")
            assert hits(c) == {10: 2}, hits(c)


def test_override_of_many_at_once():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
    with ka.wire() as (c, s), contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limit)
        rule(c, "keepalive", "on", "time", 60, "override")
        # Nobody answers there.
        c.ip("route", "add", "192.0.2.0/24", "via", ka.ADDR[socket.AF_INET][1])
        with c.inside():
            socks = [stack.enter_context(socket.socket()) for _ in range(16500)]
        for i, sock in enumerate(socks):
            sock.setblocking(False)
            assert sock.connect_ex((f"192.0.2.{i // 1000 + 1}", 7001)) == errno.EINPROGRESS
        with connected(c, s) as (a, _):
            began = time.monotonic()
            for sock in socks:
                sock.setsockopt(TCP, IDLE, 15)
            # None has been looked at for the last time.
            assert time.monotonic() - began < 0.7 * ka.SLOW
            a.setsockopt(TCP, IDLE, 15)
            time.sleep(1)
            assert values(a)[0] == 60, values(a)


def test_a_closed_socket_is_let_go():
    """One that waits to be looked at, though it keeps its namespace."""
    with ka.Netns() as host:
        with ka.Netns() as ns:
            host.ip("link", "add", "w0", "type", "veth", "peer", "name", "w0", "netns", ns.name)
            ns.ip("link", "set", "w0", "up")
            host.ip("link", "set", "w0", "up")
            ns.ip("addr", "add", "192.0.2.1/24", "dev", "w0")
            host.ip("addr", "add", "192.0.2.2/24", "dev", "w0")
            host.drop("prerouting")
            rule(ns, "keepalive", "on", "time", 60, "override")
            with ns.inside(), socket.socket() as a:
                a.setblocking(False)
                assert a.connect_ex(("192.0.2.2", 7001)) == errno.EINPROGRESS
                a.setsockopt(TCP, IDLE, 15)
                began = time.monotonic()
        ka.poll("the namespace is gone", 5, lambda: "w0" not in host.ip("-br", "link"))
        took = time.monotonic() - began
    assert took < 0.5 * ka.SLOW, took


def test_override_off():
    with ka.wire() as (c, s):
        rule(c, "keepalive", "off", "override")
        with connected(c, s) as (a, _):
            ka.keepalive(a, 5)
            time.sleep(1)
            assert not on(a)


def test_bounds():
    with ka.wire() as (c, s):
        rule(c, "keepalive", "on", "time", "30..90", "intvl", "5..10",
             "probes", "2..4")
        with connected(c, s) as (a, _):
            assert values(a)[:3] == (90, 10, 4), values(a)
        with connected(c, s, before=lambda a: ka.keepalive(a, 10, 7, 1)) \
                as (a, _):
            assert values(a)[:3] == (30, 7, 2), values(a)
            for idle, want in ((31, 31), (29, 30), (91, 90)):
                a.setsockopt(TCP, IDLE, idle)
                time.sleep(1)
                assert values(a)[0] == want, (idle, values(a))
            a.setsockopt(TCP, CNT, 5)
            time.sleep(1)
            assert values(a)[2] == 4, values(a)
            # A second one while the first is still to be looked at.
            a.setsockopt(TCP, INTVL, 11)
            time.sleep(0.6)
            a.setsockopt(TCP, INTVL, 12)
            time.sleep(1)
            assert values(a)[1] == 10, values(a)


def test_nothing_is_held_without_need():
    """The program's own store stays where no rule bounds or overrides."""
    with ka.wire() as (c, s):
        rule(c, "keepalive", "on", "time", 60)
        with connected(c, s) as (a, _):
            a.setsockopt(TCP, IDLE, 15)
            a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
            time.sleep(2)
            assert values(a)[0] == 15 and not on(a)
        def resting():
            for name in ("debug/kprobes/list", "tracing/enabled_functions"):
                with open("/sys/kernel/" + name, encoding="ascii") as f:
                    if "tcp_setsockopt" in f.read():
                        return False
            return True
        ka.poll("the hook is out", 30, resting)


def test_inherit():
    with ka.Netns() as parent:
        rule(parent, "rport", 7000, "keepalive", "on", "time", 44)
        parent.kactl("policy", "set", "inherit", "on")
        with parent.inside():
            child = ka.Netns()
            child.__enter__()
        try:
            r, = child.kactl("rule")
            assert (r["time"], r["rport"], r["hits"]) == (44, [7000, 7000], 0), r
            parent.kactl("rule", "flush")
            assert len(child.kactl("rule")) == 1
        finally:
            child.__exit__()


FAMILIES = (("10.0.0.%d", (0, 24, 28, 30, 32)),
            ("fd09::%x", (0, 48, 64, 120, 122, 127, 128)),
            ("fd09:0:0:%x::1", (40, 58, 60, 63, 64, 65, 128)))


def an_address(rnd, family):
    return ipaddress.ip_address(family[0] % rnd.randrange(64))


def some_rule(rnd, cgroups):
    """A random rule's words, and the test that it stands for."""
    words, tests = [], []
    for port in "lport", "rport":
        if rnd.random() < 0.5:
            low = rnd.randrange(1, 40)
            high = rnd.choice((low, low, low + rnd.randrange(30)))
            words += [port, f"{low}-{high}" if high > low else str(low)]
            tests.append(lambda x, p=port, lo=low, hi=high: lo <= x[p] <= hi)
    family = rnd.choice(FAMILIES)
    for end in "local", "remote":
        if rnd.random() < 0.4:
            net = ipaddress.ip_network((an_address(rnd, family),
                                        rnd.choice(family[1])), strict=False)
            words += [end, str(net)]
            tests.append(lambda x, e=end, n=net: x[e] in n)
    if rnd.random() < 0.3:
        low = rnd.randrange(20)
        high = low + rnd.choice((0, 0, 5))
        words += ["uid", f"{low}-{high}"]
        tests.append(lambda x, lo=low, hi=high: lo <= x["uid"] <= hi)
    if rnd.random() < 0.3:
        way = rnd.choice(("in", "out"))
        words += ["dir", way]
        tests.append(lambda x, w=way: x["dir"] == w)
    if rnd.random() < 0.2:
        mask = rnd.randrange(1, 16)
        mark = rnd.randrange(16) & mask
        words += ["mark", f"{mark}/{mask}"]
        tests.append(lambda x, m=mark, k=mask: x["mark"] & k == m)
    if rnd.random() < 0.2:
        path = rnd.choice(cgroups)
        words += ["cgroup", path]
        tests.append(lambda x, p=path: (x["cgroup"] + "/").startswith(p + "/"))
    return words, tests


def test_index_agrees_with_a_scan():
    """A thousand random rules: the first that matches, whichever key it is
    found by."""
    seed = int(os.environ.get("KA_SEED", random.randrange(1 << 32)))
    print(f"# KA_SEED={seed}")
    rnd = random.Random(seed)
    with ka.Netns() as ns, ka.cgroup() as (upper, _), ka.cgroup() as (lower, _):
        table, lines = [], []
        for pref in sorted(rnd.sample(range(1, 32768), 1000)):
            words, tests = some_rule(rnd, (upper, lower))
            table.append((pref, tests))
            lines.append(f"rule add pref {pref} {' '.join(words)} keepalive on")
        # Those that match everything would hide what follows.
        keep = [i for i, (_, tests) in enumerate(table) if len(tests) > 1]
        ns.exec(ka.KACTL, "restore", input="\n".join(lines[i] for i in keep))
        table = [table[i] for i in keep]
        found = 0
        for _ in range(150):
            family = rnd.choice(FAMILIES)
            x = {"lport": rnd.randrange(1, 80), "rport": rnd.randrange(1, 80),
                 "local": an_address(rnd, family),
                 "remote": an_address(rnd, family),
                 "uid": rnd.randrange(30), "dir": rnd.choice(("in", "out")),
                 "mark": rnd.randrange(16), "cgroup": rnd.choice((upper, lower))}
            want = next((p for p, tests in table if all(t(x) for t in tests)),
                        None)
            found += want is not None
            got, = ns.kactl("rule", "test", *[str(w) for kv in x.items()
                                              for w in kv])
            assert got.get("pref") == want, (x, want, got)
        assert found > 30, found


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

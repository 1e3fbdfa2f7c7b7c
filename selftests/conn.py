#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""kactl conn: what it says of a connection, which ones it selects, in which
order, and how it ends."""

import json
import os
import resource
import signal
import socket
import struct
import subprocess

import ka

KEYS = ("netns netns_ino family local lport remote rport state status "
        "keepalive time intvl probes source user_timeout_ms idle_ms next_ms "
        "out sent answered lost rtt_us rtt_min_us uid inode rule").split()
V4, V6 = socket.AF_INET, socket.AF_INET6


def conns(ns, *args):
    return ns.kactl("conn", *args)


def ports(ns, *args):
    """The local ports that are listed, in the order in which they are."""
    return [c["lport"] for c in conns(ns, *args)]


def lport(sock):
    return sock.getsockname()[1]


def of(ns, sock, *args):
    """What is said of a socket."""
    found = [c for c in conns(ns, *args) if c["lport"] == lport(sock)]
    assert len(found) == 1, f"{lport(sock)}: {found}"
    return found[0]


def said(status, *args):
    """What kactl says on standard error when it ends with this status."""
    p = subprocess.run([ka.KACTL, *args], text=True, capture_output=True,
                       check=False)
    assert p.returncode == status, f"{args}: {p.returncode}: {p.stderr}"
    return p.stderr


def close(*socks):
    for sock in socks:
        sock.close()


def mapped(c, s):
    """An IPv6 socket of c that talks to an IPv4 one of s."""
    with s.inside(), socket.socket() as listener:
        listener.bind((ka.ADDR[V4][1], 7001))
        listener.listen(1)
        with c.inside():
            a = socket.socket(V6)
        a.connect(("::ffff:" + ka.ADDR[V4][1], 7001))
        return a, listener.accept()[0]


def test_keys():
    with ka.wire() as (c, s):
        for family, make in ((V4, lambda: ka.pair(c, s, V4)[0]),
                             (V6, lambda: ka.pair(c, s, V6)[0]),
                             (V4, lambda: mapped(c, s))):
            a, b = make()
            got = of(c, a)
            assert sorted(got) == sorted(KEYS), got
            want = {"netns": c.name,
                    "netns_ino": os.stat("/run/netns/" + c.name).st_ino,
                    "family": {V4: "inet", V6: "inet6"}[family],
                    "local": ka.ADDR[family][0], "lport": lport(a),
                    "remote": ka.ADDR[family][1],
                    "rport": lport(b),
                    "state": "ESTAB", "status": "unprotected",
                    "keepalive": False, "time": 7200, "intvl": 75,
                    "probes": 9, "source": "netns", "user_timeout_ms": 0,
                    "out": 0, "sent": 0, "answered": 0, "lost": 0,
                    "rtt_us": None, "rtt_min_us": None, "uid": 0,
                    "inode": os.fstat(a.fileno()).st_ino, "rule": None}
            wrong = {k: got[k] for k, v in want.items() if got[k] != v}
            assert not wrong, f"{wrong}, wanted {want}"
            close(a, b)


def test_own_values():
    with ka.wire() as (c, s):
        (a, b), = ka.pair(c, s)
        ka.keepalive(a, 600, 20, 5)
        a.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 5000)
        got = of(c, a)
        want = {"status": "alive", "keepalive": True, "time": 600, "intvl": 20,
                "probes": 5, "source": "program", "user_timeout_ms": 5000}
        wrong = {k: got[k] for k, v in want.items() if got[k] != v}
        assert not wrong, wrong
        # The timer wheel is coarse, and never early.
        assert 0 < got["next_ms"] <= 600000 * 9 / 8, got
        close(a, b)


def test_rule():
    """The rule that matches now, and what a rule gave."""
    with ka.wire() as (c, s):
        c.kactl("-q", "rule", "add", "pref", "7", "rport", "7000", "keepalive",
                "on", "time", "600")
        c.kactl("rule", "add", "pref", "9", "keepalive", "leave")
        (a, x), = ka.pair(c, s)
        (b, y), = ka.pair(c, s, port=7600)
        got = of(c, a)
        want = {"rule": 7, "keepalive": True, "time": 600, "source": "rule"}
        wrong = {k: got[k] for k, v in want.items() if got[k] != v}
        assert not wrong, wrong
        got = of(c, b)
        assert got["rule"] == 9 and not got["keepalive"], got
        assert got["source"] == "netns", got
        c.kactl("rule", "flush")
        assert of(c, a)["rule"] is None
        assert of(c, a)["source"] == "rule", of(c, a)
        c.kactl("rule", "add", "pref", "5", "lport", str(lport(a)), "time", "9")
        assert ports(c, "--sort", "rule")[0] == lport(a)
        close(a, b, x, y)


def test_probes():
    with ka.wire() as (c, s):
        (a, b), = ka.pair(c, s)
        ka.keepalive(a, 1, 1, 50)
        ka.poll("a sample", 20, lambda: of(c, a)["rtt_us"])
        got = of(c, a)
        assert got["answered"] >= 1 and got["lost"] == 0, got
        assert got["rtt_min_us"] <= got["rtt_us"], got
        s.drop("prerouting")
        ka.poll("two out", 20, lambda: of(c, a)["out"] >= 2)
        got = of(c, a, "status", "probing")
        assert got["sent"] == got["answered"] + got["out"], got
        assert got["lost"] == got["out"] - 1, got
        assert lport(a) not in ports(c, "status", "alive")
        close(a, b)


def test_state():
    with ka.wire() as (c, s):
        (a, b), = ka.pair(c, s)
        a.shutdown(socket.SHUT_WR)
        ka.poll("FIN-WAIT-2", 5, lambda: of(c, a)["state"] == "FIN-WAIT-2")
        assert conns(s)[0]["state"] == "CLOSE-WAIT", conns(s)
        close(a, b)


def test_status():
    with ka.wire() as (c, s):
        (a, x), (b, y) = ka.pair(c, s, n=2)
        ka.keepalive(a)
        assert ports(c, "status", "alive") == [lport(a)]
        assert ports(c, "status", "unprotected") == [lport(b)]
        assert ports(c, "status", "probing") == []
        close(a, b, x, y)


def test_filters():
    with ka.wire() as (c, s):
        (a, x), = ka.pair(c, s, V4)
        (b, y), = ka.pair(c, s, V6, port=7600)
        pa, pb = lport(a), lport(b)
        for args, want in (
                (("local", "10.9.0.1"), [pa]),
                (("local", "10.9.0.99/24"), [pa]),
                (("local", "10.8.0.0/24"), []),
                (("local", "fd09::/16"), [pb]),
                (("local", "0.0.0.0/0"), [pa]),
                (("local", "::/0"), [pb]),
                (("remote", "10.9.0.2/32"), [pa]),
                (("remote", "fd09::2"), [pb]),
                (("remote", "fd09::3"), []),
                (("lport", str(pa)), [pa]),
                (("lport", f"{pb}-{pb}"), [pb]),
                (("lport", "1-2"), []),
                (("rport", "7000"), [pa]),
                (("rport", "7001-65535"), [pb]),
                (("rport", "0-65535"), sorted([pa, pb])),
                (("rport", "7000", "remote", "fd09::2"), []),
                (("uid", "0"), sorted([pa, pb])),
                (("uid", "4711"), []),
                (("idle-min", "0"), sorted([pa, pb])),
                (("idle-min", "1000"), [])):
            got = sorted(ports(c, *args))
            assert got == want, f"{args}: {got}, not {want}"
        close(a, b, x, y)


def test_filter_uid():
    with ka.wire() as (c, s):
        (a, x), = ka.pair(c, s)
        # The socket belongs to who makes it: c's, and only that one.
        with s.inside(), socket.socket() as listener:
            listener.bind((ka.ADDR[V4][1], 7002))
            listener.listen(1)
            with c.inside():
                os.seteuid(4711)
                try:
                    b = socket.socket()
                finally:
                    os.seteuid(0)
            b.connect((ka.ADDR[V4][1], 7002))
            y, _ = listener.accept()
        assert ports(c, "uid", "4711") == [lport(b)]
        assert of(c, b)["uid"] == 4711
        close(a, b, x, y)


def test_filter_cgroup():
    with ka.wire() as (c, s):
        with ka.cgroup() as (path, leave):
            (a, x), = ka.pair(c, s)
            leave()
            (b, y), = ka.pair(c, s)
            assert ports(c, "cgroup", path) == [lport(a)]
            parent = os.path.dirname(path)
            assert sorted(ports(c, "cgroup", parent)) == \
                sorted([lport(a), lport(b)])
            close(a, b, x, y)


def test_processes():
    with ka.wire() as (c, s):
        (a, b), = ka.pair(c, s)
        child = subprocess.Popen(["sleep", "1000"], pass_fds=[a.fileno()])
        with open("/proc/self/comm", encoding="utf-8") as f:
            me = f.read().strip()
        want = sorted([(os.getpid(), me), (child.pid, "sleep")])
        ka.poll("sleep", 5, lambda: ["sleep" in p["comm"] for p in
                                     of(c, a, "--processes")["processes"]])
        got = of(c, a, "--processes")["processes"]
        assert sorted((p["pid"], p["comm"]) for p in got) == want, got
        text = ka.run(ka.KACTL, "-n", c.name, "conn", "--processes")
        for pid, comm in want:
            assert f"{comm}({pid})" in text, text
        nobody = ["setpriv", "--reuid", "65534", "--clear-groups"]
        p = subprocess.run(["ip", "netns", "exec", c.name, *nobody, ka.KACTL,
                            "-j", "conn", "--processes"], text=True,
                           capture_output=True, check=True)
        assert json.loads(p.stdout)[0]["processes"] == [], p.stdout
        assert p.stderr.count("not all processes") == 1, p.stderr
        child.kill()
        child.wait()
        # A socket that no program has open any more.
        s.drop("prerouting")
        port = lport(a)
        a.close()
        left = [x for x in conns(c, "--processes") if x["lport"] == port]
        assert left[0]["processes"] == [], left
        b.close()


def test_sort_and_limit():
    with ka.wire() as (c, s):
        socks = ka.pair(c, s, n=12) + ka.pair(c, s, V6, port=7600)
        mine = sorted(lport(a) for a, _ in socks)
        assert ports(c, "--sort", "lport") == mine
        assert ports(c, "--sort", "-lport") == mine[::-1]
        assert ports(c, "--sort", "lport", "--limit", "3") == mine[:3]
        assert len(conns(c, "--limit", "5")) == 5
        assert len(conns(c, "--limit", "500")) == 13
        assert [x["family"] for x in conns(c, "--sort", "local")] == \
            ["inet"] * 12 + ["inet6"]
        assert conns(c, "--sort", "-family")[0]["family"] == "inet6"
        # Those that have no such value come last, whichever the direction.
        one = socks[4][0]
        ka.keepalive(one, 100)
        for key in "next_ms", "-next_ms":
            got = conns(c, "--sort", key)
            assert got[0]["lport"] == lport(one), got
            assert got[1]["next_ms"] is None, got
        assert conns(c, "--sort", "time")[0]["lport"] == lport(one)
        assert conns(c, "--sort", "status")[0]["status"] == "alive"
        for pair in socks:
            close(*pair)


def test_text():
    with ka.wire() as (c, s):
        (a, x), = ka.pair(c, s, V4)
        (b, y), = ka.pair(c, s, V6, port=7600)
        ka.keepalive(a)
        lines = sorted(ka.run(ka.KACTL, "-n", c.name, "conn").splitlines())
        assert len(lines) == 2, lines
        assert lines[0].startswith(
            f"alive ESTAB 10.9.0.1:{lport(a)} 10.9.0.2:7000 keepalive on "
            "time 7200 intvl 75 probes 9 source netns "), lines
        assert lines[1].startswith(
            f"unprotected ESTAB [fd09::1]:{lport(b)} [fd09::2]:7600 "), lines
        assert "rtt_us" not in lines[0] and "rule" not in lines[0], lines
        # A heading for each namespace, and only where there are several.
        lines = ka.run(ka.KACTL, "-a", "conn", "rport", "7600").splitlines()
        ino = os.stat("/run/netns/" + c.name).st_ino
        at = lines.index(f"netns {c.name} netns_ino {ino}")
        assert "[fd09::2]:7600" in lines[at + 1], lines
        close(a, b, x, y)


def test_refused_by_the_kernel():
    with ka.Netns() as ns:
        for args, word in (
                (("local", "10.0.0.0/33"), "local 10.0.0.0/33: "),
                (("local", "10.0.0.0/129"), "0 to 32 bits"),
                (("local", "10.0.0.0/99999999999999999999"), "0 to 32 bits"),
                (("remote", "::1/129"), "remote ::1/129: "),
                (("remote", "::1/300"), "remote ::1/300: integer out of range (0 to 128 allowed)"),
                (("lport", "90-80"), "lport 90-80: "),
                (("rport", "7001-7000"), "rport 7001-7000: "),
                (("local", "10.0.0.1", "remote", "::1"), "remote ::1: "),
                (("rport", "80", "cgroup", "/ka-nope"), "cgroup /ka-nope: ")):
            got = said(1, "-n", ns.name, "conn", *args)
            assert got.startswith("kactl: conn: ") and word in got, got
            assert "Invalid argument" not in got, got
            assert got.count("\n") == 1, got


def test_interrupted():
    many, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with ka.wire() as (c, s):
        socks = ka.pair(c, s, n=600)
        for sig in signal.SIGINT, signal.SIGTERM:
            p = ka.stuck(c, "-j", "conn")
            p.send_signal(sig)
            out, err = p.communicate(timeout=20)
            assert p.returncode == -sig, p.returncode
            assert 0 < len(json.loads(out)) < 600, len(out)
            assert not err, err
        # In text there is nothing to close; a second one kills in any case.
        p = ka.stuck(c, "conn")
        p.send_signal(signal.SIGINT)
        assert p.wait(20) == -signal.SIGINT
        p = ka.stuck(c, "-j", "conn")
        p.send_signal(signal.SIGINT)
        ka.poll("noted", 10, lambda: caught(p.pid, signal.SIGINT) is False)
        p.send_signal(signal.SIGINT)
        assert p.wait(20) == -signal.SIGINT
        # A reader that has seen enough.
        for options in ["-j"], []:
            p = ka.stuck(c, *options, "conn")
            p.stdout.close()
            assert p.wait(20) == 1, p.returncode
            assert not p.stderr.read()
        for pair in socks:
            close(*pair)
    resource.setrlimit(resource.RLIMIT_NOFILE, (many, hard))


def caught(pid, sig):
    """Does the process have a handler for the signal?"""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        mask, = [int(l.split()[1], 16) for l in f if l.startswith("SigCgt")]
    return bool(mask >> sig - 1 & 1)


def test_pretty_is_the_same():
    with ka.wire() as (c, s):
        socks = ka.pair(c, s, n=3)
        one, other = (json.loads(ka.run(
            ka.KACTL, "-n", c.name, options, "conn", "--sort", "lport",
            "--processes")) for options in ("-j", "-jp"))
        for x in one + other:
            x.pop("idle_ms")
        assert one == other, f"{one}\n{other}"
        for pair in socks:
            close(*pair)


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a command is busy with goes away meanwhile: a namespace, a cgroup, a
thousand connections. It ends as if that had happened before or after."""

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import tempfile
import time

import ka

CONNS = 600
# Holds connections within its namespace until its input ends.
HOLD = f"""import socket, sys
l = socket.create_server(("127.0.0.1", 0))
held = []
for _ in range({CONNS}):
    held += [socket.create_connection(l.getsockname()), l.accept()[0]]
print("ready", flush=True)
sys.stdin.read()
"""
# Opens and closes a thousand again and again.
CHURN = """import socket, struct
l = socket.create_server(("127.0.0.1", 0))
while True:
    held = []
    for _ in range(1000):
        held += [socket.create_connection(l.getsockname()), l.accept()[0]]
    for sock in held:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))
        sock.close()
"""
BUSY = (("apply",), ("apply", "--spread", "600"), ("apply", "--dry-run"),
        ("conn",), ("conn", "--processes"), ("rule",), ("stats",))


@contextlib.contextmanager
def python(ns, text, **kw):
    with subprocess.Popen(["ip", "netns", "exec", ns.name, "python3", "-c", text],
                          **kw) as p:
        try:
            yield p
        finally:
            p.kill()


@contextlib.contextmanager
def held(ns):
    """Connections that are overdue under a policy to come."""
    with python(ns, HOLD, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        p.stdout.readline()
        time.sleep(200)
        ns.kactl("policy", "set", "time", "100", "enforce", "on")
        ns.kactl("rule", "add", "rport", "1-60000", "keepalive", "on")
        yield p


def start(ns, *words):
    return subprocess.Popen([ka.KACTL, "-qn", ns.name, "-j", *words],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)


def is_inside(p, ns):
    """It has entered the namespace, or has ended."""
    try:
        return os.path.samefile(f"/proc/{p.pid}/ns/net", "/run/netns/" + ns.name)
    except OSError:
        return p.poll() is not None


def whole(p):
    """It came to a good end."""
    out, err = p.communicate(timeout=60)
    assert p.returncode == 0 and not err, (p.args, p.returncode, err)
    return json.loads(out)


def test_a_number_that_comes_again():
    """The counters of a namespace that has the number of one that is gone have
    not fallen."""
    def number(ns):
        return os.stat("/run/netns/" + ns.name).st_ino

    def shown(of, value):
        out.seek(0)
        return len(re.findall(rf"netns_ino +{of}\n(?:\w+ .*\n)*?conns_enforced +{value}\b", out.read()))

    def shows(of, value):
        before = shown(of, value)
        ka.poll(f"conns_enforced {value}", 20, lambda: shown(of, value) > before)

    def comes_again():
        # The number is the lowest again once all has gone that has one: so have a namespace's files in /proc.
        time.sleep(10)
        with ka.Netns() as ns:
            was = number(ns)
            ns.kactl("policy", "set", "enforce", "on")
            with python(ns, HOLD, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holds:
                holds.stdout.readline()
                shows(was, 2 * CONNS)
                # It shows the one right after the other.
                p.send_signal(signal.SIGSTOP)
        time.sleep(10)
        with ka.Netns() as ns:
            p.send_signal(signal.SIGCONT)
            if number(ns) != was:
                return False
            shows(was, 0)
            assert not shown(was, r"0 +-\d+"), "they fell"
            return True

    with tempfile.NamedTemporaryFile("r") as out, \
            subprocess.Popen([ka.KACTL, "-qa", "stats", "--all", "--watch", "0.5"], stdout=out.fileno()) as p:
        try:
            assert any(comes_again() for _ in range(10)), "its number did not come again"
        finally:
            # It may be stopped, and would not hear of an end.
            p.send_signal(signal.SIGCONT)
            p.send_signal(signal.SIGINT)
        assert p.wait() == 0


def test_a_namespace_is_deleted():
    """While the command runs it lives on, and then it is gone, be its
    connections to be probed ten minutes from now or not."""
    for words in BUSY:
        with ka.Netns() as other, ka.Netns() as ns:
            # It goes when its peer's namespace does.
            other.ip("link", "add", "peer", "type", "veth", "peer", "name",
                     "peer", "netns", ns.name)
            with held(ns) as holder, start(ns, *words) as p:
                ka.poll("it is inside", 10, lambda p=p, ns=ns: is_inside(p, ns))
                ka.run("ip", "netns", "del", ns.name)
                holder.stdin.close()
                got = whole(p)
            if words[0] == "apply":
                assert got[0]["overdue"] <= 2 * CONNS, got
            ka.poll(f"the namespace is gone after {words}", 60,
                    lambda o=other: "peer" not in o.ip("link"))


def test_namespaces_that_go_are_passed_over():
    """--all-netns goes on past them."""
    with ka.Netns() as stays:
        for words in ("apply",), ("conn",), ("rule",):
            with contextlib.ExitStack() as stack:
                names = [stack.enter_context(ka.Netns()).name for _ in range(8)]
                with subprocess.Popen([ka.KACTL, "-qaj", *words], text=True,
                                      stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE) as p:
                    for name in names:
                        ka.run("ip", "netns", "del", name)
                    out, err = p.communicate(timeout=60)
            got = json.loads(out)
            # One that had its name only is told of.
            assert p.returncode in (0, 1), (p.returncode, err)
            assert bool(err) == bool(p.returncode), err
            if words == ("apply",):
                assert stays.name in [x["netns"] for x in got], got


def test_a_cgroup_is_removed():
    """A filter and a rule by it: they match or they do not."""
    root = ka.cgroup_root()
    with ka.Netns() as ns, held(ns):
        for words in BUSY:
            path = "/ka-" + os.urandom(4).hex()
            os.mkdir(root + path)
            ns.kactl("rule", "add", "pref", "1", "cgroup", path, "time", "60")
            by = ("cgroup", path) if words[0] in ("apply", "conn") else ()
            with start(ns, *words, *by) as p:
                os.rmdir(root + path)
                out, err = p.communicate(timeout=60)
            # It was there when it was asked for, or it was not.
            if p.returncode:
                assert p.returncode == 1 and path in err, (words, err)
            else:
                json.loads(out)
            rule = ns.kactl("rule")[0]
            assert rule["cgroup"] == path and rule["cgroup_gone"], rule
            ns.kactl("rule", "del", "pref", "1")


def test_a_thousand_connections_come_and_go():
    with ka.Netns() as ns, held(ns), python(ns, CHURN):
        for spread in "0", "5", "600":
            got = [whole(start(ns, "apply", "--spread", spread))[0]
                   for _ in range(4)]
            for x in got:
                # Both ends of those that last are met each time.
                assert x["seen"] >= 2 * CONNS, x
                assert x["seen"] >= x["matched"] >= x["changed"], x
                assert x["matched"] >= x["changed"] + sum(x["skipped"].values())
        conns = [x for x in ns.kactl("conn") if x["state"] == "ESTAB"]
        assert len(conns) >= 2 * CONNS, len(conns)
        assert all(x["keepalive"] for x in conns), conns


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

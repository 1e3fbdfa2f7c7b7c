#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Whatever the module asks the kernel for fails once: the first thing that a
command needs, then the second, and so on until it needs no more. What is
refused has changed nothing, what is done is done whole, and nothing leaks."""

import contextlib
import lzma
import os
import re
import socket
import subprocess
import tempfile
import time

import ka
import monitor

HERE = os.path.dirname(os.path.abspath(__file__))
MODULE = HERE + "/nomem/fault.ko"
PARAMETERS = "/sys/module/fault/parameters/"

# The module's undefined symbols that can fail for want of memory, by what they
# return then.
FAIL = {"null": r"alloc|kmemdup|kstrdup|get_free_page",
        "error": r"^(register_|genl_register|__?class_register|device_add|"
                 r"dev_set_name|tracepoint_probe_register)"}

POLICY = "policy set time 100 intvl 20 probes 4 enforce on inherit on\n"


def undefined():
    """Names of what the module takes from the kernel."""
    path = ka.run("modinfo", "-n", "tcp_keepalive").strip()
    with contextlib.ExitStack() as stack:
        if path.endswith(".xz"):
            f = stack.enter_context(tempfile.NamedTemporaryFile())
            with lzma.open(path) as packed:
                f.write(packed.read())
            f.flush()
            path = f.name
        return [line.split()[1] for line in ka.run("nm", "-u", path).splitlines()]


def traceable():
    with open("/sys/kernel/tracing/available_filter_functions",
              encoding="ascii") as f:
        return {line.split()[0] for line in f}


def unload():
    def gone():
        subprocess.run(["rmmod", "tcp_keepalive"], capture_output=True,
                       check=False)
        return not os.path.exists("/sys/module/tcp_keepalive")
    ka.poll("unloaded", 10, gone)


@contextlib.contextmanager
def faults():
    """What makes them is there for the length of the block; the module is
    loaded after it."""
    if not os.path.exists(MODULE):
        raise ka.Skip("fault.ko is not built")
    there, symbols = traceable(), undefined()
    words = []
    for kind, pattern in FAIL.items():
        names = [s for s in symbols if re.search(pattern, s) and s in there]
        assert names, f"the module calls nothing like {pattern}"
        words.append(kind + "=" + ",".join(names))
    unload()
    ka.run("insmod", MODULE, *words)
    try:
        ka.run("modprobe", "tcp_keepalive")
        yield
    finally:
        unload()
        ka.run("rmmod", "fault")
        ka.run("modprobe", "tcp_keepalive")


def parameter(name, value=None):
    with open(PARAMETERS + name, "r" if value is None else "w",
              encoding="ascii") as f:
        if value is None:
            return f.read().strip()
        return f.write(value)


def fail(task, nth, only):
    parameter("task", task)
    parameter("only", "Y" if only else "N")
    parameter("nth", str(nth))


def each_step(task, *command, at_least, **kw):
    """Run the command, named task, failing at each of its steps, alone and with
    all that come after it: the process that ended, and whether anything
    failed. The last time of each nothing does."""
    for only in True, False:
        failed, nth = True, 0
        while failed:
            nth += 1
            fail(task, nth, only)
            p = subprocess.run(command, text=True, capture_output=True,
                               check=False, **kw)
            failed = parameter("failed") != "0"
            parameter("nth", "0")
            assert failed or p.returncode == 0, p
            yield p, failed
        assert nth > at_least, f"{command} has only {nth - 1} steps"


def refused(p):
    """In one line that says why."""
    assert p.returncode == 1, p
    assert p.stderr.count("\n") == 1, p
    assert "Cannot allocate memory" in p.stderr, p


def save(ns):
    return ka.run(ka.KACTL, "-n", ns.name, "save")


def restore(ns, text):
    ka.run(ka.KACTL, "-qn", ns.name, "restore", input=text)


def rules(path, n):
    """Rules of every kind."""
    kinds = ("dir out remote 10.0.0.0/8 rport 5432 keepalive on time 60",
             "local fd00::/8 lport 1000-2000 keepalive off",
             f"cgroup {path} keepalive on probes 2..5",
             "uid 100-200 mark 1/3 time 300 override",
             "dir in intvl 7 user-timeout 900000")
    return "".join(f"rule add {kinds[i % len(kinds)]}\n" for i in range(n))


def test_changes():
    """The old or the new."""
    with faults(), ka.Netns() as ns, ka.cgroup() as (path, _):
        restore(ns, POLICY + rules(path, 6))
        old = save(ns)
        for words, at_least, given in (
                (f"rule add cgroup {path} rport 1-9 time 9", 7, None),
                ("rule replace pref 20 uid 5 local 10.0.0.1 time 60", 6, None),
                ("rule del pref 30", 4, None),
                ("rule flush", 0, None),
                ("policy set time 50 enforce off", 1, None),
                ("policy reset", 1, None),
                ("restore", 0, "# nothing\n"),
                ("restore", 30, "policy set probes 3\n" + rules(path, 12))):
            ka.run(ka.KACTL, "-qn", ns.name, *words.split(), input=given)
            new = save(ns)
            assert new != old, words
            restore(ns, old)
            for p, failed in each_step(
                    "kactl", ka.KACTL, "-qn", ns.name, *words.split(),
                    at_least=at_least, input=given):
                now = save(ns)
                if p.returncode:
                    refused(p)
                    assert now == old, f"{words}: {now}, not {old}"
                    continue
                assert not failed, f"{words}: {p}"
                assert now == new, f"{words}: {now}, not {new}"
                restore(ns, old)


def test_replies():
    """What is shown is whole or refused."""
    with faults(), ka.Netns() as ns, ka.cgroup() as (path, _):
        restore(ns, POLICY + rules(path, 6))
        for words, at_least in (
                ("policy", 1), ("stats", 1), ("rule", 0), ("save", 1),
                ("rule test dir out remote 10.0.0.1", 2),
                (f"rule test cgroup {path}", 3),
                (f"conn cgroup {path} uid 0", 2),
                (f"apply --dry-run cgroup {path}", 2)):
            whole = ka.run(ka.KACTL, "-qn", ns.name, *words.split())
            for p, failed in each_step("kactl", ka.KACTL, "-qn", ns.name,
                                       *words.split(), at_least=at_least):
                if p.returncode:
                    refused(p)
                else:
                    assert not failed and p.stdout == whole, p


def test_events():
    """A change takes place, be there memory to tell of it or not; a listener
    hears that he missed something."""
    with faults(), ka.Netns() as ns, ka.cgroup() as (path, _):
        old, new = POLICY + rules(path, 3), rules(path, 2)
        restore(ns, old)
        old = save(ns)
        done = 0
        with monitor.monitor(ns, "policy", "--timeout", "600") as p:
            for tried, failed in each_step("kactl", ka.KACTL, "-qn", ns.name,
                                           "restore", at_least=12, input=new):
                if tried.returncode:
                    refused(tried)
                    assert save(ns) == old
                    continue
                done += failed
                assert save(ns).count("\nrule add ") == 2
                restore(ns, old)
            p.terminate()
            said, warned = p.communicate()
        # 3 went and 2 came, and each of these events was lost once at least.
        assert done >= 2 * 5, done
        assert said and "lost" in warned, warned


def test_namespaces():
    """One that is made under inherit has all of its maker's, or is not made."""
    with faults(), ka.Netns() as ns, ka.cgroup() as (path, _):
        restore(ns, POLICY + rules(path, 5))
        want = save(ns)
        for p, failed in each_step("unshare", "ip", "netns", "exec", ns.name,
                                   "unshare", "-n", ka.KACTL, "save",
                                   at_least=20):
            if failed:
                refused(p)
            else:
                assert p.stdout == want, p
        assert save(ns) == want


def connection():
    with socket.create_server(("127.0.0.1", 0)) as l, \
            socket.create_connection(l.getsockname()) as a:
        l.accept()[0].close()
        return a.recv(1)


def test_loading():
    """It loads, or leaves nothing behind."""
    names = [f"/proc/sys/net/ipv4/tcp_keepalive_{k}" for k in
             ("time", "intvl", "probes")]

    def sysctls():
        values = []
        for name in names:
            with open(name, encoding="ascii") as f:
                values.append(f.read())
        return values

    with faults():
        unload()
        before = sysctls()
        for p, failed in each_step("modprobe", "modprobe", "tcp_keepalive",
                                   "time=60", "enforce=1", at_least=15):
            if p.returncode:
                assert "Cannot allocate memory" in p.stderr, p
                assert not os.path.exists("/sys/module/tcp_keepalive")
                assert not os.path.exists("/sys/class/tcp_keepalive")
                assert sysctls() == before
            else:
                # Without its reserve it loads too.
                assert sysctls()[0] == "60\n", failed
                unload()
            connection()
        assert sysctls() == before
        ka.run("modprobe", "tcp_keepalive")


def test_apply():
    """What has no memory to wait for its turn with is probed all the same."""
    n = 5

    def overdue(c):
        restore(c, "policy set enforce on\n")
        c.kactl("apply")
        time.sleep(100)
        restore(c, "policy set time 20 enforce on\n")
        return c.mib()

    with faults(), ka.wire() as (c, s):
        socks = ka.pair(c, s, n=n)
        before = overdue(c)
        unpaced = 0
        for p, failed in each_step("kactl", ka.KACTL, "-qn", c.name, "apply",
                                   "rport", "7000", "--spread", "5",
                                   at_least=2):
            if p.returncode:
                refused(p)
                assert c.mib() == before
                continue
            unpaced += failed
            ka.poll("probes of all", 8, lambda b=before: c.mib() >= b + n)
            before = overdue(c)
        assert unpaced >= 2, unpaced
        for a, b in socks:
            a.close()
            b.close()


def unreclaimable():
    """Kilobytes of slabs and of pages for tables, once what is freed is."""
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("3\n")
    time.sleep(2)
    with open("/proc/meminfo", encoding="ascii") as f:
        m = {line.split(":")[0]: int(line.split()[1]) for line in f}
    return m["SUnreclaim"] + m["VmallocUsed"]


def test_nothing_leaks():
    """The last step of a big change fails again and again."""
    n, times = 500, 20
    with faults(), ka.Netns() as ns, ka.cgroup() as (path, _):
        text = rules(path, n)
        fail("kactl", 1 << 30, True)
        restore(ns, text)
        steps = int(parameter("made"))
        parameter("nth", "0")
        assert steps > 2 * n, steps
        ka.run(ka.KACTL, "-n", ns.name, "rule", "flush")
        before = unreclaimable()
        for _ in range(times):
            fail("kactl", steps, True)
            p = subprocess.run([ka.KACTL, "-qn", ns.name, "restore"],
                               input=text, text=True, capture_output=True,
                               check=False)
            parameter("nth", "0")
            refused(p)
            assert not ns.kactl("rule")
        grown = unreclaimable() - before
        # A rule takes some 400 bytes.
        assert grown < n * times * 0.4 / 4, f"{grown} kB more"


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Whatever the module asks the kernel for fails once: the first thing that a
command needs, then the second, and so on until it needs no more; and so do the
messages that it sends. What is refused has changed nothing, what is done is done
whole, and nothing leaks. In the end each call of the module's object file that can
fail has failed."""

import contextlib
import os
import re
import socket
import struct
import subprocess
import sys
import time

import ka
import monitor

HERE = os.path.dirname(os.path.abspath(__file__))
MODULE = HERE + "/nomem/fault.ko"
PARAMETERS = "/sys/module/fault/parameters/"

# The module's undefined symbols that can fail for want of memory, by what they
# return then; and those that send. Tracers' own are none: ftrace does not see them.
FAIL = {"null": r"^(?!perf_trace_|.*_caches$).*(alloc|memdup|strdup|get_free_page|kasprintf)",
        "error": r"^(register_(?!ftrace)|genl_register|__?class_register|device_add|"
                 r"dev_set_name|tracepoint_probe_register|cgroup_get_from_path)",
        "send": r"^netlink_(unicast|broadcast)"}

# Where something has failed, in all tests.
failed_at = set()

POLICY = "policy set time 100 intvl 20 probes 4 enforce on inherit on\n"


def undefined():
    """Names of what the module takes from the kernel."""
    with ka.module_file() as path:
        return [line.split()[1] for line in ka.run("nm", "-u", path).splitlines()]


def fails(symbol):
    return any(re.search(pattern, symbol) for pattern in FAIL.values())


def family():
    """The netlink family's number: see struct genlmsghdr, CTRL_CMD_GETFAMILY."""
    name = b"tcp_keepalive\0"
    attr = struct.pack("HH", 4 + len(name), 2) + name.ljust(16, b"\0")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as sock:
        sock.bind((0, 0))
        sock.send(struct.pack("IHHIIBBH", 20 + len(attr), 16, 1, 0, 0, 3, 1, 0) +
                  attr)
        reply = sock.recv(65536)
    at = 20
    while at < len(reply):
        size, kind = struct.unpack_from("HH", reply, at)
        if kind == 1:
            return struct.unpack_from("H", reply, at + 4)[0]
        at += (size + 3) & ~3
    raise AssertionError("no family")


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
        names = [s for s in symbols if re.search(pattern, s)]
        assert names, f"the module calls nothing like {pattern}"
        assert there.issuperset(names), f"cannot fail: {set(names) - there}"
        words.append(kind + "=" + ",".join(names))
    unload()
    ka.run("insmod", MODULE, *words)
    try:
        ka.run("modprobe", "tcp_keepalive")
        parameter("family", str(family()))
        yield
    finally:
        parameter("nth", "0")
        failed_at.update(parameter("sites").split())
        unload()
        ka.run("rmmod", "fault")
        ka.run("modprobe", "tcp_keepalive")


def parameter(name, value=None):
    with open(PARAMETERS + name, "r" if value is None else "w",
              encoding="ascii") as f:
        if value is None:
            return f.read().strip()
        return f.write(value)


def fail(task, nth, only, sends=False):
    parameter("task", task)
    parameter("sends", "Y" if sends else "N")
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
    assert "Cannot allocate memory" in p.stderr or \
        "No buffer space available" in p.stderr, p


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
            for p, _ in each_step(
                    "kactl", ka.KACTL, "-qn", ns.name, *words.split(),
                    at_least=at_least, input=given):
                now = save(ns)
                if p.returncode:
                    refused(p)
                    assert now == old, f"{words}: {now}, not {old}"
                    continue
                # At the most the answer did not come.
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


def lose(c, s, socks):
    """A probe of each is lost, two maybe; without asking the module."""
    before = c.mib()
    s.drop("prerouting")
    for a, _ in socks:
        ka.keepalive(a, 1, 2, 9)
    ka.poll("loss", 30, lambda: c.mib() >= before + 2 * len(socks))
    time.sleep(1)       # events are sent by a worker
    s.undrop()
    for a, _ in socks:
        ka.keepalive(a, 600)


def test_hooks():
    """Without memory probes are counted all the same, by records in reserve, and
    events are lost, which shows."""
    with faults(), ka.wire() as (c, s):
        socks = ka.pair(c, s, n=3)
        heard, gone = 0, 0
        with monitor.monitor(c, "lost", "--timeout", "600") as p:
            for sends in False, True:
                before = c.stats()["probes_lost"]
                fail("*", 1, False, sends)
                lose(c, s, socks)
                made, failed = parameter("made"), parameter("failed")
                parameter("nth", "0")
                assert made == failed != "0", (made, failed)
                between = c.stats()["probes_lost"]
                lose(c, s, socks)
                gone += between - before
                heard += c.stats()["probes_lost"] - between
            p.terminate()
            said, warned = p.communicate()
        ka.expect(c, probes_unseen=0)
        assert len(said.splitlines()) == heard > 0, (said, heard)
        assert gone > 0 and "lost" in warned, (gone, warned)
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


def calls(text):
    """What objdump -dr shows: [(function, offset behind it, instruction, callee)]."""
    found, function, start, last = [], None, 0, None
    for line in text.splitlines():
        if m := re.match(r"([0-9a-f]+) <(\S+)>:$", line):
            start, function, last = int(m[1], 16), m[2], None
        elif m := re.match(r"\s+([0-9a-f]+): R_\S+\s+(\S+)-0x4$", line):
            if last:
                last = None
                found[-1][3] = m[2]
        elif m := re.match(r"\s+([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*\t(call|j\w+?)q?\s+"
                           r"[0-9a-f]+ <([^+>]+)(\+\S+)?>", line):
            last = m
            behind = int(m[1], 16) + len(m[2].split()) - start
            found.append([function, behind, m[3], m[4] if not m[5] else None])
    return found


def test_every_call_has_failed():
    """Of those that can, as the module's object file has them."""
    if len(sys.argv) > 1:
        raise ka.Skip("not all tests were run")
    with ka.module_file() as path:
        found = calls(ka.run("objdump", "-dr", path))
    kernels = set(undefined())

    def places(function, seen):
        """Where it may be that seems to call what a function ends with."""
        at = set()
        for f, behind, how, callee in found:
            if callee != function or f in seen:
                continue
            at |= {f"{f}+{behind:#x}"} if how == "call" else \
                places(f, seen | {f})
        return at

    want, missing = 0, []
    for function, behind, how, callee in found:
        if callee not in kernels or not fails(callee):
            continue
        at = {f"{function}+{behind:#x}"} if how == "call" else \
            places(function, {function}) | {callee + "+0x0"}
        want += 1
        if not {a.replace("init_module+", "main_init+") for a in at} & \
                {a.replace("init_module+", "main_init+") for a in failed_at}:
            missing.append(f"{callee} in {function}")
    print(f"# {want - len(missing)} of {want} calls", flush=True)
    assert want > 30 and not missing, missing


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

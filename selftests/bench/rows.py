# SPDX-License-Identifier: GPL-2.0
"""The rows of the table: their figures, the states of the machine that these are
measured in, and their limits. See README."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections import namedtuple

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import ka       # noqa: E402
import loadbpf  # noqa: E402

MODULE = "tcp_keepalive"
SYSFS = "/sys/class/tcp_keepalive/netns/"
PEER = "peer.bpf.o"
TURN_ON = "/tmp/turn-on"


def unload():
    if os.path.exists("/sys/module/" + MODULE):
        ka.poll("unloaded", 10, lambda: not subprocess.run(
            ["rmmod", MODULE], stderr=subprocess.DEVNULL, check=False).returncode)


@contextlib.contextmanager
def nothing():
    unload()
    yield


@contextlib.contextmanager
def loaded():
    unload()
    ka.run("modprobe", MODULE)
    try:
        yield
    finally:
        unload()


@contextlib.contextmanager
def enforcing():
    with loaded():
        ka.run(ka.KACTL, "policy", "set", "enforce", "on")
        yield


def rules(n):
    """A state with n rules, none of which matches."""
    @contextlib.contextmanager
    def state():
        with loaded():
            ka.run(ka.KACTL, "-q", "restore", input="".join(
                f"rule add remote 192.0.{i // 250}.{i % 250} rport {1000 + i} "
                "keepalive on\n" for i in range(n)))
            yield
    return state


def protected(turn_on=lambda: None):
    """Does a new connection over loopback get keepalive on both ends?"""
    with socket.create_server(("127.0.0.1", 0)) as listener, \
            socket.create_connection(listener.getsockname()) as a, listener.accept()[0] as b:
        turn_on()
        return all(end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) for end in (a, b))


@contextlib.contextmanager
def sockops():
    """BPF that turns keepalive on where a connection becomes established."""
    unload()
    with loadbpf.loaded(PEER) as folder:
        where = [ka.cgroup_root(), "sock_ops", "pinned", folder + "/progs/established"]
        ka.run("bpftool", "cgroup", "attach", *where)
        try:
            assert protected()
            yield
        finally:
            ka.run("bpftool", "cgroup", "detach", *where)


@contextlib.contextmanager
def counter():
    """BPF that counts the probes."""
    unload()
    with loadbpf.loaded(PEER) as folder:
        fd = loadbpf.attach(folder + "/progs/probe_sent")
        try:
            yield
            counted = json.loads(ka.run("bpftool", "-j", "map", "dump", "pinned",
                                        folder + "/probes"))
            assert any(value["value"] for value in counted[0]["formatted"]["values"])
        finally:
            os.close(fd)


@contextlib.contextmanager
def iterator():
    """BPF that turns keepalive on on each TCP socket, when TURN_ON is read."""
    unload()
    with loadbpf.loaded(PEER) as folder:
        loadbpf.iterator(folder + "/progs/turn_on", folder + "/turn_on")
        os.symlink(folder + "/turn_on", TURN_ON)
        try:
            assert protected(lambda: ka.run("cat", TURN_ON))
            yield
        finally:
            os.unlink(TURN_ON)


# In the order in which each repeat goes through them.
STATES = {
    "nothing loaded": nothing,
    "loaded": loaded,
    "enforcing": enforcing,
    "16 rules": rules(16),
    "64 rules": rules(64),
    "256 rules": rules(256),
    "1024 rules": rules(1024),
    "BPF sockops": sockops,
    "BPF counter": counter,
    "BPF iterator": iterator,
}

# Those in which new connections are enforced, and those without the module.
ENFORCING = {"enforcing"}
WITHOUT = {"nothing loaded", "BPF sockops", "BPF counter", "BPF iterator"}

# What a figure may be: in per cent of the row's first more than that, more than
# that by so much, or so much.
Limit = namedtuple("Limit", "kind value")
# command: cost's arguments, or a function; in a row's figures of one state those
# of "each" with the same number of sockets are measured together.
Figure = namedtuple("Figure", "name state command limit", defaults=[None])
Row = namedtuple("Row", "name figures unit", defaults=["instructions"])


def percent(value):
    return Limit("percent", value)


def more(value):
    return Limit("more", value)


def most(value):
    return Limit("most", value)


def by_state(name, command, unit="instructions", **limits):
    """A row with the same command in several states, nothing loaded first."""
    return Row(name, [Figure(state, state, command, limit) for state, limit in
                      ({"nothing loaded": None} | limits).items()], unit)


def each(n, *command):
    return ("each", str(n), *command)


# At least eight times fewer.
EIGHTH = percent(-87.5)
SOCKETS = (2000, 20000, 200000)
# The module turns it on, finds it on, and turns it off again.
ENFORCE = (ka.KACTL, "-q", "policy", "set", "enforce")
APPLY = (ka.KACTL, "-q", "apply")


def dump(n):
    """The figures of n sockets."""
    return [
        Row(f"each of {n} sockets: shown", [
            Figure("ss -tnoi", "loaded", each(n, "ss", "-tnoi")),
            Figure("ss -tno", "loaded", each(n, "ss", "-tno")),
            Figure("kactl conn", "loaded", each(n, ka.KACTL, "conn"), EIGHTH),
            Figure("kactl -j conn", "loaded", each(n, ka.KACTL, "-j", "conn"), EIGHTH)]),
        Row(f"each of {n} sockets: turned on", [
            Figure("BPF iterator", "BPF iterator", each(n, "cat", TURN_ON)),
            Figure(None, "loaded", each(n, *ENFORCE, "on")),
            Figure("kactl apply", "loaded", each(n, *APPLY), most(1200)),
            Figure("apply again", "loaded", each(n, *APPLY, "--spread", "1"), most(1200)),
            Figure(None, "loaded", each(n, *ENFORCE, "off"))]),
    ]


def linear(name, *command):
    """The same figures beside each other."""
    return Row(name + ", by sockets", [
        Figure(f"{n:,}", "loaded", each(n, *command), percent(10) if n > 2000 else None)
        for n in SOCKETS])


def sections():
    """Bytes of the module's text and data in memory, page borders aside."""
    with ka.module_file() as path:
        lines = [line.split() for line in ka.run("size", "-A", path).splitlines()]
    return sum(int(line[1]) for line in lines if line and line[0].startswith(
        (".text", ".rodata", ".data", ".bss", ".ref.data")))


def core_size():
    """All that it takes of the module area."""
    with open(f"/sys/module/{MODULE}/coresize", encoding="ascii") as f:
        return int(f.read())


def event_unheard():
    """What an event costs where nobody listens: see event/event.c."""
    probing = subprocess.Popen([HERE + "/cost", "lost", "10", "10", "true"],
                               stdout=subprocess.DEVNULL)
    ka.run("insmod", HERE + "/event/event.ko")
    with open("/sys/module/event/parameters/cost", encoding="ascii") as f:
        cost = int(f.read())
    ka.run("rmmod", "event")
    probing.wait()
    return cost


SEGMENTS = {"loaded": percent(0.05), "enforcing": percent(0.05), "BPF sockops": None}
PROBE = {"loaded": percent(15), "BPF counter": None}

ROWS = [
    by_state("1 byte there and 1 back", ("pingpong",), **SEGMENTS),
    by_state("1 byte, with 1,000 records", ("pingpong", "1000"), **SEGMENTS),
    by_state("64 KiB in one direction", ("bulk",), **SEGMENTS),
    by_state("64 KiB, with 1,000 records", ("bulk", "1000"), **SEGMENTS),
    by_state("connect + accept + close", ("connect",), **{
        "loaded": percent(0.3), "enforcing": percent(1.5),
        "16 rules": percent(2), "64 rules": percent(2),
        "256 rules": percent(10), "1024 rules": percent(10), "BPF sockops": None}),
    # CONNECTIONS SECONDS
    by_state("probe + answer, 1000 a second", ("probe", "1000", "20"), **PROBE),
    by_state("probe + answer, 100 a second", ("probe", "100", "200"), **PROBE),
    by_state("probe + answer, 10 a second", ("probe", "10", "1000"), **PROBE),
    Row("one event", [
        Figure("nobody listens", "loaded", event_unheard, most(50)),
        Figure("kactl monitor", "loaded", ("lost", "100", "50", ka.KACTL, "monitor", "lost"))]),
    by_state("a namespace made and deleted", ("netns",), loaded=percent(5)),
    Row("statistics, whole process", [
        Figure("nstat -az", "loaded", ("exec", "nstat", "-az")),
        Figure("kactl stats", "loaded", ("exec", ka.KACTL, "stats"), percent(0))]),
    *(row for n in SOCKETS for row in dump(n)),
    linear("kactl conn", ka.KACTL, "conn"),
    linear("kactl -j conn", ka.KACTL, "-j", "conn"),
    linear("kactl apply", *APPLY),
    # What the allocator has aside blurs it by some bytes.
    by_state("memory of a socket", ("memory", "socket", "20000"), "bytes", enforcing=more(16)),
    by_state("memory of being probed", ("memory", "record", "10000"), "bytes", loaded=more(192)),
    by_state("memory of a namespace", ("memory", "netns", "200"), "bytes", loaded=more(8192)),
    Row("memory of the module", [
        Figure("text and data", "loaded", sections, most(65536)),
        Figure("and all else", "loaded", core_size)], "bytes"),
]

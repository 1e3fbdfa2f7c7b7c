#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Trace events: one for each thing that statistics count, through tracefs, and
as perf, trace-cmd and bpftrace see them."""

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile

import ka
from probe import BOTH, dead

TRACEFS = "/sys/kernel/tracing"
COUNTED = {"probe_sent": "probes_sent", "probe_answered": "probes_answered",
           "probe_lost": "probes_lost", "conn_dead": "conns_dead"}
FIELDS = {"probe_sent": {"out"}, "probe_answered": {"rtt_us", "lost"},
          "probe_lost": {"lost"}, "conn_dead": {"lost", "idle_ms"}}


def life(family):
    """A connection answers two probes, loses one, recovers and dies: its two
    ends and the statistics of its namespace."""
    with ka.wire() as (c, s):
        (a, b), = ka.pair(c, s, family)
        ends = [name[:2] for name in (a.getsockname(), a.getpeername())]
        ka.keepalive(a, 2, 2, 3)
        ka.poll("two probes", 10, lambda: c.mib() == 2)
        ka.expect(c, probes_answered=2)
        s.drop("prerouting")
        ka.poll("one unanswered", 10, lambda: ka.tcp_info(a)[1] == 1)
        s.undrop()
        ka.poll("an answer", 10, lambda: ka.tcp_info(a)[1] == 0)
        ka.expect(c, conns_recovered=1)
        s.drop("prerouting")
        assert dead(a, 30) == "ETIMEDOUT"
        st = ka.expect(c, conns_dead=1, probes_pending=0)
        a.close()
        b.close()
        return ends, st


def tracefs():
    if not os.path.exists(TRACEFS + "/events"):
        try:
            ka.run("mount", "-t", "tracefs", "tracefs", TRACEFS)
        except AssertionError as e:
            raise ka.Skip("no tracefs in this kernel") from e


def write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


@contextlib.contextmanager
def instance():
    """A trace buffer of its own with our events on."""
    tracefs()
    path = f"{TRACEFS}/instances/ka-{secrets.token_hex(4)}"
    os.mkdir(path)
    try:
        write(path + "/events/tcp_keepalive/enable", "1")
        yield path
        write(path + "/events/tcp_keepalive/enable", "0")
    finally:
        os.rmdir(path)


def events(text, ino):
    """[(event, {field: text})] of a namespace in what tracefs, perf or
    trace-cmd print."""
    found = []
    for name, line in re.findall(r"(\w+):\s+(netns=.*)", text):
        fields = dict(word.split("=", 1) for word in line.split())
        if int(fields["netns"]) == ino:
            found.append((name, fields))
    return found


def agree(found, st):
    """As many of each event as was counted."""
    for event, counter in COUNTED.items():
        got = sum(name == event for name, _ in found)
        assert got == st[counter], f"{got} x {event}, {counter} {st[counter]}"


def test_fields():
    tracefs()
    for event, fields in FIELDS.items():
        with open(f"{TRACEFS}/events/tcp_keepalive/{event}/format",
                  encoding="ascii") as f:
            got = set(re.findall(r"field:.* (\w+)[\[;]", f.read()))
        want = fields | {"netns_ino", "family", "lport", "rport", "local",
                         "remote"}
        assert want <= got, f"{event}: {want - got} missing"


def test_each_thing_counted_has_its_event():
    # An instance for each: a namespace gone, its number may come again.
    for family in BOTH:
        with instance() as path:
            ends, st = life(family)
            with open(path + "/trace", encoding="ascii") as f:
                found = events(f.read(), st["netns_ino"])
            agree(found, st)
            host = "%s:%s" if family == socket.AF_INET else "[%s]:%s"
            for _, fields in found:
                assert [fields["local"], fields["remote"]] == \
                    [host % end for end in ends], fields
            told = [(name, *(f.get(k) for k in ("out", "lost")))
                    for name, f in found]
            # What is lost is told when the next is due, thus before that.
            assert told == [
                ("probe_sent", "0", None), ("probe_answered", None, "0"),
                ("probe_sent", "0", None), ("probe_answered", None, "0"),
                ("probe_sent", "0", None), ("probe_lost", None, "1"),
                ("probe_sent", "1", None), ("probe_answered", None, "1"),
                ("probe_sent", "0", None), ("probe_lost", None, "1"),
                ("probe_sent", "1", None), ("probe_lost", None, "2"),
                ("probe_sent", "2", None), ("probe_lost", None, "3"),
                ("conn_dead", None, "3")], told
            # The first answer may bring another window than the SYN had; of
            # the last, nobody knows which of two probes it answers.
            rtts = [int(f["rtt_us"]) for name, f in found
                    if name == "probe_answered"]
            assert 0 <= rtts[1] < 100_000 and rtts[2] == -1, found
            assert sum(rtt >= 0 for rtt in rtts) == \
                sum(bucket["count"] for bucket in st["rtt_us"]), (rtts, st)
            # 2 s idle, then three times 2 s; the timer wheel is late.
            assert 8000 <= int(found[-1][1]["idle_ms"]) <= 9200, found[-1]


def test_nothing_when_off():
    with instance() as path:
        write(path + "/events/tcp_keepalive/enable", "0")
        _, st = life(socket.AF_INET)
        with open(path + "/trace", encoding="ascii") as f:
            assert not events(f.read(), st["netns_ino"])


def under(tool, *args):
    """A life inside a tool that traces for as long as a command runs: what the
    tool said, and the statistics."""
    if not shutil.which(tool):
        raise ka.Skip("no " + tool)
    tracefs()
    with tempfile.TemporaryDirectory() as tmp:
        said = ka.run(tool, *args, sys.executable, os.path.abspath(__file__),
                      "life", tmp + "/life", cwd=tmp)
        if tool == "perf":
            said = ka.run("perf", "script", "-i", "perf.data", cwd=tmp)
        elif tool == "trace-cmd":
            said = ka.run("trace-cmd", "report", cwd=tmp)
        with open(tmp + "/life", encoding="ascii") as f:
            return said, json.load(f)


def test_perf():
    said, st = under("perf", "record", "-q", "-a", "-o", "perf.data", "-e",
                     "tcp_keepalive:*")
    agree(events(said, st["netns_ino"]), st)


def test_trace_cmd():
    said, st = under("trace-cmd", "record", "-q", "-e", "tcp_keepalive")
    agree(events(said, st["netns_ino"]), st)


def test_bpftrace():
    if not shutil.which("bpftrace"):
        raise ka.Skip("no bpftrace")
    script = "".join("tracepoint:tcp_keepalive:%s { @%s[args->netns_ino] ="
                     " count(); } " % (event, event) for event in COUNTED)
    tracefs()
    with tempfile.TemporaryDirectory() as tmp:
        said = ka.run("bpftrace", "-e", script, "-c", " ".join(
            (sys.executable, os.path.abspath(__file__), "life", tmp + "/life")))
        with open(tmp + "/life", encoding="ascii") as f:
            st = json.load(f)
    for event, counter in COUNTED.items():
        got = re.search(rf"@{event}\[{st['netns_ino']}\]: (\d+)", said)
        assert got and int(got[1]) == st[counter], f"{event}: {said}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["life"]:
        with open(sys.argv[2], "w", encoding="ascii") as out:
            json.dump(life(socket.AF_INET)[1], out)
        sys.exit()
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

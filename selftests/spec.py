#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The YNL spec: the same as the header, and the kernel's own ynl command line
drives the module with it."""

import contextlib
import functools
import json
import os
import re
import socket
import subprocess

import ka

HERE = os.path.dirname(os.path.abspath(__file__))
SHARE = "/usr/local/share/tcp-keepalive/tcp_keepalive.yaml"
SPEC = os.environ.get("KA_SPEC", SHARE)
HEADER = os.path.join(HERE, "include/linux/tcp_keepalive.h")
TREE = os.environ.get("KA_YNL", "/usr/src/ynl")
SCHEMA = TREE + "/Documentation/netlink/genetlink-c.yaml"
# The kernel's command line with PyYAML's parser in C, if it has one: that in Python takes seconds, emulated.
CLI = ("import os, runpy, sys, yaml; yaml.SafeLoader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader); "
       "del sys.argv[0]; sys.path[0] = os.path.dirname(sys.argv[0]); runpy.run_path(sys.argv[0], run_name='__main__')")


@functools.cache
def spec():
    try:
        import yaml
    except ImportError:
        raise ka.Skip("no python3-yaml") from None
    if not os.path.exists(SPEC):
        raise ka.Skip(f"no spec at {SPEC} (KA_SPEC)")
    with open(SPEC, encoding="utf-8") as f:
        return yaml.load(f, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def header_enum(name):
    """[(member, value)] of an enum of the header, private ones left out."""
    with open(HEADER, encoding="utf-8") as f:
        body = re.search(r"enum %s \{(.*?)\};" % name, f.read(), re.S).group(1)
    members, value = [], -1
    for m in re.finditer(r"^\s*([A-Z]\w*)(?: = (\d+))?,", body, re.M):
        value = int(m.group(2)) if m.group(2) else value + 1
        members.append((m.group(1), value))
    return members


def c_name(prefix, name):
    return f"TCP_KEEPALIVE_{prefix}_{name}".upper().replace("-", "_")


def ynl_command(ns, *args):
    spec()
    for place in "pyynl/cli.py", "cli.py":      # since 6.14, and before
        path = f"{TREE}/tools/net/ynl/{place}"
        if os.path.exists(path):
            return ["ip", "netns", "exec", ns.name, "python3", "-c", CLI, path, "--spec",
                    SPEC, "--schema", SCHEMA, "--output-json", *args]
    raise ka.Skip(f"no ynl in {TREE} (KA_YNL)")


def ynl(ns, *args):
    p = subprocess.run(ynl_command(ns, *args), text=True, capture_output=True,
                       check=False)
    return p.returncode, p.stdout, p.stderr


def ynl_do(ns, op, **attrs):
    status, out, err = ynl(ns, "--do", op, "--json", json.dumps(attrs))
    assert status == 0, err
    return json.loads(out)


def test_operations_match_the_header():
    ops = [(c_name("CMD", op["name"]), i)
           for i, op in enumerate(spec()["operations"]["list"], 1)]
    assert ops == header_enum("tcp_keepalive_cmd"), ops


def test_attributes_match_the_header():
    for s in spec()["attribute-sets"]:
        attrs = [(c_name("A_" + s["name"], a["name"]), i)
                 for i, a in enumerate(s["attributes"], 1)]
        assert attrs == header_enum("tcp_keepalive_a_" + s["name"]), attrs


def test_enums_match_the_header():
    for d in spec()["definitions"]:
        if d["type"] == "enum":
            entries = [(c_name(d["name"], e["name"]), i)
                       for i, e in enumerate(d["entries"])]
            assert entries == header_enum("tcp_keepalive_" + d["name"]), entries


def test_ranges_match_the_header():
    with open(HEADER, encoding="utf-8") as f:
        text = f.read()
    for d in spec()["definitions"]:
        if d["type"] == "enum":
            continue
        name = "TCP_KEEPALIVE_" + d["name"].upper().replace("-", "_")
        m = re.search(r"#define %s\s+(\d+)" % name, text)
        assert m and int(m.group(1)) == d["value"], d


def test_groups_match_the_header():
    with open(HEADER, encoding="utf-8") as f:
        groups = re.findall(r'_MCGRP_\w+\s+"(\w+)"', f.read())
    assert [g["name"] for g in spec()["mcast-groups"]["list"]] == groups


def header_docs():
    """{member: what kernel-doc says of it}, of all enums of the header."""
    with open(HEADER, encoding="utf-8") as f:
        comments = re.findall(r"^/\*\*\n(.*?)^ \*/", f.read(), re.S | re.M)
    docs = {}
    for line in "".join(comments).splitlines():
        m = re.match(r" \* @(\w+): (.*)", line)
        if m:
            member = m.group(1)
            docs[member] = m.group(2)
        elif line.startswith(" *\t"):
            docs[member] += " " + line[2:].strip()
    return docs


def test_words_match_the_header():
    def words(text):
        text = re.sub(r"&enum tcp_keepalive_(a_)?", "", text)
        # The spec has types and names of its own.
        text = re.sub(r"^([us]\d+|flag|string)(, |$)", "", text)
        return text.strip().replace("-", "_").lower()

    docs = header_docs()
    named = [(c_name(d["name"], e["name"]), e)
             for d in spec()["definitions"] for e in d.get("entries", [])]
    named += [(c_name("A_" + s["name"], a["name"]), a)
              for s in spec()["attribute-sets"] for a in s["attributes"]]
    named += [(c_name("CMD", op["name"]), op)
              for op in spec()["operations"]["list"]]
    assert sorted(docs) == sorted(n for n, _ in named)
    for name, what in named:
        assert words(docs[name]) == words(what["doc"]), \
            (name, docs[name], what["doc"])


def test_ynl_reads_the_policy():
    with ka.Netns() as ns:
        got = ynl_do(ns, "policy-get")
        want = ns.kactl("policy")[0]
        for key in "time", "intvl", "probes", "enforce", "inherit":
            assert got[key] == want[key], (got, want)
        assert got["netns-ino"] == want["netns_ino"], (got, want)


def test_ynl_sets_and_resets_the_policy():
    with ka.Netns() as ns:
        got = ynl_do(ns, "policy-set", time=60, probes=5, inherit=1)
        assert (got["time"], got["intvl"], got["probes"]) == (60, 75, 5), got
        time = ns.exec("sysctl", "-n", "net.ipv4.tcp_keepalive_time")
        assert int(time) == 60
        assert ynl_do(ns, "policy-reset")["time"] == 7200


def test_ynl_is_refused():
    with ka.Netns() as ns:
        for do, attrs, words in (
                ("policy-set", {"time": 40000}, ("out of range", ".time")),
                ("policy-set", {}, ("time, intvl, probes",)),
                ("rule-add", {"time": 60, "match": {"uid-max": 2**32 - 1}}, ("out of range", ".uid-max"))):
            status, out, err = ynl(ns, "--do", do, "--json", json.dumps(attrs))
            assert status, out
            for w in words:
                assert w in out + err, (w, out, err)
        assert ns.kactl("policy")[0]["time"] == 7200 and not ns.kactl("rule")


def test_ynl_reads_the_statistics():
    with ka.Netns() as ns:
        got = ynl_do(ns, "stats-get")
        want = ns.stats()
        counters = {k: v for k, v in want.items() if isinstance(v, int)}
        assert {k.replace("-", "_"): v for k, v in got.items()} == counters


def test_ynl_reads_histograms():
    with ka.wire() as (c, s):
        (a, b), = ka.pair(c, s)
        s.drop("prerouting")
        ka.keepalive(a, 1, 1, 2)
        ka.expect(c, 20, conns_dead=1)
        got = ynl_do(c, "stats-get")
        bucket, = got["detect-ms"]
        assert bucket["count"] == 1 and bucket["le"] in (4096, 8192), got
        assert "rtt-us" not in got and "lost-in-row" not in got, got
        a.close()
        b.close()


def test_ynl_dumps_connections():
    with ka.wire() as (c, s):
        (a, b), = ka.pair(c, s)
        ka.keepalive(a, 60, 7, 3)
        want = {"lport": a.getsockname()[1], "rport": 7000, "state": 1,
                "status": "alive", "keepalive": 1, "time": 60, "intvl": 7,
                "probes": 3, "source": "program", "out": 0, "sent": 0,
                "local": socket.inet_aton(a.getsockname()[0]).hex(" ")}
        for request, n in (({}, 1), ({"status": "alive"}, 1),
                           ({"status": "unprotected"}, 0),
                           ({"idle-min": 3600}, 0),
                           ({"match": {"rport-min": 7000}}, 1),
                           ({"match": {"rport-min": 7001}}, 0)):
            status, out, err = ynl(c, "--dump", "conn-get", "--json",
                                   json.dumps(request))
            assert status == 0, err
            got = json.loads(out)
            assert len(got) == n, (request, got)
            for conn in got:
                assert want.items() <= conn.items(), (want, conn)
        a.close()
        b.close()


def ynl_dump(ns, op, **attrs):
    status, out, err = ynl(ns, "--dump", op, "--json", json.dumps(attrs))
    assert status == 0, err
    return json.loads(out)


def test_ynl_changes_rules():
    with ka.Netns() as ns:
        got = ynl_do(ns, "rule-add", match={"rport-min": 5432, "rport-max": 5432},
                     keepalive="on", time=60)
        assert (got["pref"], got["keepalive"], got["time"]) == (10, "on", 60), got
        ynl_do(ns, "rule-replace", pref=5, **{"intvl-min": 5, "intvl-max": 9},
               override=True)
        rules = ynl_dump(ns, "rule-get")
        assert [r["pref"] for r in rules] == [5, 10], rules
        assert rules[1]["match"]["rport-max"] == 5432, rules
        assert (rules[0]["intvl-min"], rules[0]["intvl-max"]) == (5, 9), rules
        assert [r["pref"] for r in ns.kactl("rule")] == [5, 10]
        ynl_do(ns, "rule-del", pref=5)
        got = ynl_do(ns, "rule-test", match={"rport-min": 5432})
        assert (got["pref"], got["keepalive"], got["time"]) == (10, "on", 60), got
        ynl_do(ns, "rule-flush")
        assert ns.kactl("rule") == []


def test_ynl_restores_and_applies():
    with ka.wire() as (c, s):
        (a, b), = ka.pair(c, s)
        ynl_do(c, "restore", policy={"time": 61},
               rule=[{"pref": 7, "keepalive": "on"}, {"pref": 3, "time": 9}])
        assert c.kactl("policy")[0]["time"] == 61
        assert [r["pref"] for r in c.kactl("rule")] == [3, 7]
        parts = ynl_dump(c, "apply", match={"rport-min": 7000})
        assert sum(p["seen"] for p in parts) == 1, parts
        assert sum(p["changed"] for p in parts) == 1, parts
        conn, = c.kactl("conn")
        assert conn["time"] == 9, conn
        a.close()
        b.close()


def waits_in(pid):
    with open(f"/proc/{pid}/stack", encoding="ascii") as f:
        return f.read()


@contextlib.contextmanager
def listening(ns, group, seconds):
    """The events of the group, filled in at the end of the block."""
    events = []
    with subprocess.Popen(ynl_command(ns, "--subscribe", group, "--sleep",
                                      str(seconds)),
                          stdout=subprocess.PIPE, text=True) as p:
        ka.poll("a listener", 30,
                lambda: re.search("nanosleep|epoll_wait", waits_in(p.pid)))
        yield events
        out = p.communicate(timeout=300)[0]
    for line in out.splitlines():       # a list, or one event a line
        msgs = json.loads(line)
        events += [m["msg"] for m in
                   (msgs if isinstance(msgs, list) else [msgs])]


def test_ynl_hears_of_changes():
    with ka.Netns() as ns:
        with listening(ns, "policy", 10) as events:
            ns.kactl("policy", "set", "time", "60")
            ns.kactl("policy", "set", "time", "60")
            ns.exec("sh", "-c",
                    "echo 5 >/sys/class/tcp_keepalive/netns/probes")
            ns.sysctl("net.ipv4.tcp_keepalive_intvl", 33)
            ns.kactl("policy", "reset")
        assert [(e["seq"], e["time"], e["intvl"], e["probes"])
                for e in events] == \
            [(1, 60, 75, 9), (2, 60, 75, 5), (3, 7200, 33, 9)], events
        assert all(e["at"] > 1e18 for e in events), events


def test_ynl_hears_of_connections():
    with ka.wire() as (c, s):
        (a, b), = ka.pair(c, s)
        with listening(c, "events", 60) as events:
            s.drop("prerouting")
            ka.keepalive(a, 2, 3, 3)
            ka.expect(c, 20, probes_lost=1)     # as the second is sent
            s.undrop()
            ka.expect(c, 20, conns_recovered=1)
            s.drop("prerouting")
            ka.expect(c, 60, conns_dead=1)
        assert [(e["seq"], e["event"], e["lost"]) for e in events] == \
            [(1, "lost", 1), (2, "lost", 2), (3, "recovered", 2),
             (4, "lost", 1), (5, "lost", 2), (6, "lost", 3),
             (7, "dead", 3)], events
        assert all(e["rport"] == 7000 and e["inode"] for e in events), events
        # Silent for the idle time and the intervals, the wheel's slack beside.
        assert 8000 <= events[2]["idle-ms"] <= 9500, events
        assert 11000 <= events[-1]["idle-ms"] <= 13000, events
        a.close()
        b.close()


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

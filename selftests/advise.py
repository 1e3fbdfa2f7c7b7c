#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""kactl advise: it recommends what there is evidence for and nothing else, and
what it recommends is what policy set takes."""

import json
import re
import shlex
import subprocess

import ka

SHARE = "/usr/local/share/tcp-keepalive/middlebox.list"


def boxes():
    """Name, layer and idle limit of each in the list that is shipped."""
    with open(SHARE, encoding="utf-8") as f:
        text = f.read()
    return re.findall(r"^([a-z0-9-]+): .*\n\tlayer (\w+)\n\tidle (\d+)$", text, re.M)


def advise(ns, *args):
    got, = ns.kactl("advise", *args)
    assert sorted(got) == ["advice", "netns", "netns_ino", "recommend"], got
    assert got["netns"] == ns.name, got
    for line in got["advice"]:
        assert sorted(line) == ["about", "rests_on", "says"] and all(line.values())
    return got


def says(got, about):
    return " ".join(line["says"] for line in got["advice"]
                    if line["about"] == about)


def follow(ns, line):
    """Do what is recommended."""
    words = shlex.split(line)
    assert words[:3] == ["kactl", "policy", "set"], line
    return ka.run(ka.KACTL, "-n", ns.name, "-q", *words[1:])


def test_nothing_without_evidence():
    with ka.Netns() as ns:
        got = advise(ns)
        assert got["recommend"] is None, got
        assert "after 7875 s = 2:11:15" in says(got, "detect"), got
        text = ka.run(ka.KACTL, "-n", ns.name, "advise")
        assert "\nrecommend          nothing: nothing speaks for a change" in text, text
        assert text.count("  - ") == len(got["advice"]), text


def test_each_middlebox():
    """What it recommends is accepted, is in time, and then it is content."""
    assert len(boxes()) > 10
    for name, layer, idle in boxes():
        with ka.Netns() as ns:
            got = advise(ns, "--behind", name)
            line = got["recommend"]
            if layer == "http":
                assert line is None and "requests" in says(got, "behind"), got
                continue
            # The default policy, the timer's lateness included, is 8184 s.
            assert (line is None) == (int(idle) > 8184), (name, got)
            if line:
                follow(ns, line)
                now, = ns.kactl("policy")
                assert 1.125 * (now["time"] + now["intvl"]) < int(idle), now
                got = advise(ns, "--behind", name)
                assert got["recommend"] is None, got


def test_behind_seconds():
    with ka.Netns() as ns:
        assert "time 50 intvl 12" in advise(ns, "--behind", "100")["recommend"]
        assert advise(ns, "--behind", "8184")["recommend"] is not None
        assert advise(ns, "--behind", "8185")["recommend"] is None
        for seconds in ("1", "2"):
            assert advise(ns, "--behind", seconds)["recommend"] is None
        for seconds in ("3", "4", "7"):
            follow(ns, advise(ns, "--behind", seconds)["recommend"])
            ns.kactl("policy", "reset")
        # A sysctl may hold what no policy set takes.
        ns.sysctl("net.ipv4.tcp_keepalive_time", 500000)
        line = advise(ns, "--behind", "conntrack")["recommend"]
        follow(ns, line)
        assert ns.kactl("policy")[0]["time"] == 32767, line


def test_refusals():
    for args, word in ((["--behind", "nonsuch"], "nonsuch"), (["--behind"], "--behind"),
                       (["--behind", "0"], "0"), (["--behind", "316224001"], "316224001"), (["--bogus"], "--bogus"),
                       (["--behind", "nlb", "--behind", "nlb"], "--behind")):
        p = subprocess.run([ka.KACTL, "-j", "advise", *args], text=True,
                           capture_output=True, check=False)
        assert p.returncode == 2 and word in p.stderr, (args, p)
        assert json.loads(p.stdout) == [], p


def test_connections():
    """Counted, and what they cost; those without keepalive are to get it."""
    with ka.wire() as (c, s):
        socks = ka.pair(c, s, n=5)
        for a, _ in socks[:2]:
            ka.keepalive(a, 100)
        ka.keepalive(socks[2][0], 400)
        got = advise(c, "--behind", "350")
        assert says(got, "watched").startswith("3 connections have keepalive; 2 have"), got
        assert "0.02 probes and 1.2 bytes a second" in says(got, "costs"), got
        assert "1 connections are probed too late" in says(got, "behind"), got
        assert got["recommend"].endswith(" enforce on"), got
        follow(c, got["recommend"])
        assert c.kactl("policy")[0]["enforce"] is True
        assert advise(c, "--behind", "350")["recommend"] is None


def test_losses():
    """A peer that was silent for long and lives speaks for more probes."""
    with ka.wire() as (c, s):
        (a, _b), = ka.pair(c, s)
        c.kactl("policy", "set", "probes", "3")
        ka.keepalive(a, 1, 1, 9)
        s.drop("prerouting")
        ka.poll("3 lost", 30, lambda: c.stats()["probes_lost"] >= 3)
        s.undrop()
        ka.poll("back", 30, lambda: c.stats()["conns_recovered"])
        got = advise(c)
        le = c.stats()["lost_in_row"][-1]["le"]
        assert got["recommend"] == f"kactl policy set probes {2 * le}", got
        assert f"up to {le} probes" in says(got, "too-short"), got
        assert "came back" in says(got, "gives"), got
        follow(c, got["recommend"])
        assert advise(c)["recommend"] is None


def test_hasty():
    with ka.Netns() as ns:
        ka.run(ka.KACTL, "-n", ns.name, "-q", "policy", "set", "time", "5",
               "intvl", "1", "probes", "2")
        assert "7 s closes it" in says(advise(ns), "too-short")


def test_does_not_load():
    ka.run("rmmod", "tcp_keepalive")
    try:
        p = subprocess.run([ka.KACTL, "advise"], text=True, capture_output=True,
                           check=False)
        assert p.returncode == 3 and "not loaded" in p.stderr, p
    finally:
        ka.run("modprobe", "tcp_keepalive")


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""kactl apply: what it says of what it did, and how it ends. What it does to
connections has tests of its own."""

import json
import os
import signal
import subprocess
import time

import busy
import ka

KEYS = "netns netns_ino seen matched changed overdue skipped".split()
SKIPPED = "kernel repair opted_out closed".split()


def apply(ns, *args):
    got, = ns.kactl("-q", "apply", *args)
    assert sorted(got) == sorted(KEYS), got
    assert list(got["skipped"]) == SKIPPED, got
    return got


def close(socks):
    for pair in socks:
        for sock in pair:
            sock.close()


def test_nothing():
    with ka.Netns() as ns:
        for args in (), ("--dry-run",):
            got = apply(ns, *args)
            assert got["netns"] == ns.name, got
            assert got["netns_ino"] == os.stat("/run/netns/" + ns.name).st_ino
            assert not any(got[k] for k in KEYS[2:6]), got
            assert not any(got["skipped"].values()), got


def test_sums():
    """A dry run says what the next one does, and that one leaves nothing."""
    with ka.wire() as (c, s):
        socks = ka.pair(c, s, n=20) + ka.pair(c, s, port=7600, n=5)
        c.kactl("-q", "rule", "add", "rport", "7000", "keepalive", "on", "time",
                "600")
        assert not apply(c, "--dry-run", "rport", "7600")["changed"]
        dry = apply(c, "--dry-run", "rport", "7000", "--spread", "1.5")
        assert (dry["matched"], dry["changed"]) == (20, 20), dry
        assert c.kactl("rule")[0]["hits"] == 0, c.kactl("rule")
        assert not any(x["keepalive"] for x in c.kactl("conn"))
        got = apply(c, "rport", "7000")
        assert got == dry, f"{got}, not {dry}"
        assert c.kactl("rule")[0]["hits"] == 20, c.kactl("rule")
        assert {x["time"] for x in c.kactl("conn", "rport", "7000")} == {600}
        again = apply(c)
        assert (again["matched"], again["changed"]) == (25, 0), again
        close(socks)


def test_text_and_warning():
    with ka.wire() as (c, s):
        socks = ka.pair(c, s, n=2)
        c.kactl("-q", "policy", "set", "time", "1", "intvl", "5", "probes", "2",
                "enforce", "on")
        ka.poll("idle", 10, lambda: len(c.kactl("conn", "idle-min", "2")) == 2)
        p = subprocess.run([ka.KACTL, "-n", c.name, "apply", "--dry-run",
                            "--spread", "0"], text=True, capture_output=True,
                           check=True)
        lines = [line.split()[:2] for line in p.stdout.splitlines()]
        assert lines == [
            ["netns", c.name],
            ["netns_ino", str(os.stat("/run/netns/" + c.name).st_ino)],
            ["seen", "2"], ["matched", "2"], ["changed", "2"],
            ["overdue", "2"]] + [["skipped_" + k, "0"] for k in SKIPPED], lines
        assert p.stderr == ("kactl: apply: warning: 2 overdue: those whose peer "
                            "is dead would be closed within 10 s\n"), p.stderr
        p = subprocess.run([ka.KACTL, "-qn", c.name, "apply"], text=True,
                           capture_output=True, check=True)
        assert not p.stderr, p.stderr
        close(socks)


def test_interrupted():
    """It says what was done until then, in a document that is whole."""
    with ka.wire() as (c, s):
        socks = ka.pair(c, s, n=30)
        c.kactl("policy", "set", "enforce", "on")
        with busy.sockets(*[a for a, _ in socks]):
            for sig in signal.SIGINT, signal.SIGTERM:
                start = time.monotonic()
                with subprocess.Popen([ka.KACTL, "-qn", c.name, "-j", "apply"],
                                      stdout=subprocess.PIPE, text=True) as p:
                    # It waits a second for each of them.
                    time.sleep(3.5)
                    p.send_signal(sig)
                    out = p.communicate(timeout=60)[0]
                assert time.monotonic() - start < 6
                assert p.returncode == -sig, p.returncode
                got, = json.loads(out)
                assert got["seen"] and not got["changed"], got
        close(socks)


def test_refused_by_the_kernel():
    with ka.Netns() as ns:
        for args, word in ((("local", "10.0.0.0/33"), "local 10.0.0.0/33: "),
                           (("lport", "9-8"), "lport 9-8: "),
                           (("cgroup", "/ka-nope"), "cgroup /ka-nope: ")):
            p = subprocess.run([ka.KACTL, "-n", ns.name, "-j", "apply", *args],
                               text=True, capture_output=True, check=False)
            assert p.returncode == 1 and p.stdout == "[]\n", p
            assert word in p.stderr and p.stderr.count("\n") == 1, p.stderr


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

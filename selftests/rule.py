#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""kactl rule: what is refused and in which words, and that what was given is what
is shown."""

import json
import os
import signal
import subprocess
import time

import ka

V = "neither a whole number nor a range A..B"
P = "neither an address nor ADDRESS/LENGTH"
R = "neither a number nor a range A-B"
M = "neither a number nor VALUE/MASK"
NOTHING = ("a rule does something: give one or more of keepalive, time, "
           "intvl, probes, user-timeout")


def kactl(ns, *args, **kw):
    """(status, standard output, standard error)"""
    p = subprocess.run([ka.KACTL, "-n", ns.name, *args], text=True,
                       capture_output=True, check=False, **kw)
    return p.returncode, p.stdout, p.stderr


def said(ns, status, *args, **kw):
    """What is said on standard error by a command that is refused: one line,
    and with -j an empty array beside it."""
    got, out, err = kactl(ns, "-j", *args, **kw)
    assert got == status, f"{args}: {got}: {err}"
    assert out == "[]\n", f"{args}: {out}"
    assert err.count("\n") == 1, f"{args}: {err}"
    return err.rstrip("\n")


def quiet(ns, *args, **kw):
    """A command that is done, and says nothing."""
    got = kactl(ns, *args, **kw)
    assert got == (0, "", ""), f"{args}: {got}"


def rules(ns):
    return ns.kactl("rule")


def state(ns):
    """All that a restore may change."""
    return ns.kactl("policy"), [{k: v for k, v in r.items() if k != "hits"}
                                for r in rules(ns)]


def restore(ns, text, *options):
    return kactl(ns, *options, "restore", input=text)


def test_words():
    with ka.Netns() as ns:
        on = ("keepalive", "on")
        cases = [
            (("frob",), 'unknown word "frob"'),
            (("idle-min", "5"), 'unknown word "idle-min"'),
            (("hits", "5"), 'unknown word "hits"'),
            (("user_timeout_ms", "5"), 'unknown word "user_timeout_ms"'),
            (("dir", "up", *on), 'dir "up": neither "in" nor "out"'),
            (("dir", "", *on), 'dir "": neither "in" nor "out"'),
            (("uid", "root", *on), f'uid "root": {R}'),
            (("uid", "-1", *on), f'uid "-1": {R}'),
            (("uid", "5-", *on), f'uid "5-": {R}'),
            (("cgroup", "", *on), 'cgroup "": not a path'),
            (("keepalive", "yes"),
             'keepalive "yes": neither on, off nor leave'),
            (("keepalive", ""), 'keepalive "": neither on, off nor leave'),
            (("user-timeout", "5s"),
             'user-timeout "5s": not a whole number'),
            (("user-timeout", "5..6"),
             'user-timeout "5..6": not a whole number'),
            (("pref", "first", *on), 'pref "first": not a whole number'),
            (("override", "override"), '"override" given twice'),
            ((), NOTHING), (("override",), NOTHING),
            (("dir", "in", "mark", "7"), NOTHING)] + [
                (("mark", w, *on), f'mark "{w}": {M}') for w in
                ("", "x", "0x", "0xg", "1/", "/1", "-1", "1/2/3", " 1",
                 "1/0x", "0x0x1f", "1/0x0X1", "+1", "1e3")] + [
                ((k, w, *on), f'{k} "{w}": {P}') for w in
                ("", "localhost", "10.0.0", "10.0.0.1/", "10.0.0.1/x",
                 "::1/-1", "[::1]") for k in ("local", "remote")] + [
                ((k, w, *on), f'{k} "{w}": {R}') for w in
                ("", "ssh", "80-", "-80", "80-90-100", "80..90", "0x50")
                for k in ("lport", "rport")] + [
                ((k, w), f'{k} "{w}": {V}') for w in
                ("", "6x", "1.5", "1..", "..5", "1..2..3", "1-2", "-",
                 "1..-", "-..5", "1...5", " 1", "+1")
                for k in ("time", "intvl", "probes")] + [
                ((k,), f'missing value after "{k}"') for k in
                "pref dir local remote lport rport cgroup uid mark "
                "keepalive time intvl probes user-timeout".split()] + [
                ((k, v, k, v), f'"{k}" given twice') for k, v in
                (("pref", "5"), ("dir", "in"), ("local", "::1"),
                 ("remote", "::1"), ("lport", "1"), ("rport", "1"),
                 ("cgroup", "/"), ("uid", "1"), ("mark", "1"), on,
                 ("time", "5"), ("intvl", "5"), ("probes", "5"),
                 ("user-timeout", "5"))]
        # The three read them by the same function: they take turns.
        for i, (words, why) in enumerate(cases):
            if i % 3 == 2:
                quoted = " ".join(f"'{w}'" for w in words)
                got = restore(ns, "rule add " + quoted)
                assert got == (2, "", "kactl: restore: standard input:1: "
                               f"{why}\n"), got
                continue
            verb = ("add", "replace")[i % 3]
            got = said(ns, 2, "rule", verb, *words)
            assert got == f"kactl: rule {verb}: {why}", f"{words}: {got}"
        for words, why in (
                (("rule", "replace", *on), "which rule? give its pref"),
                (("rule", "del"), "which rule? give its pref"),
                (("rule", "del", "10"), 'unknown word "10"'),
                (("rule", "del", "pref", "x"), 'pref "x": not a whole number'),
                (("rule", "flush", "all"), 'unknown word "all"'),
                (("rule", "test"), "which connection? give one or more of dir, "
                 "local, remote, lport, rport, cgroup, uid, mark"),
                (("rule", "test", *on), 'unknown word "keepalive"'),
                (("rule", "test", "lport", "1-2"),
                 'lport "1-2": not a single number'),
                (("rule", "test", "uid", "1-2"), 'uid "1-2": not a whole number'),
                (("rule", "test", "mark", "1/3"),
                 'mark "1/3": not a single number'),
                (("rule", "test", "remote", "10.0.0.0/8"),
                 'remote "10.0.0.0/8": not a single address')):
            got = said(ns, 2, *words)
            assert got == f"kactl: {words[0]} {words[1]}: {why}", got
        got = said(ns, 2, "rule", "shwo")
        assert got == 'kactl: rule: unknown word "shwo"', got
        assert rules(ns) == []


def test_ranges():
    """Refused by the kernel, or for want of an attribute that could carry it."""
    with ka.Netns() as ns:
        on = ("keepalive", "on")
        for words, parts in (
                (("pref", "0", *on), "pref 0: 1 32767"),
                (("pref", "32768", *on), "pref 32768: 1 32767"),
                (("time", "0"), "time 0: 1 32767"),
                (("time", "-5"), "time -5: 1 32767"),
                (("time", "99999"), "time 99999: 1 32767"),
                (("time", "5..99999"), "time 5..99999: 1 32767"),
                (("time", "9..5"), "time 9..5: empty"),
                (("intvl", "0"), "intvl 0: 1 32767"),
                (("intvl", "7..6"), "intvl 7..6: empty"),
                (("intvl", "32768"), "intvl 32768: 1 32767"),
                (("intvl", "5..32768"), "intvl 5..32768: 1 32767"),
                (("probes", "0"), "probes 0: 1 127"),
                (("probes", "9..5"), "probes 9..5: empty"),
                (("probes", "5..128"), "probes 5..128: 1 127"),
                (("probes", "128"), "probes 128: 1 127"),
                (("probes", "0..5"), "probes 0..5: 1 127"),
                (("time", "99999999999"), "time 99999999999: range"),
                (("user-timeout", "0"), "user-timeout 0:"),
                (("user-timeout", "2147483648"), "user-timeout 2147483648:"),
                (("user-timeout", "-1"), "user-timeout -1: range"),
                (("lport", "90-80", *on), "lport 90-80: empty"),
                (("rport", "90-80", *on), "rport 90-80: empty"),
                (("lport", "1-65536", *on), "lport 1-65536: range"),
                (("rport", "65536", *on), "rport 65536: range"),
                (("uid", "9-8", *on), "uid 9-8: empty"),
                (("uid", "4294967296", *on), "uid 4294967296: range"),
                (("local", "10.0.0.0/33", *on), "local 10.0.0.0/33:"),
                (("local", "::/129", *on), "local ::/129:"),
                (("remote", "10.0.0.0/33", *on), "remote 10.0.0.0/33:"),
                (("remote", "::/129", *on), "remote ::/129:"),
                (("local", "::1", "remote", "10.0.0.1", *on), "IPv4 IPv6"),
                (("mark", "4294967296", *on), "mark 4294967296: range"),
                (("mark", "1/0", *on), "mark 1/0:"),
                (("mark", "3/1", *on), "mark 3/1:"),
                (("keepalive", "leave", "override"), "override"),
                (("cgroup", "/ka-nope", *on), "cgroup /ka-nope:")):
            for verb in ("add",), ("replace", "pref", "5"):
                if verb[-1] == "5" and words[0] == "pref":
                    continue
                got = said(ns, 1, "rule", *verb, *words)
                for part in parts.split(" "):
                    assert part in got, f"{words}: {got}"
                assert "Invalid argument" not in got, got
            before = state(ns)
            got = restore(ns, "policy set time 77\n\n# x\nrule add time 5\n"
                          f"rule add {' '.join(words)}\n")
            assert got[0] == 1 and not got[1], f"{words}: {got}"
            assert got[2].startswith("kactl: restore: standard input:5: "), got
            for part in parts.split(" "):
                assert part in got[2], f"{words}: {got}"
            assert state(ns) == before, f"{words}: {state(ns)}"
        assert rules(ns) == []
        for words in ("del", "pref", "7"), ("del", "pref", "99999"):
            got = said(ns, 1, "rule", *words)
            assert "pref" in got, got


def test_round_trip():
    """What was given is what is shown, in text and in JSON, and the text can be
    given again."""
    with ka.Netns() as ns, ka.cgroup() as (path, _):
        for i, (words, keys) in enumerate((
                ("keepalive on", {"keepalive": "on"}),
                ("keepalive off", {"keepalive": "off"}),
                ("dir in keepalive leave", {"dir": "in", "keepalive": "leave"}),
                ("dir out local 10.1.2.3 remote 10.0.0.0/8 lport 1024-65535 "
                 "rport 5432 keepalive on time 60 intvl 10 probes 3",
                 {"dir": "out", "local": "10.1.2.3", "remote": "10.0.0.0/8",
                  "lport": [1024, 65535], "rport": [5432, 5432],
                  "keepalive": "on", "time": 60, "intvl": 10, "probes": 3}),
                ("remote fd00::/8 time 60..600 intvl 5..75 probes 2..127",
                 {"remote": "fd00::/8", "time": [60, 600], "intvl": [5, 75],
                  "probes": [2, 127]}),
                ("local ::1 remote ::/0 uid 0-999 user-timeout 2000000",
                 {"local": "::1", "remote": "::/0", "uid": [0, 999],
                  "user_timeout_ms": 2000000}),
                ("uid 4711 mark 0x10/0xf0 keepalive on override",
                 {"uid": [4711, 4711], "mark": [16, 240], "keepalive": "on",
                  "override": True}),
                ("mark 0x2a time 32767 override",
                 {"mark": 42, "time": 32767, "override": True}),
                ("remote 0.0.0.0/0 rport 0-80 keepalive on",
                 {"remote": "0.0.0.0/0", "rport": [0, 80], "keepalive": "on"}),
                (f"cgroup {path} keepalive on",
                 {"cgroup": path, "keepalive": "on"}))):
            pref = 100 + i
            quiet(ns, "-q", "rule", "add", "pref", str(pref), *words.split())
            want = {"netns": ns.name, "pref": pref, "hits": 0, **keys,
                    "netns_ino": os.stat("/run/netns/" + ns.name).st_ino}
            assert rules(ns) == [want], f"{rules(ns)}, not {want}"
            text = f"pref {pref} {words}"
            assert kactl(ns, "rule") == (0, text + " hits 0\n", ""), \
                kactl(ns, "rule")
            quiet(ns, "rule", "flush")
            quiet(ns, "-q", "rule", "add", *text.split())
            assert rules(ns) == [want], f"{rules(ns)}, not {want}"
            quiet(ns, "rule", "del", "pref", str(pref))
            assert rules(ns) == [] and kactl(ns, "rule") == (0, "", "")


def test_host_bits_and_spellings():
    with ka.Netns() as ns:
        quiet(ns, "rule", "add", "pref", "1", "local", "10.9.8.7/12", "remote",
              "10.9.8.7/32", "mark", "16/0xffffffff", "keepalive", "on")
        assert kactl(ns, "rule")[1] == (
            "pref 1 local 10.0.0.0/12 remote 10.9.8.7 mark 0x10 keepalive on "
            "hits 0\n"), kactl(ns, "rule")
        quiet(ns, "-q", "rule", "replace", "pref", "1", "remote",
              "FD00:0::1/9", "rport", "0080-080", "time", "007..7")
        assert kactl(ns, "rule")[1] == (
            "pref 1 remote fd00::/9 rport 80 time 7..7 hits 0\n"), \
            kactl(ns, "rule")
        # A v4-mapped address is IPv4's, and a prefix that has others is not.
        quiet(ns, "-q", "rule", "replace", "pref", "1", "local", "::ffff:10.0.0.0/104",
              "remote", "10.0.0.9", "time", "7")
        quiet(ns, "rule", "add", "pref", "2", "remote", "::ffff:0:0/95", "keepalive", "on")
        quiet(ns, "rule", "add", "pref", "3", "remote", "::ffff:10.1.2.3", "keepalive", "on")
        assert [{k: r[k] for k in ("local", "remote") if k in r}
                for r in rules(ns)] == [
            {"local": "10.0.0.0/8", "remote": "10.0.0.9"},
            {"remote": "::fffe:0:0/95"}, {"remote": "10.1.2.3"}], rules(ns)
        got, = ns.kactl("rule", "test", "remote", "::ffff:10.1.2.3")
        assert got["pref"] == 3, got
        got = said(ns, 1, "rule", "add", "local", "::ffff:1.2.3.4", "remote", "::1",
                   "time", "9")
        assert "one is IPv4, the other IPv6" in got, got


def test_pref():
    """Without one the highest in use + 10, and it is printed."""
    with ka.Netns() as ns:
        add = ("rule", "add", "keepalive", "on")
        assert kactl(ns, *add) == (0, "pref 10\n", "")
        assert kactl(ns, *add) == (0, "pref 20\n", "")
        got = ns.kactl(*add)
        assert [r["pref"] for r in got] == [30], got
        quiet(ns, *add, "pref", "5")
        quiet(ns, "rule", "replace", "pref", "20", "keepalive", "off")
        quiet(ns, "rule", "replace", "pref", "25", "keepalive", "leave")
        assert [(r["pref"], r["keepalive"]) for r in rules(ns)] == [
            (5, "on"), (10, "on"), (20, "off"), (25, "leave"), (30, "on")]
        got = said(ns, 1, *add, "pref", "20")
        assert "pref" in got, got
        assert ns.kactl("rule", "del", "pref", "20") == []
        assert 20 not in [r["pref"] for r in rules(ns)]
        quiet(ns, *add, "pref", "32760")
        got = said(ns, 1, *add)
        assert "pref" in got and "32767" in got, got
        got = restore(ns, "rule add pref 32760 keepalive on\n"
                      "rule add keepalive on\n")
        assert got[0] == 1 and "input:2: pref" in got[2], got
        assert ns.kactl("rule", "flush") == [] == rules(ns)


def test_at_once():
    """Several that change the rules at once, each making a table of a thousand."""
    with ka.Netns() as ns:
        assert restore(ns, "rule add remote 192.0.2.0/24 keepalive on\n" * 900) == (0, "", "")
        add = f"for i in $(seq 20); do {ka.KACTL} -n {ns.name} rule add lport $((i * PLACE)) keepalive on || exit; done"
        shells = [subprocess.Popen(["sh", "-c", add.replace("PLACE", str(i + 1))], stdout=subprocess.PIPE, text=True)
                  for i in range(4)]
        said = [line for shell in shells for line in shell.communicate()[0].splitlines()]
        assert [shell.returncode for shell in shells] == [0] * 4
        assert sorted(said) == [f"pref {10 * i}" for i in range(901, 981)], said
        assert [r["pref"] for r in rules(ns)] == [10 * i for i in range(1, 981)]


def test_too_many():
    with ka.Netns() as ns:
        text = "rule add time 60\n" * 1024
        quiet(ns, "-q", "restore", input=text)
        assert len(rules(ns)) == 1024
        got = said(ns, 1, "rule", "add", "keepalive", "on")
        assert "1024" in got, got
        got = said(ns, 1, "rule", "replace", "pref", "5", "keepalive", "on")
        assert "1024" in got, got
        quiet(ns, "rule", "replace", "pref", "10", "keepalive", "on")
        before = state(ns)
        got = said(ns, 1, "restore", input=text + "\nrule add time 60\n")
        assert "standard input:1026: " in got and "1024" in got, got
        assert state(ns) == before


def test_test():
    with ka.Netns() as ns:
        quiet(ns, "policy", "set", "time", "100", "intvl", "7", "probes", "4")
        quiet(ns, "-q", "restore", input="""
            rule add pref 10 dir out remote 10.0.0.0/8 rport 5432 keepalive on time 60
            rule add pref 20 dir in keepalive off
            rule add pref 30 uid 1000-2000 keepalive on probes 9..20
            rule add pref 40 mark 0x10/0x10 keepalive on user-timeout 900000
            """)
        for words, pref, keys in (
                ("dir out remote 10.1.1.1 rport 5432", 10,
                 {"keepalive": "on", "time": 60, "intvl": 7}),
                ("dir out remote 10.1.1.1 rport 5433", None,
                 {"keepalive": "off", "time": 100, "probes": 4}),
                ("dir in remote ::1", 20, {"keepalive": "off"}),
                ("uid 1500", 30, {"keepalive": "on", "probes": 9}),
                ("uid 999", None, {"keepalive": "off"}),
                ("mark 0x30", 40, {"user_timeout_ms": 900000}),
                ("mark 0x20", None, {})):
            got, = ns.kactl("rule", "test", *words.split())
            assert got["pref"] == pref, f"{words}: {got}"
            wrong = {k: got.get(k) for k, v in keys.items() if got.get(k) != v}
            assert not wrong, f"{words}: {wrong}"
        text = kactl(ns, "rule", "test", "dir", "in")[1]
        assert text.startswith("pref 20 keepalive off time 100 "), text
        ns.sysctl("net.ipv4.tcp_keepalive_time", -5)
        got, = ns.kactl("rule", "test", "dir", "in")
        assert got["time"] == -5 == ns.kactl("policy")[0]["time"], got
        text = kactl(ns, "rule", "test", "dir", "in")[1]
        assert text.startswith("pref 20 keepalive off time -5 "), text
        ns.sysctl("net.ipv4.tcp_keepalive_time", 100)
        text = kactl(ns, "rule", "test", "uid", "5")[1]
        assert text.startswith("pref none keepalive off time 100 "), text
        assert not any(r["hits"] for r in rules(ns)), rules(ns)
        got = said(ns, 1, "rule", "test", "cgroup", "/ka-nope")
        assert "cgroup /ka-nope: " in got, got


def test_no_privilege():
    with ka.Netns() as ns:
        nobody = ["setpriv", "--reuid", "65534", "--clear-groups", ka.KACTL]
        for words in ("rule add keepalive on", "rule flush", "rule del pref 1",
                      "rule replace pref 1 time 5", "restore", "apply",
                      "apply --dry-run"):
            p = subprocess.run(["ip", "netns", "exec", ns.name, *nobody,
                                *words.split()], text=True, input="",
                               capture_output=True, check=False)
            assert p.returncode == 4, f"{words}: {p}"
            assert "not permitted" in p.stderr and not p.stdout, p
        for words in "rule", "rule test dir in", "save":
            ns.exec(*nobody, *words.split())


def test_warnings():
    with ka.Netns() as ns:
        quiet(ns, "policy", "set", "time", "60", "intvl", "10", "probes", "3")
        for words, parts in (
                ("policy set intvl 500", "1560 s Azure 240"),
                ("policy set time 30 intvl 10", ""),
                ("policy set time 5", "time 5: 10 s 35 s"),
                ("policy set time 240", "time 240: Azure Load Balancer 240 s http behind"),
                ("policy set time 60 probes 30", "360 s Azure 240"),
                ("policy set probes 30", "360 s Azure 240"),
                ("policy set probes 3", ""),
                ("rule add keepalive on", ""),
                ("rule add intvl 100 probes 9", "960 s Azure 240"),
                ("rule add time 9", "time 9: 10 s 39 s"),
                ("rule add time 2..8", "time 8: 10 s"),
                ("rule add time 1000", "time 1000: 240 s"),
                ("rule add user-timeout 90000", ""),
                ("rule add user-timeout 89999", "user-timeout 89999: 90 s"),
                ("rule add user-timeout 70000", "70 s: one lost"),
                ("rule add time 20 user-timeout 50000", ""),
                ("rule replace pref 5 time 20 user-timeout 30000", "30 s: one"),
                ("rule replace pref 5 user-timeout 1 probes 1", "70 s")):
            got, _, err = kactl(ns, *words.split())
            assert got == 0 and err.count("\n") == bool(parts), f"{words}: {err}"
            assert not err or ": warning: " in err, err
            for part in parts.split(" "):
                assert part in err, f"{words}: {err}"
            if words.startswith("rule add") or "replace" in words:
                ns.kactl("rule", "flush")
            got = kactl(ns, "-q", *words.split())
            assert got[0] == 0 and not got[2], got
            ns.kactl("rule", "flush")
        _, _, err = kactl(ns, "policy", "set", "time", "5", "intvl", "100", "probes", "9")
        hasty, slow = err.splitlines()
        assert "time 5: under 10 s" in hasty and "905 s" in slow, err
        got = restore(ns, "\nrule add user-timeout 5\npolicy set time 5\n")
        assert got[:2] == (0, ""), got
        lines = got[2].splitlines()
        assert lines[0].startswith("kactl: restore: standard input:3: "
                                   "warning: time 5: "), lines
        assert lines[1].startswith("kactl: restore: standard input:3: "
                                   "warning: a dead peer is noticed after 680 s"), lines
        assert lines[2].startswith("kactl: restore: standard input:2: "
                                   "warning: user-timeout 5: "), lines


def test_interrupted():
    """What is begun is one JSON document."""
    with ka.Netns() as ns:
        quiet(ns, "-q", "restore", input="".join(
            f"rule add pref {i} remote 2001:db8:{i:x}::/48 time 60\n" for i in range(1, 1001)))
        for sig in signal.SIGINT, signal.SIGTERM:
            p = ka.stuck(ns, "-j", "rule")
            p.send_signal(sig)
            time.sleep(0.5)         # to die of it, before there is room again
            out, err = p.communicate(timeout=20)
            assert p.returncode == -sig, p.returncode
            assert 0 < len(json.loads(out)) <= 1000 and not err, (out[-100:], err)


def test_json():
    with ka.Netns() as ns:
        for words in (("rule", "add", "dir", "in", "time", "60"),
                      ("rule", "replace", "pref", "9", "time", "60"),
                      ("rule",), ("rule", "test", "dir", "in"),
                      ("rule", "del", "pref", "9"), ("rule", "flush"),
                      ("apply",), ("apply", "--dry-run", "--spread", "0.5")):
            for options in "-j", "-jp":
                if words[1:2] == ("del",) and options == "-jp":
                    continue
                json.loads(ka.run(ka.KACTL, "-qn", ns.name, options, *words))


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

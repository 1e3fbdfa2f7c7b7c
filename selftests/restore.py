#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""kactl save and restore: that a file comes back as it was saved, and that one
that is wrong changes nothing."""

import contextlib
import json
import os
import random
import signal
import stat
import subprocess
import tempfile
import time

import ka
from rule import kactl, quiet, restore, rules, said, state


@contextlib.contextmanager
def below(path, size):
    """A cgroup below that one, whose path is so many bytes longer."""
    at = os.open(ka.cgroup_root() + path, os.O_PATH)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, at)
        while size:
            name = "d" * (size - 1 if size <= 256 else 100)
            os.mkdir(name, dir_fd=at)
            stack.callback(os.rmdir, name, dir_fd=at)
            at = os.open(name, os.O_PATH, dir_fd=at)
            stack.callback(os.close, at)
            path += "/" + name
            size -= len(name) + 1
        yield path


def test_long_paths():
    """A file of as many rules as there may be, with long paths, is one message."""
    with ka.Netns() as ns, ka.cgroup() as (path, _), \
            below(path, 4095 - len(path)) as far:
        quiet(ns, "-q", "restore", input=f"rule add cgroup {far} time 60\n" *
              1024)
        got = rules(ns)
        assert len(got) == 1024 and {r["cgroup"] for r in got} == {far}
        text = kactl(ns, "save")[1]
        quiet(ns, "-q", "restore", input=text)
        assert kactl(ns, "save")[1] == text
        for size, status in (4095, 0), (4096, 1):
            quiet(ns, "rule", "flush")
            got, _, err = kactl(ns, "rule", "add", "cgroup",
                                "/" * (size - len(path)) + path, "probes", "2")
            assert got == status and bool(err) == bool(status), err
        assert "cgroup" in err, err


def test_path_too_long_from_here():
    """The host's may be longer for a container than any path. That is no reason
    to show a rule for all connections, or none of the others."""
    with ka.Netns() as ns, ka.cgroup() as (path, leave), \
            below(path, 4095 - len(path)) as far:
        ns.kactl("rule", "add", "probes", "4")
        ns.kactl("rule", "add", "cgroup", far, "probes", "2")
        ns.kactl("rule", "add", "probes", "3")
        before = state(ns)
        leave()
        with ka.cgroup():
            inside = ("ip", "netns", "exec", ns.name, "unshare", "-C", ka.KACTL)
            seen = json.loads(ka.run(*inside, "-j", "rule"))
            assert [r["probes"] for r in seen] == [4, 2, 3], seen
            assert seen[1]["cgroup"] == "(too long)", seen
            p = subprocess.run([*inside, "restore"], text=True, check=False,
                               input=ka.run(*inside, "save"), capture_output=True)
            assert p.returncode == 1 and "cgroup (too long): cgroup: no such path" in p.stderr, p
        assert state(ns) == before


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory() as d:
        yield d


def test_save_and_restore():
    """What is saved comes back, and is saved as the same bytes again."""
    with ka.Netns() as ns, ka.Netns() as other, folder() as d, \
            ka.cgroup() as (path, _):
        quiet(ns, "-q", "policy", "set", "time", "61", "intvl", "11", "probes",
              "5", "enforce", "on", "inherit", "on")
        odd = path + '/with "blanks" $x \\x2d`#\'é'
        os.mkdir(ka.cgroup_root() + odd)
        try:
            for words in (["keepalive", "on"],
                          ["dir", "out", "remote", "fd00::/8", "rport", "1-9",
                           "uid", "5-6", "mark", "1/3", "time", "5..9",
                           "override"],
                          ["cgroup", odd, "time", "60", "user-timeout", "9"],
                          ["pref", "7", "keepalive", "leave", "probes", "3"]):
                assert kactl(ns, "-q", "rule", "add", *words)[0] == 0, words
            f = d + "/ka.conf"
            quiet(ns, "save", f)
            assert os.listdir(d) == ["ka.conf"]
            want = state(ns)
            with open(f, encoding="utf-8") as file:
                text = file.read()
            assert kactl(ns, "save") == (0, text, ""), text
            assert text.startswith("# "), text
            for line in ("policy set time 61 intvl 11 probes 5 enforce on "
                         "inherit on",
                         "rule add pref 7 keepalive leave probes 3",
                         "rule add pref 20 dir out remote fd00::/8 rport 1-9 "
                         "uid 5-6 mark 0x1/0x3 time 5..9 override"):
                assert line in text.splitlines(), f"no {line}: {text}"
            quiet(ns, "rule", "flush")
            quiet(ns, "policy", "reset")
            quiet(ns, "-q", "restore", f)
            assert state(ns) == want, f"{state(ns)}, not {want}"
            quiet(other, "-q", "restore", input=text)
            assert kactl(other, "save") == (0, text, "")
            got = other.kactl("-q", "restore", f)
            assert [r.get("pref") for r in got] == [None, 7, 10, 20, 30], got
            assert got[2]["keepalive"] == "on" and got[0]["time"] == 61, got
            ns.kactl("rule", "flush")
            ns.kactl("policy", "reset")
        finally:
            os.rmdir(ka.cgroup_root() + odd)
        assert other.kactl("rule")[3]["cgroup_gone"] is True
        assert "cgroup-gone hits 0\n" in kactl(other, "rule")[1]
        text = kactl(other, "save")[1]
        assert "\n# its cgroup is gone: rule add pref 30 " in text, text
        quiet(other, "-q", "restore", input=text)
        assert [r["pref"] for r in rules(other)] == [7, 10, 20]


def test_save_replaces():
    with ka.Netns() as ns, folder() as d:
        f, link = d + "/ka.conf", d + "/link"
        with open(f, "w", encoding="ascii") as file:
            file.write("old\n")
        os.chmod(f, 0o640)
        os.chown(f, 12, 34)
        os.symlink("ka.conf", link)
        quiet(ns, "save", link)
        st = os.stat(f)
        assert (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid) == \
            (0o640, 12, 34), st
        assert os.path.islink(link) and sorted(os.listdir(d)) == \
            ["ka.conf", "link"], os.listdir(d)
        os.symlink("nothing", d + "/nowhere")
        assert "symbolic link" in said(ns, 1, "save", d + "/nowhere")
        assert os.path.islink(d + "/nowhere") and not os.path.exists(d + "/nothing")
        quiet(ns, "save", d + "/new")
        assert stat.S_IMODE(os.stat(d + "/new").st_mode) == 0o644
        for args, word in (((d,), "not a regular file"),
                           (("/dev/null",), "not a regular file"),
                           ((d + "/no/x",), "No such file"),
                           ((f + "/x",), "Not a directory")):
            assert word in said(ns, 1, "save", *args)
        assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
        for args, word in ((("-x",), '"-x"'), (("",), '""'),
                           ((f, "x"), '"x"'), ((), "--json")):
            got = said(ns, 2, "save", *args)
            assert word in got, got
        assert kactl(ns, "-j", "save", f) == (0, "[]\n", "")
        p = subprocess.run([ka.KACTL, "-a", "save", f], text=True,
                           capture_output=True, check=False)
        assert p.returncode == 2 and "--all-netns" in p.stderr, p


def test_save_out_of_range():
    """A sysctl may hold what cannot be set."""
    with ka.Netns() as ns:
        ns.sysctl("net.ipv4.tcp_keepalive_time", 40000)
        got, out, err = kactl(ns, "save")
        assert not got and "time 40000" in err, err
        assert "\npolicy set intvl 75 probes 9 " in out, out
        quiet(ns, "restore", input=out)


def test_restore_grammar():
    with ka.Netns() as ns:
        quiet(ns, "rule", "add", "pref", "3", "keepalive", "on")
        quiet(ns, "policy", "set", "intvl", "33")
        before = state(ns)
        for text, why in (
                ("frob", '1: unknown word "frob"'),
                ("\n\nkactl frob", '3: unknown word "frob"'),
                ("kactl", '1: neither "policy set" nor "rule add"'),
                ("policy", '1: neither "policy set" nor "rule add"'),
                ("policy show", '1: unknown word "show"'),
                ("policy time 5", '1: unknown word "time"'),
                ("policy set", "1: give one or more of time, "),
                ("policy set tiem 5", '1: unknown word "tiem"'),
                ("policy set time 6x", '1: time "6x": not a whole number'),
                ("policy set time 5\n#\npolicy set time 5",
                 "3: a second policy: there is one in line 1"),
                ("rule", '1: neither "policy set" nor "rule add"'),
                ("rule del pref 3", '1: unknown word "del"'),
                ("rule add time 60 -q", '1: unknown word "-q"'),
                ("rule add 'time 60", '1: "time 60": a quote that is not closed'),
                ('rule add cgroup "/x', '1: "/x": a quote that is not closed'),
                ("rule add time 60\0", "1: a NUL byte"),
                ("rule add time 60;", '1: time "60;": ')):
            got = said(ns, 2, "restore", input=text)
            assert got.startswith("kactl: restore: standard input:" + why), got
        for text, why in (
                ("rule add pref 7 time 60\nrule add pref 7 time 60",
                 "2: pref 7: there is a rule with this one in line 1"),
                ("rule add time 60\nrule add pref 10 time 60",
                 "2: pref 10: there is a rule with this one in line 1")):
            got = said(ns, 1, "restore", input=text)
            assert got == "kactl: restore: standard input:" + why, got
        with folder() as d:
            with open(d + "/f", "wb") as f:
                f.write(b"# x\npolicy set probes 999\n")
            got = said(ns, 1, "restore", d + "/f")
            assert got == f"kactl: restore: {d}/f:2: probes 999: integer out " \
                "of range (1 to 127 allowed)", got
            for path, why in ((d, "Is a directory"),
                              (d + "/no", "No such file or directory")):
                got = said(ns, 1, "restore", path)
                assert got == f"kactl: restore: {path}: {why}", got
        got = said(ns, 2, "restore", "x", "y")
        assert got == 'kactl: restore: unknown word "y"', got
        assert state(ns) == before, state(ns)


def test_restore_means():
    """The policy's other fields are reset, or it stays; the rules become
    exactly those of the file."""
    with ka.Netns() as ns:
        found = ns.kactl("policy")
        quiet(ns, "-q", "policy", "set", "time", "61", "enforce", "on")
        was = ns.kactl("policy")
        quiet(ns, "rule", "add", "pref", "3", "keepalive", "on")
        quiet(ns, "restore", input="# nothing\n\n   \t\r\n")
        assert rules(ns) == [] and ns.kactl("policy") == was
        quiet(ns, "-q", "restore", input=(
            "\tkactl  rule 'add' \"keepalive\" o\"n\" # one\r\n"
            "rule add pref 50 time 60\n#rule add x\nrule add intvl\t9"))
        assert [r["pref"] for r in rules(ns)] == [10, 50, 60], rules(ns)
        assert ns.kactl("policy") == was
        quiet(ns, "restore", input="policy set intvl 9\n")
        assert rules(ns) == []
        now = ns.kactl("policy")[0]
        assert now == {**found[0], "intvl": 9,
                       "detect_seconds": 7200 + 9 * 9}, now


def test_restore_too_long():
    """What no message can carry is refused, not left out."""
    with ka.Netns() as ns:
        quiet(ns, "rule", "add", "pref", "3", "keepalive", "on")
        before = state(ns)
        for size in 4095, 65519, 65541:
            got = said(ns, 1, "restore", input=f"rule add cgroup /{'A' * size} keepalive off\n"
                       "rule add lport 22 keepalive off\n")
            assert got == "kactl: restore: standard input:1: cgroup: too long (4095 bytes at most)", got
            assert state(ns) == before


def test_example():
    """What ships sets nothing; each line of it that could, is one."""
    path = "/etc/kactl.conf"
    if not os.path.exists(path):
        raise ka.Skip(f"no {path}")
    with open(path, encoding="ascii") as f:
        lines = [line[1:] for line in f if line[1:2].isalpha()]
    assert len(lines) > 4, lines
    with ka.Netns() as ns:
        quiet(ns, "restore", path)
        assert rules(ns) == []
        for line in lines:
            if "cgroup" not in line:
                quiet(ns, "restore", input=line)
            else:
                assert restore(ns, line)[0] == 1, line


def test_restore_all_namespaces():
    with ka.Netns() as a, ka.Netns() as b:
        text = "rule add keepalive leave\n"
        for ns in a, b:
            assert rules(ns) == []
        p = subprocess.run([ka.KACTL, "-a", "restore"], input=text, text=True,
                           capture_output=True, check=False)
        try:
            assert p.returncode == 0 and not p.stdout, p
            for ns in a, b:
                assert [r["keepalive"] for r in rules(ns)] == ["leave"]
            lines = ka.run(ka.KACTL, "-a", "rule").splitlines()
            ino = os.stat("/run/netns/" + a.name).st_ino
            at = lines.index(f"netns {a.name} netns_ino {ino}")
            assert lines[at + 1] == "pref 10 keepalive leave hits 0", lines
        finally:
            ka.run(ka.KACTL, "-a", "rule", "flush")


def test_killed():
    """The old or the new, whenever it is killed."""
    with ka.Netns() as ns:
        texts = [f"policy set time {100 + i}\n" +
                 f"rule add rport {100 + i} time 60\n" * (900 + i)
                 for i in range(2)]
        seen, rng = set(), random.Random(4)
        start = time.monotonic()
        quiet(ns, "-q", "restore", input=texts[0])
        whole = time.monotonic() - start
        for i in range(60):
            with subprocess.Popen([ka.KACTL, "-q", "-n", ns.name, "restore"],
                                  stdin=subprocess.PIPE, text=True) as p:
                try:
                    p.stdin.write(texts[(i + 1) % 2])
                    p.stdin.close()
                except BrokenPipeError:
                    pass
                time.sleep(rng.random() * 1.5 * whole)
                p.send_signal(signal.SIGKILL)
            policy, got = state(ns)
            n = policy[0]["time"] - 100
            seen.add(n)
            assert n in (0, 1) and len(got) == 900 + n, (n, len(got))
            assert {tuple(r["rport"]) for r in got} == {(100 + n,) * 2}, n
        assert seen == {0, 1}, seen


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

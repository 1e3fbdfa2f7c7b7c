#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""kactl top in a real terminal, tmux's: what it shows, keys, sizes, colours, and
what becomes of the screen when it ends."""

import contextlib
import re
import secrets
import shutil
import subprocess

import ka

COLOR = re.compile("\x1b\\[[0-9;]*3[0-7]m")


class Terminal:
    """A tmux of its own that runs a command, and then says its status."""

    def __init__(self, command, env=""):
        self.name = "ka-" + secrets.token_hex(4)
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24",
                  f"env {env} {command}; echo status $?; sleep 1000")

    def tmux(self, *args):
        return ka.run("tmux", "-L", self.name, *args)

    def screen(self, *args):
        return self.tmux("capture-pane", "-p", *args)

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def resize(self, x, y):
        self.tmux("resize-window", "-x", str(x), "-y", str(y))

    def shows(self, what, seconds=60):
        """Wait for a pattern; the screen that has it."""
        def there():
            got[0] = self.screen()
            return re.search(what, got[0])
        got = [""]
        try:
            ka.poll(what, seconds, there)
        except AssertionError as e:
            raise AssertionError(f"{e}:\n{got[0]}") from None
        return got[0]


@contextlib.contextmanager
def terminal(command, env=""):
    if not shutil.which("tmux"):
        raise ka.Skip("no tmux here")
    t = Terminal(command, env)
    try:
        yield t
    finally:
        subprocess.run(["tmux", "-L", t.name, "kill-server"], check=False,
                       stderr=subprocess.DEVNULL)


def top(ns, *args, env=""):
    return terminal(" ".join([ka.KACTL, "-n", ns.name, "top", *args]), env)


@contextlib.contextmanager
def failing():
    """A connection whose probes are lost, one that is fine, one unprotected."""
    with ka.wire() as (c, s):
        (a, _b), (d, _e), _f = ka.pair(c, s, n=3)
        ka.keepalive(d, 1, 1)
        ka.poll("an answer", 30, lambda: c.stats()["probes_answered"])
        d.setsockopt(ka.socket.SOL_SOCKET, ka.socket.SO_KEEPALIVE, 0)
        ka.keepalive(d, 7000)
        s.drop("prerouting")
        ka.keepalive(a, 1, 2, 100)
        yield c, s


def test_shows():
    with failing() as (c, s), top(c, "--delay", "4") as t:
        text = t.shows(r"(?s)worst peers.*10\.9\.0\.2:7000 +[1-9].*\d lost  ")
        print("# " + text.rstrip().replace("\n", "\n# "))
        assert f"netns {c.name}  every 4 s" in text, text
        assert "policy: time 7200 intvl 75 probes 9 enforce off" in text, text
        assert "1 alive, 1 probing, 1 unprotected" in text, text
        assert re.search(r"time to an answer \(\d\)\s", text), text
        t.shows(r"a second +0\.[1-9]")
        s.undrop()
        t.shows(r"(?s)newest events.*\d recovered 10\.9\.0\.1:\d+ > 10\.9\.0\.2:7000")
        assert "q quit" in t.screen().splitlines()[23]
        assert all(len(line) <= 80 for line in t.screen().splitlines())
        t.keys("q")
        assert "q quit" not in t.shows("status 0")


def test_event_at_once():
    """It does not wait for the next round."""
    with failing() as (c, _s), top(c, "--delay", "3600") as t:
        t.shows("every 3600 s")
        t.shows(r"(?s)newest events \([1-9].*\d lost  ")


def test_keys():
    with ka.Netns() as ns, top(ns) as t:
        t.shows("every 2 s")
        t.keys("+")
        t.shows("every 4 s")
        t.keys("-", "-")
        t.shows("every 1 s")
        t.keys("p")
        t.shows("PAUSED")
        t.keys("p", "Space", "l")
        ka.poll("going on", 20, lambda: "PAUSED" not in t.screen())
        t.keys("C-c")
        t.shows("status 0")
    with ka.Netns() as ns, top(ns) as t:
        t.shows("every 2 s")
        t.keys("F10")
        t.shows("status 0")


def test_sizes():
    with failing() as (c, _s), top(c) as t:
        for x, y in ((132, 43), (20, 5), (1, 1), (80, 24), (300, 100)):
            t.resize(x, y)
            if y >= 24:
                ka.poll("keys in the last line", 10, lambda y=y: "q quit" in (
                    t.screen().splitlines() + [""] * y)[y - 1])
                assert "newest events" in t.screen()
            elif y > 1:
                t.shows(r"\Akactl top.*\n")
        t.keys("q")
        t.shows("status 0")


def test_colors():
    with failing() as (c, _s):
        for env, want in (("", True), ("NO_COLOR=1", False), ("NO_COLOR=", True),
                          ("TERM=vt100", False)):
            with top(c, env=env) as t:
                t.shows(r"10\.9\.0\.2:7000")
                got = t.screen("-e")
                assert bool(COLOR.search(got)) == want, (env, got)


def test_refusals():
    with ka.Netns() as ns:
        for env, says in (("TERM=dumb", "without a movable cursor"),
                          ("TERM=nonsuch", 'TERM "nonsuch": no such kind'),
                          ("-u TERM", "TERM is not set"), ("TERM=", "TERM is not set")):
            with top(ns, env=env) as t:
                assert says in t.shows("status 1").replace("\n", ""), t.screen()
    for args, status, says in ((["top"], 1, "not a terminal"),
                               (["top", "--delay", "0"], 2, '--delay "0"'),
                               (["top", "--bogus"], 2, "--bogus"),
                               (["-a", "top"], 2, "--all-netns"),
                               (["-j", "top"], 2, "--json")):
        p = subprocess.run([ka.KACTL, *args], text=True, capture_output=True,
                           check=False)
        assert p.returncode == status and says in p.stderr, (args, p)
        assert p.stdout == ("[]\n" if "-j" in args else ""), p


def test_module_goes():
    """What went wrong is said when the screen is back, and nothing loads it."""
    with terminal(f"{ka.KACTL} top") as t:
        t.shows("every 2 s")
        try:
            ka.run("rmmod", "tcp_keepalive")
            text = t.shows("status 3")
            assert "was unloaded" in text or "not loaded" in text, text
        finally:
            ka.run("modprobe", "tcp_keepalive")


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

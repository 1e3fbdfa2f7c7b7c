#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""kactl report: the page says what is the case, what others have named is
escaped, and a file is whole or not there. How it looks, page.py sees later: the
page is left in /out for it."""

import ctypes
import html.parser
import os
import signal
import subprocess
import tempfile
import time

import ka

EVIL = "<b>&\"'</b>"            # a program's name, 15 bytes at most
VOID = ("meta", "br")


class Page(html.parser.HTMLParser):
    """Its words by section; each element is closed, and none is foreign."""

    KNOWN = set("html head meta title style body section div h1 h2 h3 p ul li table tr "
                "th td pre span svg rect br".split())

    def __init__(self, text):
        super().__init__()
        self.open, self.sections, self.tags = [], {}, []
        self.title = None
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        assert tag in self.KNOWN, tag
        assert not {"src", "href", "onload", "onclick"} & {a for a, _ in attrs}, attrs
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.open)
        if tag in ("td", "th") and self.title:
            self.sections[self.title] += " "

    def handle_data(self, data):
        if "h2" in self.open:
            self.title = data
            self.sections[data] = ""
        elif self.title:
            self.sections[self.title] += data


def report(ns, *args):
    """The page, and how it reads."""
    text = ka.run(ka.KACTL, "-n", ns.name, "report", "-o", "-", *args)
    return text, Page(text)


def words(page, title):
    return " ".join(page.sections[title].split())


def test_page():
    """Traffic of every kind, and the page of it for the browser."""
    with ka.wire() as (c, s):
        (a, _a), (b, _b), *rest = ka.pair(c, s, n=5)
        ka.keepalive(a, 1, 1, 9)
        ka.poll("an answer", 30, lambda: c.stats()["probes_answered"])
        c.kactl("policy", "set", "time", "500", "intvl", "20")
        c.kactl("rule", "add", "rport", "7001", "keepalive", "leave", "time", "60..300")
        s.drop("prerouting")
        ka.keepalive(b, 1, 1, 3)
        p = subprocess.Popen([ka.KACTL, "-n", c.name, "report", "-o", "-", "--for", "8",
                              "--behind", "nlb"], stdout=subprocess.PIPE, text=True)
        ka.poll("dead", 30, lambda: c.stats()["conns_dead"])
        s.undrop()
        text, _ = p.communicate(timeout=60)
        assert p.returncode == 0, p
        page = Page(text)
        policy = words(page, "Policy in force")
        assert "time 500 " in policy and "pref 10 rport 7001" in policy, policy
        counters = words(page, "Counters since the module was loaded")
        assert "conns_dead 1 " in counters, counters
        hists = words(page, "Histograms")
        assert "None yet" not in hists.split("row before")[0], hists
        events = words(page, "Timeline of events")
        assert " dead 10.9.0.1:" in events and " lost 10.9.0.1:" in events, events
        assert page.tags.count("rect") > 4, events
        advice = words(page, "Advice")
        assert "kactl policy set time 175 intvl 43 enforce on" in advice, advice
        assert len(rest) == 3
        if os.path.isdir("/out"):
            with open("/out/report.html", "w", encoding="utf-8") as f:
                f.write(text)


def test_programs_by_name():
    """A program may call itself what it likes."""
    libc = ctypes.CDLL(None)
    with ka.wire() as (c, s):
        socks = ka.pair(c, s, n=4)
        with open("/proc/self/comm", encoding="utf-8") as f:
            was = f.read().strip()
        try:
            libc.prctl(15, EVIL.encode(), 0, 0, 0)
            text, page = report(c)
        finally:
            libc.prctl(15, was.encode(), 0, 0, 0)
        assert f"{EVIL} 4" in words(page, "Unprotected connections, by program"), text
        assert EVIL not in text and "b" not in page.tags
        for a, _ in socks:
            ka.keepalive(a)
        assert "None:" in words(report(c)[1], "Unprotected connections, by program")


def test_nothing_from_elsewhere():
    with ka.Netns() as ns:
        text, page = report(ns)
        assert "default-src 'none'" in text
        assert "http" not in text.replace("http-equiv", ""), text
        assert "--for SECONDS" in words(page, "Timeline of events")
        assert "Nothing is recommended" in words(page, "Advice")


def test_ctrl_c():
    """It ends the listening, and there is a page."""
    with ka.Netns() as ns:
        p = subprocess.Popen(["ip", "netns", "exec", ns.name, ka.KACTL, "report",
                              "-o", "-", "--for", "5000"], stdout=subprocess.PIPE, text=True)
        time.sleep(5)
        p.send_signal(signal.SIGINT)
        text, _ = p.communicate(timeout=60)
        assert p.returncode == 0
        assert "Nothing happened in " in words(Page(text), "Timeline of events")


def refused(status, says, *args, options=()):
    p = subprocess.run([ka.KACTL, *options, "report", *args], text=True,
                       capture_output=True, check=False)
    assert p.returncode == status and says in p.stderr, p
    return p.stdout


def test_files():
    """Replaced whole; a full disk leaves the old one."""
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/page.html"
        ka.run(ka.KACTL, "report", "-o", path)
        with open(path, encoding="utf-8") as f:
            Page(f.read())
        ka.run("mount", "-t", "tmpfs", "-o", "size=8k", "none", folder)
        try:
            with open(path, "w", encoding="utf-8") as f:
                f.write("old\n")
            refused(1, "No space left", "-o", path)
            with open(path, encoding="utf-8") as f:
                assert f.read() == "old\n"
            assert os.listdir(folder) == ["page.html"]
        finally:
            ka.run("umount", folder)
        refused(1, "No such file", "-o", folder + "/none/page.html")


def test_closed_pipe():
    """A reader that has seen enough is no error to tell of."""
    r, w = os.pipe()
    os.close(r)
    p = subprocess.run([ka.KACTL, "report", "-o", "-"], stdout=w, text=True,
                       stderr=subprocess.PIPE, check=False)
    os.close(w)
    assert (p.returncode, p.stderr) == (1, ""), p


def test_refusals():
    refused(2, "-o FILE.html")
    refused(2, '"--bogus"', "--bogus")
    refused(2, '--for "86401"', "-o", "-", "--for", "86401")
    refused(2, "nonsuch", "-o", "-", "--behind", "nonsuch")
    refused(2, "--all-netns", "-o", "-", options=("-a",))
    assert refused(2, "--json", "-o", "-", options=("-j",)) == "[]\n"


def test_does_not_load():
    ka.run("rmmod", "tcp_keepalive")
    try:
        assert refused(3, "not loaded", "-o", "-") == ""
    finally:
        ka.run("modprobe", "tcp_keepalive")


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

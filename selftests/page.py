#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""page.py FILE.html [PICTURES]: opens a page of kactl report in headless Chromium,
narrow and wide, light and dark: nothing is asked of a network, nothing scrolls
sideways, no script of anybody's runs, the contrast is that of WCAG AA. Pictures
of it go to the folder PICTURES. It runs outside of the machine, where a browser
is fast: vm exec -- selftests/page.py FILE."""

import base64
import fcntl
import json
import os
import select
import subprocess
import sys
import tempfile
import time

SEEN = """(() => {
  const rgb = s => s.match(/[\\d.]+/g).map(Number);
  const light = c => { const [r, g, b] = c.slice(0, 3).map(v => { v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05); };
  const behind = e => { for (; e; e = e.parentElement) {
    const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  let text = 99, marks = 99, n = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim()) continue;
    n++;
    text = Math.min(text, ratio(rgb(getComputedStyle(e).color), behind(e)));
  }
  for (const e of document.querySelectorAll('.bar'))
    marks = Math.min(marks, ratio(rgb(getComputedStyle(e).backgroundColor),
                                  behind(e.parentElement)));
  for (const e of document.querySelectorAll('svg rect:not(.lane)'))
    marks = Math.min(marks, ratio(rgb(getComputedStyle(e).fill), rgb(getComputedStyle(
      e.ownerSVGElement.querySelector('.lane')).fill)));
  return JSON.stringify({text, marks, texts: n, scripts: document.scripts.length,
    bars: document.querySelectorAll('.bar').length,
    wide: document.documentElement.scrollWidth, inner: innerWidth,
    high: document.documentElement.scrollHeight,
    paper: light(behind(document.body))});
})()"""


class Browser:
    """Chromium on two pipes, as --remote-debugging-pipe has it."""

    def __init__(self, home):
        down, up = os.pipe(), os.pipe()

        def ends():
            """3 and 4 are what it reads and writes, whatever they were."""
            reads, writes = (fcntl.fcntl(fd, fcntl.F_DUPFD, 10)
                             for fd in (down[0], up[1]))
            os.dup2(reads, 3)
            os.dup2(writes, 4)
        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
             "--no-first-run", "--disable-background-networking",
             "--remote-debugging-pipe", "--user-data-dir=" + home, "about:blank"],
            preexec_fn=ends, close_fds=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(down[0])
        os.close(up[1])
        self.out, self.into = up[0], down[1]
        self.buffer, self.id, self.events = b"", 0, []

    def receive(self, end):
        while b"\0" not in self.buffer:
            left = end - time.monotonic()
            if left < 0 or not select.select([self.out], [], [], left)[0]:
                raise AssertionError("the browser does not answer")
            got = os.read(self.out, 1 << 16)
            assert got, "the browser has ended"
            self.buffer += got
        line, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(line)

    def call(self, method, session=None, seconds=60, **params):
        self.id += 1
        message = {"id": self.id, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.into, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + seconds
        while True:
            got = self.receive(end)
            if got.get("id") == self.id:
                assert "error" not in got, (method, got)
                return got["result"]
            self.events.append(got)

    def wait(self, method, seconds=60):
        end = time.monotonic() + seconds
        while not any(e.get("method") == method for e in self.events):
            self.events.append(self.receive(end))

    def close(self):
        self.process.kill()
        self.process.wait()


def look(browser, url, width, scheme, picture):
    """Open the page; what is to be seen of it."""
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target,
                           flatten=True)["sessionId"]
    for domain in ("Page", "Network", "Log", "Runtime"):
        browser.call(domain + ".enable", session)
    browser.call("Emulation.setDeviceMetricsOverride", session, width=width,
                 height=800, deviceScaleFactor=1, mobile=width < 600)
    browser.call("Emulation.setEmulatedMedia", session, features=[
        {"name": "prefers-color-scheme", "value": scheme}])
    browser.events = []
    browser.call("Page.navigate", session, url=url)
    browser.wait("Page.loadEventFired")
    got = json.loads(browser.call("Runtime.evaluate", session,
                                  expression=SEEN)["result"]["value"])
    if picture:
        data = browser.call("Page.captureScreenshot", session,
                            captureBeyondViewport=True)["data"]
        with open(picture, "wb") as f:
            f.write(base64.b64decode(data))
    got["urls"] = {e["params"]["request"]["url"] for e in browser.events
                   if e.get("method") == "Network.requestWillBeSent"}
    got["said"] = [e["params"] for e in browser.events if e.get("method") in (
        "Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown",
        "Page.javascriptDialogOpening")]
    browser.call("Target.closeTarget", targetId=target)
    return got


def check(got, url, width, scheme):
    """What is wrong, as a list."""
    wrong = []
    if got["urls"] != {url}:
        wrong.append(f"it asks for {got['urls']}")
    if got["said"] or got["scripts"]:
        wrong.append(f"a script, or a complaint: {got['said']}")
    if got["inner"] != width or got["wide"] > width:
        wrong.append(f"{got['wide']} wide in a window of {got['inner']}")
    if got["text"] < 4.5 or got["marks"] < 3:
        wrong.append(f"contrast {got['text']:.2f}, of marks {got['marks']:.2f}")
    if (got["paper"] > 0.5) != (scheme == "light"):
        wrong.append(f"it is not {scheme}")
    if got["texts"] < 50 or not got["bars"]:
        wrong.append("there is hardly anything on it")
    return wrong


def main(page, pictures=None):
    url = "file://" + os.path.abspath(page)
    views = [(w, s) for w in (360, 1280) for s in ("light", "dark")]
    failed = False
    print("TAP version 13", f"1..{len(views)}", sep="\n")
    with tempfile.TemporaryDirectory() as home:
        browser = Browser(home)
        try:
            for i, (width, scheme) in enumerate(views, 1):
                picture = pictures and f"{pictures}/{width}-{scheme}.png"
                wrong = check(look(browser, url, width, scheme, picture), url,
                              width, scheme)
                for line in wrong:
                    print("#", line)
                print(f"{'not ' if wrong else ''}ok {i} page {width} {scheme}")
                failed |= bool(wrong)
        finally:
            browser.close()
    sys.exit(failed)


if __name__ == "__main__":
    main(*sys.argv[1:])

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""kactl http check: what it measures of real servers is what they are told, and
what it makes of that."""

import json
import os
import subprocess
import time

import ka
from httpd import IDLE, MAX, about, advised, check, kactl, serve


def held(name, late, most, keep_alive):
    """The server does what it was told: closes when idle for IDLE seconds, late
    by no more than its own clock is coarse, and takes so many requests."""
    with serve(name) as (ns, port, _):
        began = time.monotonic()
        got = check(ns, f"http://127.0.0.1:{port}/", *(() if most else ("--requests", "50")))
        took = time.monotonic() - began
        assert got["http_version"] == "1.1" and got["persistent"] is True, got
        m = got["measured"]
        assert about(m["idle_timeout_ms"], IDLE, late) and not m["idle_capped"], got
        assert m["closed_by"] == "server-fin", got
        if most:
            assert m["max_requests"] in most and not m["requests_capped"], got
            advised(got, f"takes {m['max_requests']} requests", "Connection: close")
            assert took < 8, f"took {took} s"
        else:
            assert m["max_requests"] == 50 and m["requests_capped"], got
            advised(got, "at least 50 requests")
        assert got["keep_alive"] == keep_alive, got
        assert 0 < got["safe_reuse_ms"] <= m["idle_timeout_ms"] - 500, got
        assert got["fresh_ms"] > 0 and got["reused_ms"] > 0, got
        return got


def test_nginx():
    got = held("nginx", 0.5, [MAX], {"timeout": IDLE})
    assert got["connection_header"] == "keep-alive", got
    assert got["reused_ms"] < got["fresh_ms"], got
    advised(got, "timeout=5 is true")
    advised(got, "reuse saves")


def test_speed():
    """A request on a connection that is there takes what it takes curl."""
    with serve("nginx") as (ns, port, _):
        url = f"http://127.0.0.1:{port}/"
        times = ns.exec("curl", "-s", "-o", "/dev/null", "-w", "%{time_total}\\n", url + "[1-95]")
        curl = sorted(1000 * float(t) for t in times.split()[1:])[47]
        got = check(ns, url, "--idle-max", "1")
        assert 0 < got["reused_ms"] <= 1.1 * curl + 0.02, (got, curl)


def test_apache():
    # It counts those that are still to come.
    got = held("apache2", 1.1, [MAX, MAX + 1], {"timeout": IDLE, "max": MAX})
    advised(got, "timeout=5 is true")
    assert not any("not true" in line for line in got["advice"]), got


def test_haproxy():
    held("haproxy", 0.5, None, {})


def test_lighttpd():
    # Looks at its connections once a second.
    held("lighttpd", 2.1, [MAX, MAX + 1], {})


def test_node():
    # Some versions wait for a second more, so as not to close too soon; those before 16.10 know no maximum.
    with serve("node") as (ns, port, _):
        said = check(ns, f"http://127.0.0.1:{port}/", "--idle-max", "1", "--requests", "1")
        said = said["keep_alive"]
    assert said["timeout"] == IDLE and said.get("max", MAX) == MAX, said
    held("node", 1.5, [MAX] if "max" in said else None, said)


def test_python():
    held("python3", 0.5, None, {})


def test_http_server():
    """Python's own answers in HTTP/1.0, and closes."""
    with serve("http.server") as (ns, port, _):
        got = check(ns, f"http://127.0.0.1:{port}/")
    assert got["http_version"] == "1.0" and got["persistent"] is False, got
    assert got["measured"] == {"idle_timeout_ms": None, "idle_capped": False, "max_requests": 1,
                               "requests_capped": False, "closed_by": "server-fin"}, got
    assert got["safe_reuse_ms"] is None and got["reused_ms"] is None, got
    advised(got, "grants no Connection: keep-alive")


def test_one_at_a_time():
    """The others wait until the idle connection has ended, and so do we."""
    with serve("one at a time") as (ns, port, _):
        got = check(ns, f"http://127.0.0.1:{port}/", "--requests", "20")
    assert about(got["measured"]["idle_timeout_ms"], IDLE), got
    assert got["measured"]["max_requests"] == 20, got
    advised(got, "one connection at a time")


def test_verdicts():
    """Said against done, and what follows behind something else."""
    with serve("nginx") as (ns, _, _):
        got = check(ns, "http://127.0.0.1:8004/", "--behind", "30")
        assert got["keep_alive"] == {"timeout": 60}, got
        assert about(got["measured"]["idle_timeout_ms"], 20), got
        assert about(got["safe_reuse_ms"], 19), got
        advised(got, "timeout=60 is not true", "20.0 s")
        advised(got, "behind a proxy (30 s)", "502")
        got = check(ns, "http://127.0.0.1:8004/", "--behind", "10", "--requests", "3")
        advised(got, "behind a proxy (10 s): right")
        for name, words in (("alb", ("(60 s)", "502")), ("nlb", ("(350 s)", "right")),
                            ("nginx", ("(60 s)", "502"))):
            got = check(ns, "http://127.0.0.1:8001/", "--behind", name, "--requests", "3")
            advised(got, f"behind {name}", *words)
            advised(got, name + ":", "https://")
        got = check(ns, "http://127.0.0.1:8003/", "--behind", "alb")
        assert got["connection_header"] == "close" and not got["persistent"], got
        assert got["measured"]["closed_by"] == "server-close", got
        advised(got, "closes the connection after each response, and says so")
        advised(got, "behind alb: nothing to fear")


def test_idle_max():
    """What was not waited for is not taken for a close."""
    with serve("nginx") as (ns, _, _):
        got = check(ns, "http://127.0.0.1:8004/", "--idle-max", "3", "--requests", "10",
                    "--behind", "alb")
    m = got["measured"]
    assert about(m["idle_timeout_ms"], 3) and m["idle_capped"] and m["closed_by"] is None, got
    assert m["max_requests"] == 10 and m["requests_capped"], got
    advised(got, "timeout=60 was not reached")
    advised(got, "behind alb (60 s): not known", "--idle-max 62")


def test_http10():
    """Where the header asks for it, and is answered."""
    with serve("nginx") as (ns, _, _):
        got = check(ns, "http://127.0.0.1:8001/", "--http1.0")
        assert got["connection_header"] == "keep-alive" and got["persistent"], got
        assert got["measured"]["max_requests"] == MAX, got
        got = check(ns, "http://127.0.0.1:8003/", "-0")
        assert got["connection_header"] == "close" and not got["persistent"], got


def test_words():
    """What is not understood is named, and standard output stays JSON."""
    with ka.Netns() as ns:
        for status, args, word in (
                (2, (), "URL"), (2, ("ftp://x",), '"ftp://x"'), (2, ("http://",), '"http://"'),
                (2, ("http://x:99999/",), '"http://x:99999/"'),
                (2, ("http://a b/",), '"http://a b/"'),
                (2, ("http://x", "more"), '"more"'), (2, ("http://x", "--nonsense"), '"--nonsense"'),
                (2, ("http://x", "--idle-max", "0"), '--idle-max "0": out of range (1 to 604800 allowed)'),
                (2, ("http://x", "--idle-max", "1e3"), '"1e3"'),
                (2, ("http://x", "--requests", "-1"), '--requests "-1": out of range (1 to 2147483647 allowed)'),
                (2, ("http://x", "--behind", "nobody"), '"nobody"'),
                (2, ("http://x", "--behind", "0"), '--behind "0": out of range'),
                (2, ("http://x", "--behind", "316224001"), '--behind "316224001": out of range'),
                (2, ("http://x", "--behind", "9223372036854775807"), '--behind "9223372036854775807": out of range'),
                *((2, ("http://x", "--resolve", word), f'"{word}": not HOST:PORT:ADDRESS') for word in (
                    "nothing", "x:80", "x:80:", "x:80:nowhere", "x:80:127.0.0.1,", "x:80:127.0.0.1,y", "x:0:127.0.0.1",
                    "x:65536:127.0.0.1", "x: 80:127.0.0.1", "x:80:[127.0.0.1]", "x:80:[::1", ":80:127.0.0.1",
                    "-x:80", "+x:80:127.0.0.1", "x:80:" + "1" * 100)),
                # These are, and nobody is there.
                *((1, ("http://x:1", "--resolve", f"x:1:{addresses}"), "http://x:1/") for addresses in (
                    "127.0.0.1", "::1", "[::1]", "127.0.0.1,[::1]")),
                (2, ("http://x", "--proxy", "foo://x"), '"foo://x"'),
                (2, ("http://x", "-x", "127.0.0.1:99999"), '"127.0.0.1:99999"'),
                (2, ("http://x", "--header", "Connection: close"), '"Connection: close"'),
                (2, ("http://x", "--header", "nothing"), '"nothing"'),
                (2, ("http://x", "--max-time"), '"--max-time"'),
                (1, ("http://127.0.0.1:1/",), "127.0.0.1"),
                (1, ("http://nowhere.invalid/",), "nowhere.invalid"),
                (1, ("http://x/", "--unix-socket", "/nowhere"), "http://x/"),
                (1, ("https://127.0.0.1:1/", "--cacert", "/nowhere"), "127.0.0.1")):
            out, err = kactl(ns, "-j", "http", "check", *args, status=status)
            assert json.loads(out) == [] and word in err, (args, err)
            assert err.startswith("kactl: http check: "), (args, err)
        out, _ = kactl(ns, "-j", "http", "behind")
        boxes = json.loads(out)
        wanted = {"alb", "nlb", "azure", "gcp", "cloudflare", "nginx"}
        assert wanted <= {b["name"] for b in boxes}, boxes
        for box in boxes:
            assert box["idle"] > 0 and box["layer"] in ("tcp", "http"), box
            assert box["source"].startswith("https://"), box
        p = subprocess.run([ka.KACTL, "-a", "http", "check", "http://x/"], capture_output=True,
                           check=False)
        assert p.returncode == 2, p


def test_without_libcurl():
    """It is loaded when it is wanted, and missed by name."""
    path = [line.split()[-1] for line in ka.run("ldconfig", "-p").splitlines()
            if "libcurl.so.4 " in line]
    if not path:
        raise ka.Skip("no libcurl.so.4 here")
    gone = f"mount --bind /dev/null {os.path.realpath(path[0])} && exec \"$@\""
    for status, word, args in ((1, "libcurl4", ("http", "check", "http://x/")),
                               (0, "kactl", ("-V",))):
        p = subprocess.run(["unshare", "--mount", "sh", "-c", gone, "sh", ka.KACTL, *args],
                           text=True, capture_output=True, check=False)
        assert p.returncode == status and word in p.stdout + p.stderr, p


ka.main([test_words, test_without_libcurl, test_nginx, test_speed, test_apache,
         test_haproxy, test_lighttpd, test_node, test_python, test_http_server,
         test_one_at_a_time, test_verdicts, test_idle_max, test_http10])

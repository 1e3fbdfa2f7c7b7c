#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""kactl metrics: OpenMetrics by its own rules, the file for node_exporter, HTTP,
a real Prometheus; the alerts and the dashboard that ship with it."""

import contextlib
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

import ka

SHARE = "/usr/local/share/tcp-keepalive/"
HERE = os.path.dirname(os.path.abspath(__file__))
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
SAMPLE = re.compile(r'([a-z_]+)\{netns="([^"]*)"(?:,le="([^"]*)")?\} (-?\d+)')


def parse(text):
    """Families by name, each (type, unit, [(name, netns, le, value)]); what
    OpenMetrics forbids is an error."""
    lines = text.split("\n")
    assert lines[-2:] == ["# EOF", ""], lines[-3:]
    families, name = {}, None
    for line in lines[:-2]:
        if line.startswith("# "):
            kind, of, rest = line[2:].split(" ", 2)
            if kind == "HELP":
                assert of not in families, f"{of} twice"
                name = of
                families[name] = [None, None, []]
            assert of == name and rest, line
            assert not families[name][2], f"{line}: after samples"
            if kind == "TYPE":
                families[name][0] = rest
            elif kind == "UNIT":
                families[name][1] = rest
                assert name.endswith("_" + rest), line
            else:
                assert kind == "HELP", line
            continue
        got = SAMPLE.fullmatch(line)
        assert got, line
        end = {"counter": "_total", "gauge": "", "histogram": "_bucket"}
        assert got[1] == name + end[families[name][0]], line
        assert (got[3] is not None) == (families[name][0] == "histogram"), line
        families[name][2].append((got[1], got[2], got[3], int(got[4])))
    for name, (kind, _, samples) in families.items():
        assert len({s[:3] for s in samples}) == len(samples), f"{name}: twice"
        if kind == "histogram":
            check_histogram(name, samples)
    return families


def check_histogram(name, samples):
    """Rising bounds written as OpenMetrics wants them, counts that grow."""
    for netns in {s[1] for s in samples}:
        rows = [(s[2], s[3]) for s in samples if s[1] == netns]
        assert rows[-1][0] == "+Inf", f"{name}: {rows}"
        bounds = [float(le) for le, _ in rows]
        assert bounds == sorted(set(bounds)), f"{name}: {bounds}"
        assert all(repr(float(le)) == le for le, _ in rows[:-1]), f"{name}: {rows}"
        counts = [n for _, n in rows]
        assert counts == sorted(counts), f"{name}: {counts}"


def values(text, netns):
    """Of one namespace, by the name of the sample; of a histogram the whole."""
    return {s[0]: s[3] for f in parse(text).values() for s in f[2]
            if s[1] == netns and s[2] in (None, "+Inf")}


def agrees(text, ns):
    """The same numbers as kactl stats and policy."""
    got, stats, = values(text, ns.name), ns.stats()
    for key, value in stats.items():
        if key in ("netns", "netns_ino"):
            continue
        name = {"rtt_us": "rtt_seconds_bucket",
                "detect_ms": "detect_seconds_bucket"}.get(key, key)
        if isinstance(value, list):
            value = sum(b["count"] for b in value)
            name = name.removesuffix("_bucket") + "_bucket"
        elif key not in ("probes_pending", "conns_tracked"):
            name += "_total"
        assert got.pop("tcp_keepalive_" + name) == value, (name, got, stats)
    policy, = ns.kactl("policy")
    want = {"tcp_keepalive_policy_" + k: int(policy[v]) for k, v in (
        ("time_seconds", "time"), ("intvl_seconds", "intvl"),
        ("probes", "probes"), ("enforce", "enforce"), ("inherit", "inherit"))}
    assert got == want, (got, want)


@contextlib.contextmanager
def used():
    """Two namespaces, of which the first has something in every histogram."""
    with ka.wire() as (c, s):
        (a, _a), (b, _b) = ka.pair(c, s, n=2)
        ka.keepalive(a, 1, 1, 5)
        ka.poll("an answer", 30, lambda: c.stats()["probes_answered"])
        s.drop("prerouting")
        lost = c.stats()["probes_lost"]
        ka.keepalive(b, 1, 1, 2)
        ka.poll("a loss", 30, lambda: c.stats()["probes_lost"] > lost + 1 and
                c.stats()["conns_dead"])
        s.undrop()
        ka.poll("recovered", 30, lambda: c.stats()["conns_recovered"])
        a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
        ka.poll("quiet", 10, lambda: not c.stats()["probes_pending"])
        yield c, s


def metrics(ns, *args):
    return ka.run(ka.KACTL, "-n", ns.name, "metrics", *args)


def test_openmetrics():
    with used() as (c, s):
        text = metrics(c)
        agrees(text, c)
        got = values(text, c.name)
        for hist in ("rtt_seconds", "lost_in_row", "detect_seconds"):
            assert got[f"tcp_keepalive_{hist}_bucket"], (hist, text)
        detect = {s[2]: s[3] for s in parse(text)["tcp_keepalive_detect_seconds"][2]}
        assert detect["2.048"] == 0 and detect["8.192"] == 1, detect
        units = {n: f[1] for n, f in parse(text).items() if f[1]}
        assert units["tcp_keepalive_probe_bytes"] == "bytes", units
        assert units["tcp_keepalive_rtt_seconds"] == "seconds", units
        agrees(metrics(s), s)


def test_all_netns():
    """One that has no name goes by its inode number; each family is of one piece."""
    with ka.Netns() as ns:
        p = subprocess.Popen(["unshare", "-n", "sleep", "1000"])
        try:
            own = os.stat("/proc/self/ns/net").st_ino
            ka.poll("a namespace", 10, lambda: os.stat(
                f"/proc/{p.pid}/ns/net").st_ino != own)
            ino = os.stat(f"/proc/{p.pid}/ns/net").st_ino
            text = ka.run(ka.KACTL, "-a", "metrics")
        finally:
            p.kill()
            p.wait()
        assert values(text, str(ino)) and values(text, str(own)), text
        agrees(text, ns)


def test_name_of_others():
    """What a namespace is called cannot break a line, nor be what is not UTF-8."""
    for name, label in ((b'ka-a"b\\c', r'ka-a\"b\\c'), (b"ka-a\nb", r"ka-a\nb"),
                        (b"ka-\xff\xc3\xa9\xe2\x82", "ka-?\u00e9??")):
        ka.run("ip", "netns", "add", name)
        try:
            text = subprocess.run([ka.KACTL, "-n", name, "metrics"], check=True,
                                  stdout=subprocess.PIPE).stdout
        finally:
            ka.run("ip", "netns", "del", name)
        assert '{netns="%s"}' % label in text.decode(), text


def promtool(*args, **kw):
    p = subprocess.run(["promtool", *args], text=True, capture_output=True,
                       check=False, **kw)
    return p.returncode, p.stdout + p.stderr


def test_textfile():
    """promtool finds nothing; the file is replaced whole or not at all."""
    with used() as (c, _s), tempfile.TemporaryDirectory() as folder:
        assert promtool("check", "metrics", input=metrics(c, "--textfile", "-")) \
            == (0, "")
        path = folder + "/kactl.prom"
        metrics(c, "--textfile", path)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        assert "# TYPE tcp_keepalive_probes_sent_total counter\n" in text, text
        assert f'tcp_keepalive_rtt_seconds_count{{netns="{c.name}"}} ' in text
        ka.run("mount", "-t", "tmpfs", "-o", "size=8k", "none", folder)
        try:
            with open(path, "w", encoding="utf-8") as f:
                f.write("old\n")
            p = subprocess.run([ka.KACTL, "-n", c.name, "metrics", "--textfile",
                                path], text=True, capture_output=True, check=False)
            assert p.returncode == 1 and "No space left" in p.stderr, p
            with open(path, encoding="utf-8") as f:
                assert f.read() == "old\n"
            assert os.listdir(folder) == ["kactl.prom"]
        finally:
            ka.run("umount", folder)


def test_textfile_of_all():
    """One that lacks a namespace would look like a restart, and replaces none."""
    broken = "/run/netns/ka-broken"
    with used() as (c, _s), tempfile.TemporaryDirectory() as folder:
        path = folder + "/kactl.prom"
        ka.run(ka.KACTL, "-a", "metrics", "--textfile", path)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        assert f'netns="{c.name}"' in text, text
        try:
            with open(broken, "wb"):
                pass
            p = subprocess.run([ka.KACTL, "-a", "metrics", "--textfile", path], text=True,
                               capture_output=True, check=False)
        finally:
            os.unlink(broken)
        assert p.returncode == 1 and "ka-broken" in p.stderr, p
        with open(path, encoding="utf-8") as f:
            assert f.read() == text
        assert os.listdir(folder) == ["kactl.prom"]


def test_closed_pipe():
    """A reader that has seen enough is no error to tell of."""
    for args in (), ("--textfile", "-"):
        r, w = os.pipe()
        os.close(r)
        p = subprocess.run([ka.KACTL, "metrics", *args], stdout=w, text=True,
                           stderr=subprocess.PIPE, check=False)
        os.close(w)
        assert (p.returncode, p.stderr) == (1, ""), p


def refused(status, says, *args, options=()):
    p = subprocess.run([ka.KACTL, *options, "metrics", *args], text=True,
                       capture_output=True, check=False, timeout=20)
    assert p.returncode == status and says in p.stderr, p
    return p.stdout


def test_refusals():
    for bad in ("9000", "localhost:9000", "127.0.0.1", "127.0.0.1:", "::1:9000",
                "127.0.0.1:0", "127.0.0.1:65536", "[127.0.0.1]:9000", "[::1]",
                "[]:9000", "127.0.0.1:9x", "127.0.0.1:+9000", "127.0.0.1: 9000"):
        refused(2, f'--listen "{bad}": not ADDR:PORT', "--listen", bad)
    refused(2, '"--bogus"', "--bogus")
    refused(2, "exclude", "--listen", "127.0.0.1:9000", "--textfile", "-")
    assert refused(2, "--json", options=("-j",)) == "[]\n"
    refused(1, "Cannot assign", "--listen", "192.0.2.1:9000")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        addr = "127.0.0.1:%d" % taken.getsockname()[1]
        refused(1, f"--listen {addr}: Address already in use", "--listen", addr)


@contextlib.contextmanager
def server(*options, addr="127.0.0.1", port=9199, end=signal.SIGTERM):
    host = f"[{addr}]" if ":" in addr else addr
    p = subprocess.Popen([ka.KACTL, *options, "metrics", "--listen",
                          f"{host}:{port}"], stderr=subprocess.PIPE, text=True)

    def listens():
        with contextlib.suppress(OSError):
            socket.create_connection((addr, port)).close()
            return True
        assert p.poll() is None, p.communicate()
        return False
    try:
        ka.poll("a server", 20, listens)
        yield p
        p.send_signal(end)
        _, err = p.communicate(timeout=20)
        assert p.returncode == 0, (p.returncode, err)
    finally:
        p.kill()
        p.communicate()


def get(path="/metrics", accept=None, method="GET", addr="127.0.0.1", port=9199):
    c = http.client.HTTPConnection(addr, port, timeout=30)
    c.request(method, path, headers={"Accept": accept} if accept else {})
    r = c.getresponse()
    body = r.read().decode()
    c.close()
    return r.status, r.headers, body


def test_it_holds_no_namespace():
    """It has been in all of them, and is in its own again."""
    with ka.Netns(), server("-a") as p:
        assert get()[0] == 200
        assert os.stat(f"/proc/{p.pid}/ns/net").st_ino == os.stat("/proc/self/ns/net").st_ino


def test_http():
    with ka.Netns() as ns, server("-a"):
        status, headers, body = get()
        assert (status, headers["Content-Type"]) == (200, OPEN), headers
        agrees(body, ns)
        for accept, want in (
                ("application/openmetrics-text;version=1.0.0,"
                 "application/openmetrics-text;version=0.0.1;q=0.75,"
                 "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OPEN),
                ("text/plain;version=0.0.4;q=1,*/*;q=0.1", TEXT),
                ("text/plain", TEXT), ("text/*, application/json", TEXT),
                ("*/*", OPEN), ("application/openmetrics-text;q=0, */*", TEXT),
                ("text/html,application/xml;q=0.9", OPEN)):
            _, headers, body = get(accept=accept)
            assert headers["Content-Type"] == want, (accept, headers)
            assert body.endswith("# EOF\n") == (want == OPEN), accept
        status, headers, body = get(method="HEAD")
        assert status == 200 and not body, body
        assert int(headers["Content-Length"]) > 1000, headers
        assert get("/")[0] == get("/metrics/x")[0] == 404
        status, headers, _ = get(method="POST")
        assert (status, headers["Allow"]) == (405, "GET, HEAD"), headers


def test_ipv6_and_one_netns():
    with ka.Netns() as ns, ns.inside(), \
            server(addr="::1", end=signal.SIGINT):
        agrees(get(addr="::1")[2], ns)


def test_bounded():
    """Many that say nothing keep nobody out for long."""
    with server("-a"):
        idle = [socket.create_connection(("127.0.0.1", 9199)) for _ in range(40)]
        start = time.monotonic()
        ka.poll("an answer", 40, lambda: answers())
        assert time.monotonic() - start < 40
        for s in idle:
            s.close()


def test_dripping():
    """One that always says a little more may not stay for it."""
    with server("-a"), socket.create_connection(("127.0.0.1", 9199)) as s:
        start = time.monotonic()
        s.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        while not select.select([s], [], [], 5)[0]:
            assert time.monotonic() - start < 100
            s.sendall(b"x")
        with contextlib.suppress(ConnectionError):
            assert s.recv(1) == b""
        # For longer than one that is silent.
        assert time.monotonic() - start > 50
        assert answers()


def answers():
    with contextlib.suppress(OSError, http.client.HTTPException):
        return get()[0] == 200
    return False


def test_module_absent():
    """503, and nothing loads it; when it is back, so are the metrics."""
    with server("-a"):
        ka.run("rmmod", "tcp_keepalive")
        try:
            status, _, body = get()
            assert status == 503 and "not loaded" in body, body
            assert refused(3, "not loaded") == ""
            assert not os.path.exists("/sys/module/tcp_keepalive")
        finally:
            ka.run("modprobe", "tcp_keepalive")
        assert get()[0] == 200


def test_unprivileged():
    """In one's own namespace it takes no privilege."""
    with ka.Netns() as ns:
        text = ns.exec("setpriv", "--reuid", "65534", "--clear-groups",
                       ka.KACTL, "metrics")
        agrees(text.replace(str(os.stat("/run/netns/" + ns.name).st_ino), ns.name),
               ns)


def panels():
    """What the dashboard asks for."""
    with open(SHARE + "dashboard.json", encoding="utf-8") as f:
        dashboard = json.load(f)
    return [t["expr"] for p in dashboard["panels"] for t in p["targets"]]


def asked(port, expr, netns):
    """What Prometheus answers, with Grafana's variables as Grafana puts them in."""
    for name, value in (("$instance", ".*"), ("$netns", netns),
                        ("$__rate_interval", "1m")):
        expr = expr.replace(name, value)
    assert "$" not in expr, expr
    return query(port, "/api/v1/query?" +
                 urllib.parse.urlencode({"query": expr}))["result"]


def query(port, what):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    c.request("GET", what)
    got = json.load(c.getresponse())
    c.close()
    assert got["status"] == "success", (what, got)
    return got["data"]


def test_prometheus():
    """One that is real scrapes it, and its numbers are ours."""
    if not shutil.which("prometheus"):
        raise ka.Skip("no prometheus here")
    with used() as (c, _s), server("-a"), tempfile.TemporaryDirectory() as folder:
        with open(folder + "/prometheus.yml", "w", encoding="utf-8") as f:
            json.dump({"global": {"scrape_interval": "2s"},
                       "rule_files": [SHARE + "alerts.yml"],
                       "scrape_configs": [{"job_name": "kactl", "static_configs": [
                           {"targets": ["127.0.0.1:9199"]}]}]}, f)
        p = subprocess.Popen(
            ["prometheus", "--config.file", folder + "/prometheus.yml",
             "--storage.tsdb.path", folder + "/data",
             "--web.listen-address", "127.0.0.1:9198"],
            stderr=subprocess.PIPE, text=True)

        def scraped():
            # While it starts it is not JSON.
            with contextlib.suppress(OSError, ValueError):
                return query(9198, "/api/v1/query?query=up")["result"]
            assert p.poll() is None, p.communicate()
            return False
        try:
            ka.poll("a scrape", 120, scraped)
            target, = query(9198, "/api/v1/targets")["activeTargets"]
            assert target["health"] == "up", target
            want = values(get()[2], c.name)
            for name in ("tcp_keepalive_probes_sent_total",
                         "tcp_keepalive_probe_bytes_total"):
                got, = query(9198, f"/api/v1/query?query={name}"
                             f"%7Bnetns=%22{c.name}%22%7D")["result"]
                assert int(got["value"][1]) == want[name], (got, want)
            got = query(9198, "/api/v1/metadata?metric=tcp_keepalive_probes_sent")
            assert got["tcp_keepalive_probes_sent"][0]["type"] == "counter", got
            rules = query(9198, "/api/v1/rules")["groups"][0]["rules"]
            assert rules and not any(r.get("lastError") for r in rules), rules
            # None is wrong, and none is empty once there are two scrapes.
            for expr in panels():
                ka.poll(f"an answer to {expr}", 60,
                        lambda: asked(9198, expr, c.name))
        finally:
            p.terminate()
            p.communicate(timeout=60)


def test_alerts():
    alerts = SHARE + "alerts.yml"
    status, said = promtool("check", "rules", alerts)
    assert status == 0 and "SUCCESS" in said, said
    with open(HERE + "/alerts_test.yml", encoding="utf-8") as f, \
            tempfile.NamedTemporaryFile("w", suffix=".yml") as out:
        out.write(f.read().replace("- ALERTS", "- " + alerts))
        out.flush()
        status, said = promtool("test", "rules", out.name)
    assert status == 0, said


def test_names():
    """What alerts and dashboard name, there is."""
    with ka.Netns() as ns:
        there = set(values(metrics(ns), ns.name))
    with open(SHARE + "alerts.yml", encoding="utf-8") as f:
        text = "\n".join(panels() + [f.read()])
    named = set(re.findall(r"tcp_keepalive_\w+", text))
    assert len(named) > 15 and named <= there, named - there


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""kactl http check by way of TLS, IPv6, unix sockets, redirects and proxies; TCP's
keepalive on the same connection; and how it is ended."""

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import threading
import time

import ka
from httpd import IDLE, MAX, about, advised, check, kactl, serve, unsaid


def test_tls():
    with serve("nginx") as (ns, _, where):
        url = "https://127.0.0.1:8441/"
        _, err = kactl(ns, "http", "check", url, status=1)
        assert "self-signed" in err.replace("self signed", "self-signed") and "--cacert" in err, err
        got = check(ns, url, "--cacert", where + "/cert")
        assert about(got["measured"]["idle_timeout_ms"], IDLE), got
        assert got["measured"]["closed_by"] == "server-fin", got
        assert got["measured"]["max_requests"] == MAX, got
        assert got["reused_ms"] < got["fresh_ms"], got
        advised(got, "TLS")
        assert not any("sent something" in line for line in got["advice"]), got
        got = check(ns, "https://127.0.0.1:8442/", "--insecure")
        assert got["http_version"] == "2" and got["persistent"], got
        assert got["measured"]["idle_timeout_ms"] is None, got
        advised(got, "HTTP/2 has neither")
        got = check(ns, "https://127.0.0.1:8442/", "-k", "--http1.1", "--requests", "3")
        assert got["http_version"] == "1.1", got
        assert about(got["measured"]["idle_timeout_ms"], IDLE), got
        out, _ = kactl(ns, "http", "check", url, "-k", "-I", "--resolve", "x:8441:127.0.0.1",
                       "--requests", "2", "--idle-max", "1")
        assert re.search("^max_requests  *2 ", out, re.M), out


def test_addresses():
    """IPv6, a unix socket, a name that is told, redirects."""
    with serve("nginx") as (ns, _, where):
        few = ("--requests", "2", "--idle-max", "1")
        got = check(ns, "http://[::1]:8001/", *few)
        assert got["url"] == "http://[::1]:8001/" and got["persistent"], got
        got = check(ns, "http://anything/", "--unix-socket", where + "/socket")
        assert about(got["measured"]["idle_timeout_ms"], IDLE) and got["tcp"] is None, got
        assert got["measured"]["max_requests"] == MAX, got
        got = check(ns, "user:secret@there:8001", "--resolve", "there:8001:127.0.0.1", "-4", *few)
        assert got["url"] == "http://there:8001/", got
        got = check(ns, "http://127.0.0.1:8001/moved", *few)
        assert got["url"].endswith("/moved") and got["persistent"], got
        advised(got, "302", "--location")
        got = check(ns, "http://127.0.0.1:8001/moved", "--location")
        assert got["url"] == "http://127.0.0.1:8002/there", got
        assert about(got["measured"]["idle_timeout_ms"], 2), got
        assert got["measured"]["max_requests"] == 7, got


class Tunnel(threading.Thread):
    """A proxy that knows CONNECT alone."""

    def __init__(self, ns, port):
        super().__init__(daemon=True)
        with ns.inside():
            self.listener = socket.create_server(("127.0.0.1", port))
            self.socks = [socket.socket() for _ in range(64)]

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                sock = self.listener.accept()[0]
                threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def greet(self, a):
        """Where to, and what to say once there."""
        head = b""
        while b"\r\n\r\n" not in head:
            head += a.recv(1000)
        host, port = head.split()[1].decode().split(":")
        return (host, int(port)), b"HTTP/1.1 200 go on\r\n\r\n"

    def serve(self, a):
        b = self.socks.pop()
        where, said = self.greet(a)
        b.connect(where)
        a.sendall(said)
        threading.Thread(target=self.copy, args=(b, a), daemon=True).start()
        self.copy(a, b)

    @staticmethod
    def copy(a, b):
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)


class Socks(Tunnel):
    """A proxy that speaks SOCKS 4."""

    def greet(self, a):
        head = b""
        while len(head) < 9 or head[-1]:
            head += a.recv(1000)
        return (socket.inet_ntoa(head[4:8]), int.from_bytes(head[2:4], "big")), b"\0\x5a" + bytes(6)


def test_proxies():
    with serve("nginx") as (ns, _, _):
        proxy = "http://127.0.0.1:8001"
        few = ("--requests", "2", "--idle-max", "1")
        for args, env in ((("--proxy", proxy), {}), ((), {"http_proxy": proxy})):
            got = check(ns, "http://nowhere.invalid/", *args, *few, env=env)
            assert got["url"] == "http://nowhere.invalid/", got
            advised(got, "the proxy's keep-alive")
        got = check(ns, "http://127.0.0.1:8002/", *few,
                    env={"http_proxy": proxy, "no_proxy": "127.0.0.1"})
        assert not any("proxy" in line for line in got["advice"]), got
        got = check(ns, "http://127.0.0.1:8002/", "--noproxy", "*", *few, env={"http_proxy": proxy})
        assert not any("proxy" in line for line in got["advice"]), got
        Tunnel(ns, 8099).start()
        got = check(ns, "https://127.0.0.1:8441/", "-k", "-x", "http://127.0.0.1:8099")
        advised(got, "a proxy passes the connection on")
        assert about(got["measured"]["idle_timeout_ms"], IDLE), got
        assert got["measured"]["max_requests"] == MAX, got
        Socks(ns, 8098).start()
        got = check(ns, "http://127.0.0.1:8002/", "-x", "socks4://127.0.0.1:8098")
        advised(got, "a proxy passes the connection on")
        assert about(got["measured"]["idle_timeout_ms"], 2), got
        assert got["measured"]["max_requests"] == 7, got


def test_https_proxy():
    """Whose certificate is one of those that the machine trusts."""
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    if not os.path.exists(bundle):
        raise ka.Skip(f"no {bundle} here")
    with serve("nginx") as (ns, _, where):
        trusted = f"mount --bind {where}/cert {bundle} && exec \"$@\""
        got, = json.loads(ns.exec("unshare", "--mount", "sh", "-c", trusted, "sh", ka.KACTL, "-j", "http",
                                  "check", "http://nowhere.invalid/", "-x", "https://127.0.0.1:8441"))
        advised(got, "the proxy's keep-alive")
        assert about(got["measured"]["idle_timeout_ms"], IDLE), got
        assert got["measured"]["max_requests"] == MAX, got


def test_layers():
    """TCP's probes are answered while HTTP idles, and do not keep it from ending."""
    with serve("nginx") as (ns, _, _):
        url = "http://127.0.0.1:8001/"
        ns.kactl("-q", "policy", "set", "time", "1", "intvl", "1", "probes", "3")
        got = check(ns, url, "--requests", "3")
        tcp, sent = got["tcp"], ns.mib()
        assert about(got["measured"]["idle_timeout_ms"], IDLE), got
        assert 3 <= tcp["answered"] <= tcp["sent"] <= sent and tcp["lost"] == 0, (got, sent)
        want = {"loaded": True, "keepalive": True, "time": 1, "intvl": 1, "probes": 3,
                "source": "netns"}
        assert want.items() <= tcp.items(), got
        advised(got, "TCP probes", "did not keep the server from ending")
        out, _ = kactl(ns, "http", "check", url, "--layers", "--requests", "3", "--behind", "nlb")
        for line in (r"^layer  *7,.*HTTP/1\.1  *4,.* 127\.0\.0\.1 port \d+ and 127\.0\.0\.1 port 8001$",
                     "^purpose ", r"^  *\(3 on one here\)  .*\([3-6] times here\)$",
                     r"^  *answers \([3-6] of [3-6] here\)",
                     "^controlled by  the server, timeout=5, and.*policy: time 1, intvl 1, probes 3$",
                     r"^is ended by .*here a FIN\)  *3 unanswered probes in a row \(not here\)$",
                     r"^seen here  *idle for 5\.\d s, nothing sent  *[3-6] probes sent, "
                     r"[3-6] answered, 0 lost$",
                     "^idle limit .*after 1 s"):
            assert re.search(line, out, re.M), f"{line}: {out}"
        got = check(ns, "http://[::ffff:127.0.0.1]:8001/", "--requests", "3")
        assert want.items() <= got["tcp"].items() and got["tcp"]["answered"] >= 3, got
        ns.kactl("rule", "add", "dir", "out", "rport", "8001", "keepalive", "off")
        got = check(ns, url, "--requests", "3")
        assert got["tcp"]["keepalive"] is False and got["tcp"]["sent"] == 0, got


def test_behind():
    """TCP probes in time keep a path open; when it is lost is not always known."""
    with serve("nginx") as (ns, _, _):
        url, azure = "http://127.0.0.1:8005/", ("--behind", "azure", "--requests", "3", "--idle-max")
        got = check(ns, url, *azure, "3")
        advised(got, "behind azure (240 s): not known", "for 3.0 s only", "--idle-max 242")
        got = check(ns, "http://127.0.0.1:8004/", *azure, "3")
        advised(got, "behind azure (240 s): not known", "the server says timeout=60")
        got = check(ns, url, *azure, "242")
        advised(got, "behind azure (240 s): idle connections are lost")
        ns.kactl("-q", "policy", "set", "time", "60", "intvl", "10")
        got = check(ns, url, *azure, "242")
        advised(got, "behind azure (240 s): right", "TCP probes every 60 s")
        # It is sooner, but a timer may be late, and a probe lost.
        ns.kactl("-q", "policy", "set", "time", "200", "intvl", "30")
        got = check(ns, url, *azure, "242")
        advised(got, "behind azure (240 s): idle connections may be lost", "after 200 s")
        got = check(ns, "http://127.0.0.1:8002/", *azure, "242")
        advised(got, "behind azure (240 s): right; the server ends")


def test_path_cut():
    """It is not the server that ends it, and the report says so."""
    with serve("nginx") as (ns, _, _):
        ns.kactl("-q", "policy", "set", "time", "1", "intvl", "1", "probes", "2")
        with subprocess.Popen([ka.KACTL, "-n", ns.name, "-j", "http", "check",
                               "http://127.0.0.1:8004/", "--requests", "3", "--behind", "alb"],
                              stdout=subprocess.PIPE, text=True) as p:
            ka.poll("probes", 20, lambda: ns.mib() > 0)
            ns.drop("input")
            got, = json.loads(p.communicate(timeout=60)[0])
        assert p.returncode == 0 and got["measured"]["closed_by"] == "network", got
        assert got["measured"]["idle_capped"] is True, got
        assert got["tcp"]["lost"] >= 1, got
        advised(got, "the path, not the server")
        assert got["safe_reuse_ms"] is None, got
        unsaid(got, "may be reused")
        advised(got, "behind alb (60 s): not known", "the path ended")


def test_without_module():
    """It works, says so, and does not load it."""
    with serve("nginx") as (ns, _, _):
        ka.run("modprobe", "tcp_keepalive")
        ka.poll("unloaded", 10, lambda: subprocess.run(
            ["rmmod", "tcp_keepalive"], stderr=subprocess.DEVNULL, check=False).returncode == 0)
        try:
            url = "http://127.0.0.1:8002/"
            got = check(ns, url)
            assert got["tcp"] == {"loaded": False}, got
            assert about(got["measured"]["idle_timeout_ms"], 2), got
            out, err = kactl(ns, "http", "check", url, "--layers")
            assert out.count("module not loaded") >= 4 and not err, out + err
            assert not os.path.exists("/sys/module/tcp_keepalive")
        finally:
            ka.run("modprobe", "tcp_keepalive")


def test_module_goes():
    """In the middle of it: nobody complains."""
    with serve("nginx") as (ns, _, _):
        ns.kactl("-q", "policy", "set", "time", "1", "intvl", "1", "probes", "3")
        with subprocess.Popen([ka.KACTL, "-n", ns.name, "-j", "http", "check", "http://127.0.0.1:8001/",
                               "--requests", "3"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
            ka.poll("a probe", 20, lambda: ns.mib() > 0)
            try:
                ka.poll("unloaded", 10, lambda: subprocess.run(
                    ["rmmod", "tcp_keepalive"], stderr=subprocess.DEVNULL, check=False).returncode == 0)
                out, err = p.communicate(timeout=60)
            finally:
                ka.run("modprobe", "tcp_keepalive")
        got, = json.loads(out)
        assert p.returncode == 0 and not err, (p.returncode, err)
        assert got["tcp"]["loaded"] is False and about(got["measured"]["idle_timeout_ms"], IDLE), got


def interrupted(ns, sig, *args):
    with subprocess.Popen([ka.KACTL, "-n", ns.name, *args, "http", "check",
                           "http://127.0.0.1:8004/", "--requests", "5"],
                          stdout=subprocess.PIPE, text=True) as p:
        ka.poll("the idle connection", 20, lambda: len(ns.exec(
            "ss", "-Htn", "state", "established", "dport = :8004").splitlines()) == 2)
        time.sleep(2)
        p.send_signal(sig)
        out = p.communicate(timeout=20)[0]
    return p.returncode, out


def test_interrupted():
    """Ctrl-C shows what is known."""
    with serve("nginx") as (ns, _, _):
        status, out = interrupted(ns, signal.SIGINT, "-j")
        got, = json.loads(out)
        m = got["measured"]
        assert status == 0 and m["idle_capped"] and m["closed_by"] is None, (status, got)
        assert 1000 < m["idle_timeout_ms"] < 10000 and m["max_requests"] == 5, got
        status, out = interrupted(ns, signal.SIGTERM)
        assert status == -signal.SIGTERM and "idle_timeout_ms" in out, (status, out)


def test_progress():
    """On a terminal, and gone at the end; none where it is asked to be quiet."""
    with serve("nginx") as (ns, _, _):
        for args, shown in (((), True), (("-q",), False)):
            mine, its = pty.openpty()
            p = subprocess.run([ka.KACTL, "-n", ns.name, *args, "-j", "http", "check",
                                "http://127.0.0.1:8002/"], stdout=subprocess.PIPE, stderr=its,
                               check=True)
            os.close(its)
            said = b""
            with contextlib.suppress(OSError):
                while data := os.read(mine, 65536):
                    said += data
            os.close(mine)
            assert json.loads(p.stdout)[0]["measured"]["max_requests"] == 7
            assert (re.search(rb"idle for \d\.\d s of at most 120", said) is not None) == shown, said
            assert not said or said.endswith(b"\r\033[K"), said


ka.main([test_tls, test_addresses, test_proxies, test_https_proxy, test_layers, test_behind,
         test_path_cut, test_without_module, test_module_goes, test_interrupted, test_progress])

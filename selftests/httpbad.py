#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""kactl http check against a server that misbehaves: each ends with a verdict or
an error, in time and in little memory; and what it reads of the header."""

import contextlib
import json
import resource
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.parse

import ka

PORT = 8080
ONCE = 8081	# whoever listens there does so for one connection
OK = "HTTP/1.1 200 OK\r\n%sContent-Length: 2\r\n\r\nok"
HEADS = []		# of all requests
MEMORY = 64 << 10	# KiB, of which libcurl and its libraries take most


def response(*lines):
    return (OK % "".join(line + "\r\n" for line in lines)).encode()


class Server(threading.Thread):
    """Does with a connection what the path of its first request says."""

    def __init__(self, ns):
        super().__init__(daemon=True)
        self.first = True
        with ns.inside():
            self.listener = socket.create_server(("127.0.0.1", PORT), backlog=64)
            self.once = socket.create_server(("127.0.0.1", ONCE))
        threading.Thread(target=self.serve_once, daemon=True).start()
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                sock = self.listener.accept()[0]
                threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve_once(self):
        sock = self.once.accept()[0]
        self.once.close()
        self.serve(sock)

    def serve(self, sock):
        with sock, contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            path = self.request(sock)
            if not path:
                return
            name, _, self_said = path[1:].partition("?")
            getattr(self, "do_" + name)(sock, urllib.parse.unquote(self_said))

    @staticmethod
    def request(sock, seconds=60):
        """The path, or None if none came."""
        head = b""
        sock.settimeout(seconds)
        while b"\r\n\r\n" not in head:
            try:
                data = sock.recv(4096)
            except socket.timeout:      # another one than TimeoutError before Python 3.10
                return None
            if not data:
                return None
            head += data
        HEADS.append(head.decode())
        return head.split()[1].decode()

    def answer(self, sock, *lines, n=1 << 30, idle=60):
        """n times, each within so many seconds of the one before; True if all came."""
        for _ in range(n - 1):
            sock.sendall(response(*lines))
            if not self.request(sock, idle):
                return False
        sock.sendall(response(*lines))
        return True

    @staticmethod
    def reset(sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def do_header(self, sock, lines):
        """With these lines in the header, n a byte of its own."""
        self.answer(sock, *(line for line in lines.split("\n") if line))

    def do_only(self, sock, others):
        """The first connection, and what becomes of the others."""
        if self.first:
            self.first = False
            self.answer(sock, idle=3)
        elif others == "never":
            time.sleep(60)
        elif others == "reset":
            self.reset(sock)

    def do_later(self, sock, word):
        """All but the first response after so many ms, with that status."""
        ms, _, status = word.partition(" ")
        sock.sendall(response())
        while self.request(sock, 2):
            time.sleep(int(ms) / 1000)
            sock.sendall(response().replace(b"200", (status or "200").encode()))

    def do_lies(self, sock, _):
        self.answer(sock, "Keep-Alive: timeout=60", idle=2)

    def do_modest(self, sock, _):
        self.answer(sock, "Keep-Alive: timeout=1", idle=6)

    def do_maxlies(self, sock, _):
        self.answer(sock, "Keep-Alive: max=5", idle=2)

    def do_now(self, sock, _):
        self.answer(sock, "Connection: keep-alive", n=1)

    def do_silentmax(self, sock, _):
        if self.answer(sock, n=4, idle=2):
            time.sleep(0.1)

    def do_midway(self, sock, _):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789")

    def do_midlater(self, sock, _):
        if self.answer(sock, n=2, idle=2) and self.request(sock, 2):
            self.do_midway(sock, _)

    def do_nothing(self, sock, _):
        pass

    def do_garbage(self, sock, _):
        sock.sendall(b"\x00\xff\x16\x03 what is that? \r\n" * 20)

    def do_drip(self, sock, _):
        for byte in response("X: " + "y" * 100):
            sock.sendall(bytes([byte]))
            time.sleep(1)

    def do_drips(self, sock, _):
        sock.sendall(b"HTTP/1.1 200 OK\r\n")
        self.do_drip(sock, _)

    def do_never(self, sock, _):
        time.sleep(60)

    def do_neveragain(self, sock, _):
        if self.answer(sock, n=1) and self.request(sock, 2):
            time.sleep(60)

    def do_long(self, sock, _):
        sock.sendall(response("X: " + "y" * (4 << 20)))

    def do_headers(self, sock, _):
        sock.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            sock.sendall(b"Keep-Alive: timeout=1\r\n" * 1000)

    def do_body(self, sock, _):
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            sock.sendall((b"8000\r\n" + b"x" * 0x8000 + b"\r\n") * 16)

    def do_rst(self, sock, _):
        self.answer(sock, idle=2)
        self.reset(sock)

    def do_rstlater(self, sock, _):
        if self.answer(sock, n=3, idle=2) and self.request(sock, 2):
            self.reset(sock)

    def do_speaks(self, sock, _):
        if not self.answer(sock, idle=1):
            sock.sendall(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")
            time.sleep(2)

    def do_unasked(self, sock, _):
        """What it says to an idle connection comes to be read after a request."""
        if self.answer(sock, n=3, idle=2) and self.request(sock, 2):
            sock.sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n"
                         b"Connection: close\r\n\r\n")

    def do_more(self, sock, _):
        """More than Content-Length says."""
        sock.sendall(response() + b" and more")
        self.request(sock, 3)

    def do_longtrailer(self, sock, _):
        while True:
            sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=3\r\n\r\n" +
                         (b"8000\r\n" + b"x" * 0x8000 + b"\r\n") * 64 + b"0\r\nX-Sum: 1234\r\n\r\n")
            if not self.request(sock, 3):
                return

    def do_trailer(self, sock, _):
        while True:
            sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Connection\r\n"
                         b"Keep-Alive: timeout=3\r\n\r\n2\r\nok\r\n0\r\n"
                         b"Connection: close\r\nKeep-Alive: timeout=1, max=1\r\n\r\n")
            if not self.request(sock, 3):
                return

    def do_unmodified(self, sock, _):
        sock.sendall(b"HTTP/1.1 304 Not Modified\r\n\r\n")
        self.request(sock, 2)

    def do_loop(self, sock, _):
        while True:
            sock.sendall(b"HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n")
            self.request(sock)

    def do_elsewhere(self, sock, to):
        sock.sendall(b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % to.encode())

    def do_interim(self, sock, _):
        while True:
            sock.sendall(b"HTTP/1.1 103 Early Hints\r\nConnection: close\r\n"
                         b"Keep-Alive: timeout=9\r\n\r\n" + response("Keep-Alive: timeout=3"))
            if not self.request(sock, 3):
                return

    def do_nolength(self, sock, _):
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\nuntil it ends")

    def do_toomany(self, sock, _):
        if self.answer(sock, n=3, idle=2):
            while self.request(sock, 2):
                sock.sendall(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")


def run(ns, path, *args, status=0, within=60, port=PORT):
    """What kactl reports or, if it is to fail, what it says."""
    began = time.monotonic()
    p = subprocess.run([ka.KACTL, "-n", ns.name, "-j", "http", "check",
                        f"http://127.0.0.1:{port}/{path}", *args],
                       text=True, capture_output=True, check=False)
    took = time.monotonic() - began
    assert p.returncode == status, f"{path}: {p.returncode}: {p.stdout}{p.stderr}"
    assert took < within, f"{path}: took {took} s"
    got = json.loads(p.stdout)
    if status:
        assert got == [] and p.stderr, p
        return p.stderr
    assert not p.stderr, p
    return got[0]


def advised(got, *words):
    assert any(all(w in line for w in words) for line in got["advice"]), f"{words}: {got['advice']}"


def unsaid(got, word):
    assert not any(word in line for line in got["advice"]), f"{word}: {got['advice']}"


HEADERS = (
    # lines, connection_header, keep_alive, persistent
    ("", None, {}, True),
    ("Connection: keep-alive", "keep-alive", {}, True),
    ("Connection: Keep-Alive\nKeep-Alive: timeout=5, max=100", "Keep-Alive",
     {"timeout": 5, "max": 100}, True),
    ("CONNECTION: KEEP-ALIVE\nKEEP-ALIVE: TIMEOUT=5", "KEEP-ALIVE", {"timeout": 5}, True),
    ("Connection:close", "close", {}, False),
    ("Connection: Close", "Close", {}, False),
    ("Connection: Upgrade, keep-alive , ,X", "Upgrade, keep-alive , ,X", {}, True),
    ("Connection: keep-alive\nConnection: close", "keep-alive, close", {}, False),
    ("Connection: X-close", "X-close", {}, True),
    ("X-Connection: close", None, {}, True),
    ("Keep-Alive: max=3 , timeout=7", None, {"timeout": 7, "max": 3}, True),
    ("Keep-Alive: timeout=7\nKeep-Alive: max=3", None, {"timeout": 7, "max": 3}, True),
    ("Keep-Alive: timeout=7, timeout=3, max=9, max=10", None, {"timeout": 3, "max": 9}, True),
    ('Keep-Alive: timeout="7"', None, {"timeout": 7}, True),
    ('Keep-Alive: x="a, timeout=9", timeout=7, y', None, {"timeout": 7}, True),
    ("Keep-Alive: timeout = 7", None, {"timeout": 7}, True),
    ("Keep-Alive: ,,timeout=0,", None, {"timeout": 0}, True),
    ("Keep-Alive: 300", None, {}, True),
    ("Keep-Alive:", None, {}, True),
    ("Keep-Alive: timeout=7,\n max=3", None, {"timeout": 7, "max": 3}, True),
    ("Keep-Alive: timeout=\n 7", None, {"timeout": 7}, True),
    ('Keep-Alive: x="a\n , timeout=9", timeout=7', None, {"timeout": 7}, True),
    (r'Keep-Alive: x="\", timeout=9", timeout=7', None, {"timeout": 7}, True),
    ('Keep-Alive: x="a\nKeep-Alive: timeout=7', None, {"timeout": 7}, True),
    ("Connection: keep-alive,\n close", "keep-alive, close", {}, False),
    ("Keep-Alive: timeout=2147483647", None, {"timeout": 2147483647}, True),
)
SILLY = ("timeout=-5", "timeout=5s", "timeout=", "timeout=99999999999999999999", "max=1e3",
         "timeout=0x10", 'timeout="', "max=2147483648", "timeout=5; max=3",
         "timeout=" + "0" * 300)


def test_header():
    with ka.Netns() as ns:
        Server(ns)
        few = ("--requests", "2", "--idle-max", "1")
        for lines, connection, keep_alive, persistent in HEADERS:
            got = run(ns, "header?" + urllib.parse.quote(lines), *few)
            assert (got["connection_header"], got["keep_alive"], got["persistent"]) == \
                (connection, keep_alive, persistent), (lines, got)
        for word in SILLY:
            got = run(ns, "header?" + urllib.parse.quote("Keep-Alive: " + word), *few)
            assert got["keep_alive"] == {}, (word, got)
            advised(got, f"Keep-Alive: {word[:47]}: not a number")
        long = "x" * 5000
        for lines in (f"Keep-Alive: timeout=5, {long}, max=3", f"Keep-Alive: {long}, max=3, timeout=5",
                      f"Keep-Alive: {long}\nKeep-Alive: timeout=5\nKeep-Alive: max=3",
                      f"Keep-Alive: {' ' * 5000}timeout=5,{' ' * 5000}max=3",
                      f'Keep-Alive: x="{long}, timeout=1", timeout=5, max=3'):
            got = run(ns, "header?" + urllib.parse.quote(lines), *few)
            assert got["persistent"] and got["keep_alive"] == {"timeout": 5, "max": 3}, got
            unsaid(got, "be shown")
        got = run(ns, "header?" + urllib.parse.quote(f"Connection: a, {long}, close"), *few)
        assert got["connection_header"] == ("a, " + long)[:255] and not got["persistent"], got
        advised(got, "Connection is too long to be shown")
        got = run(ns, "header?" + urllib.parse.quote("Connection: " + "\N{BULLET}" * 1000), *few)
        assert got["connection_header"].startswith("\N{BULLET}" * 85) and got["persistent"], got
        got = run(ns, "header?" + urllib.parse.quote("Connection: keep-alive, close"), *few)
        advised(got, "close counts")
        got = run(ns, "trailer", "--requests", "2", within=8)
        assert got["connection_header"] is None and got["keep_alive"] == {"timeout": 3}, got
        assert got["persistent"] and got["measured"]["max_requests"] == 2, got
        got = run(ns, "longtrailer", *few, within=8)
        assert got["persistent"] and got["keep_alive"] == {"timeout": 3}, got


def about(got, seconds):
    assert seconds * 1000 - 100 <= got["measured"]["idle_timeout_ms"] <= seconds * 1000 + 500, got


def test_lies():
    with ka.Netns() as ns:
        Server(ns)
        got = run(ns, "lies", "--requests", "3", within=8)
        about(got, 2)
        advised(got, "timeout=60 is not true", "2.0 s")
        assert got["safe_reuse_ms"] < 2000, got
        got = run(ns, "modest", "--requests", "3", "--behind", "3", within=12)
        about(got, 6)
        assert got["safe_reuse_ms"] == 500, got
        advised(got, "timeout=1 is said, but", "longer")
        advised(got, "behind a proxy (3 s): some requests may", "says that it closes after 1 s",
                "kept the connection for 6.")
        got = run(ns, "modest", "--requests", "3", "--behind", "10", within=12)
        advised(got, "behind a proxy (10 s): some requests will", "closes after 6.",
                "shorter than 0.5 s")
        got = run(ns, "modest", "--requests", "3", "--behind", "3", "--idle-max", "5", within=12)
        advised(got, "behind a proxy (3 s)", "says that it closes after 1 s", "for 5.")
        got = run(ns, "modest", "--requests", "3", "--behind", "316224000", "--idle-max", "1")
        unsaid(got, "--idle-max")
        got = run(ns, "maxlies", "--requests", "20", within=8)
        assert got["measured"]["max_requests"] == 20 and got["keep_alive"] == {"max": 5}, got
        advised(got, "at least 20 requests", "more than the server says")
        got = run(ns, "now", within=8)
        assert not got["persistent"] and got["measured"]["closed_by"] == "server-fin", got
        assert got["measured"]["max_requests"] == 1 and got["safe_reuse_ms"] is None, got
        advised(got, "does not say that it closes")
        got = run(ns, "header?" + urllib.parse.quote("Connection: close"), "--idle-max", "2", within=8)
        assert not got["persistent"] and got["measured"]["closed_by"] is None, got
        advised(got, "says Connection: close, and does not close", "after 2.")
        unsaid(got, "and says so")
        got = run(ns, "unmodified", "--idle-max", "1", within=8)
        unsaid(got, "--location")
        advised(got, "after one response the server closed it")


def test_ends():
    """How a connection ended, which is not always how it should."""
    with ka.Netns() as ns:
        Server(ns)
        got = run(ns, "silentmax", within=8)
        assert got["measured"]["max_requests"] == 4 and not got["measured"]["requests_capped"], got
        advised(got, "after request 4", "without a word")
        got = run(ns, "midlater", within=8)
        assert got["measured"]["max_requests"] == 2 and not got["measured"]["requests_capped"], got
        advised(got, "request 3 on one connection failed", "90 bytes")
        got = run(ns, "rst", "--requests", "3", within=8)
        about(got, 2)
        assert got["measured"]["closed_by"] == "server-rst", got
        advised(got, "ended by RST")
        got = run(ns, "rstlater", within=8)
        assert got["measured"]["max_requests"] == 3, got
        got = run(ns, "neveragain", "--max-time", "5", within=16)
        assert got["measured"]["max_requests"] == 1, got
        advised(got, "request 2 on one connection failed", "no line of an answer within 5 s")
        got = run(ns, "speaks", "--requests", "2", within=10)
        about(got, 3)
        advised(got, "sent something while")
        got = run(ns, "interim", "--requests", "2", within=10)
        assert got["persistent"] and got["keep_alive"] == {"timeout": 3}, got
        advised(got, "timeout=3 is true")
        got = run(ns, "nolength", within=8)
        assert not got["persistent"] and got["measured"]["max_requests"] == 1, got
        got = run(ns, "toomany", "--requests", "9", within=8)
        advised(got, "from request 4", "429 instead of 200")
        got = run(ns, "unasked", "--idle-max", "1", within=8)
        assert got["measured"]["max_requests"] == 3 and not got["measured"]["requests_capped"], got
        advised(got, "request 4 on one connection failed", "408")
        unsaid(got, "instead of 200")
        got = run(ns, "more", within=8)
        assert got["measured"]["max_requests"] == 1 and not got["measured"]["requests_capped"], got
        advised(got, "request 2 on one connection failed", "sent more than it said")


def test_one_only():
    """One connection is served, and it is said what became of the others."""
    for others, word in (("close", "closed without an answer"), ("reset", "reset"),
                         ("never", "no line of an answer within 5 s")):
        with ka.Netns() as ns:
            Server(ns)
            got = run(ns, f"only?{others}", "--max-time", "5", within=16)
            about(got, 3)
            assert got["measured"]["max_requests"] is None and got["fresh_ms"] is None, got
            advised(got, "another connection failed", word)
    with ka.Netns() as ns:
        Server(ns)
        got = run(ns, "only", within=8, port=ONCE)
        about(got, 3)
        advised(got, "another connection failed", str(ONCE))


def test_costs():
    """What a delayed ACK takes, and what something else must."""
    with ka.Netns() as ns:
        Server(ns)
        for word, delayed in (("60", True), ("500", False), ("60 429", False)):
            got = run(ns, "later?" + urllib.parse.quote(word), "--requests", "5", "--idle-max", "3")
            advised(got, "reuse costs", "delayed ACK" if delayed else "takes longer")
            if not delayed:
                unsaid(got, "delayed ACK")


def test_secrets():
    """Redirected to another host, port or scheme, what it was not given for it does not get."""
    secrets = ("Authorization: Basic eDp5", "cookie: a=b")
    given = [word for line in (*secrets, "X-Other: 1") for word in ("-H", line)]
    with ka.Netns() as ns:
        Server(ns)
        for to, kept in (("/now", True), (f"http://127.0.0.1:{PORT}/now", True), (f"http://other:{PORT}/now", False)):
            HEADS.clear()
            run(ns, "elsewhere?" + urllib.parse.quote(to), "-L", *given, "--resolve", f"other:{PORT}:127.0.0.1",
                "--requests", "3", "--idle-max", "3")
            there = [h for h in HEADS if h.startswith("GET /now ")]
            assert len(there) > 2 and all("X-Other: 1" in h for h in HEADS), HEADS
            assert all((line in h) == kept for line in secrets for h in there), (to, there)
            assert all(line in h for line in secrets for h in HEADS if h not in there), HEADS


def test_interrupted():
    """Ctrl-C while nothing has been heard yet."""
    with ka.Netns() as ns:
        Server(ns)
        with subprocess.Popen([ka.KACTL, "-n", ns.name, "-j", "http", "check",
                               f"http://127.0.0.1:{PORT}/never"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
            ka.poll("a connection", 20, lambda: ns.exec(
                "ss", "-Htn", "state", "established", f"dport = :{PORT}"))
            began = time.monotonic()
            p.send_signal(signal.SIGINT)
            out, err = p.communicate(timeout=20)
        assert time.monotonic() - began < 5
        assert p.returncode == -signal.SIGINT and json.loads(out) == [] and not err, (p, out, err)


def test_errors():
    """No whole response at all, or none that ends: an error that says which."""
    with ka.Netns() as ns:
        Server(ns)
        for path, within, words in (
                ("midway", 5, ("90 bytes",)),
                ("nothing", 5, ("closed without an answer",)),
                ("garbage", 5, ("HTTP",)),
                ("drip", 12, ("no line of an answer within 5 s",)),
                ("drips", 12, ("no whole response within 5 s", "17 bytes")),
                ("never", 12, ("no line of an answer within 5 s",)),
                ("long", 12, ()), ("headers", 12, ()),
                ("body", 60, ("does not end", "--head"))):
            most = "5" if path != "body" else "50"
            said = run(ns, path, "--max-time", most, status=1, within=within)
            assert f"127.0.0.1:{PORT}/{path}" in said, (path, said)
            assert all(w in said for w in words), (path, said)
        said = run(ns, "loop", "--location", status=1, within=30)
        assert "50" in said and "redirects" in said, said
        said = run(ns, "elsewhere?" + urllib.parse.quote("ftp://127.0.0.1/x"), "-L", status=1, within=5)
        assert "ftp" in said, said


def test_memory():
    """The largest of all that ran here; it has to come last."""
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert 0 < most < MEMORY, f"{most} KiB"


ka.main([test_header, test_lies, test_ends, test_one_only, test_costs, test_secrets,
         test_interrupted, test_errors, test_memory])

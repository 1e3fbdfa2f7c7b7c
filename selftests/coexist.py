#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Others that have to do with TCP's insides or with privilege go on working
where keepalive is enforced: MPTCP, kernel TLS, sockmap, programs that no library
or environment reaches, and containers."""

import concurrent.futures
import contextlib
import hashlib
import itertools
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import ka
import loadbpf
from decide import BOTH, IDLE, TCP, connected, on

DATA = os.urandom(2 << 20)
# Each sets out from the one before.
WAYS = {
    "off": (),
    "enforce": (("policy", "set", "enforce", "on", "time", "2", "intvl", "2"),),
    "override": (("policy", "reset"),
                 ("rule", "add", "keepalive", "on", "time", "60", "override")),
}
SO_KEEPALIVE = (socket.SOL_SOCKET, socket.SO_KEEPALIVE)
IPPROTO_MPTCP = 262
TCP_ULP, SOL_TLS = 31, 282
TLS_TX, TLS_RX = 1, 2
TLS_1_2, AES_GCM_128 = 0x0303, 51
SK_SKB_STREAM_VERDICT, SK_MSG_VERDICT = 5, 7
OWNER, NOBODY, SOMEBODY = 1234, 65534, 65533


def every_way(*checks, prepare=None):
    """check(client's host, server's, family, way) with and without enforcing;
    what is counted then is in order."""
    with ka.wire() as (c, s):
        if prepare:
            prepare(c, s)
        for way, commands in WAYS.items():
            for ns, command in itertools.product((c, s), commands):
                ns.kactl(*command)
            for family, check in itertools.product(BOTH, checks):
                try:
                    check(c, s, family, way)
                except AssertionError as e:
                    raise AssertionError(
                        f"{check.__name__}, {way}, {family.name}: {e}") from e
            for ns in c, s:
                ka.expect(ns)


def transfer(a, b):
    """What a sends arrives at b, all of it and nothing else."""
    want, got, n = hashlib.sha256(DATA), hashlib.sha256(), 0
    a.settimeout(60)
    b.settimeout(60)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        sent = pool.submit(a.sendall, DATA)
        while n < len(DATA):
            data = b.recv(65536)
            assert data, f"ended after {n} bytes"
            got.update(data)
            n += len(data)
        sent.result()
    assert n == len(DATA) and got.digest() == want.digest(), f"{n} bytes, other ones"


def probed(ns, seconds=3):
    before = ns.mib()
    time.sleep(seconds)
    assert ns.mib() > before, "not probed"


def silent(ns):
    before = ns.mib()
    time.sleep(10)
    assert ns.mib() == before, "probed though it is off"


def switch(socks, value):
    for sock in socks:
        sock.setsockopt(*SO_KEEPALIVE, value)


def obeys(ns, socks, way):
    """These sockets, all that there are in ns, are turned on and off as ever: by
    policy, by apply, by the program, and held to a rule that overrides."""
    if way == "off":
        assert not any(map(on, socks))
        for sock in socks:
            ka.keepalive(sock, 1, 1)
        probed(ns)
        switch(socks, 0)
        silent(ns)
    elif way == "enforce":
        assert all(map(on, socks))
        probed(ns)
        for enforce in "off", "on":
            ns.kactl("policy", "set", "enforce", enforce)
            got, = ns.kactl("apply")
            assert got["changed"] == len(socks), got
            assert all(on(sock) == (enforce == "on") for sock in socks)
        switch(socks, 0)
        silent(ns)
        switch(socks, 1)
        probed(ns)
    else:
        switch(socks, 0)
        for sock in socks:
            sock.setsockopt(TCP, IDLE, 15)
        time.sleep(1)
        assert all(map(on, socks)), "not held to the rule"
        assert {sock.getsockopt(TCP, IDLE) for sock in socks} == {60}
        probed(ns, 62)


@contextlib.contextmanager
def mptcp(c, s, family, port):
    """A connection from c to s."""
    def new():
        try:
            return socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP)
        except OSError:
            raise ka.Skip("no MPTCP in this kernel") from None
    with s.inside(), new() as listener:
        listener.bind((ka.ADDR[family][1], port))
        listener.listen()
        with c.inside():
            a = new()
        with a:
            a.bind((ka.ADDR[family][0], 0))
            a.connect((ka.ADDR[family][1], port))
            b, _ = listener.accept()
            # The other subflow comes in by the listener as well.
            with b:
                yield a, b


SECOND = {socket.AF_INET: "10.9.0.3", socket.AF_INET6: "fd09::3"}


def two_subflows(c, s):
    """Connections from c to s get a second subflow, from c's second address."""
    try:
        for ns in c, s:
            ns.ip("mptcp", "limits", "set", "subflows", "2")
    except AssertionError:
        raise ka.Skip("no MPTCP endpoints in this kernel, or ip") from None
    for family, address in SECOND.items():
        bits = ("/24",) if family == socket.AF_INET else ("/64", "nodad")
        c.ip("addr", "add", address + bits[0], "dev", "w0", *bits[1:])
        c.ip("mptcp", "endpoint", "add", address, "dev", "w0", "subflow")


def test_mptcp_with_two_subflows():
    ports = itertools.count(7000)

    def check(c, s, family, way):
        port = next(ports)
        with mptcp(c, s, family, port) as (a, b):
            def subflows(ns):
                return [x for x in ns.kactl("conn")
                        if port in (x["lport"], x["rport"])]
            transfer(a, b)      # the second subflow comes with the first data
            ka.poll("two subflows", 10,
                    lambda: len(subflows(c)) == len(subflows(s)) == 2)
            assert {x["local"] for x in subflows(c)} == \
                {ka.ADDR[family][0], SECOND[family]}
            for ns in c, s:
                probes = ns.mib()
                assert not any(x["keepalive"] for x in subflows(ns))
                got, = ns.kactl("apply")
                assert got["changed"] == 0, got
                assert got["skipped"]["kernel"] == 2, got
                assert ns.stats()["conns_enforced"] == 0
                time.sleep(130 if way == "override" else 10)
                assert ns.mib() == probes
            # The program may have it, as its own.
            a.setsockopt(*SO_KEEPALIVE, 1)
            time.sleep(2)
            assert all(x["keepalive"] for x in subflows(c)), subflows(c)
            assert {x["time"] for x in subflows(c)} == \
                {2 if way == "enforce" else 7200}
            transfer(b, a)
    every_way(check, prepare=two_subflows)


def encrypt(sock):
    """Kernel TLS, with the same key both ways."""
    try:
        sock.setsockopt(TCP, TCP_ULP, b"tls")
    except OSError:
        raise ka.Skip("no kernel TLS") from None
    info = struct.pack("=HH8s16s4s8s", TLS_1_2, AES_GCM_128, b"iv" * 4,
                       b"key." * 4, b"salt", bytes(8))
    for way in TLS_TX, TLS_RX:
        sock.setsockopt(SOL_TLS, way, info)


def test_kernel_tls():
    def check(c, s, family, way):
        with connected(c, s, family) as (a, b):
            encrypt(a)
            encrypt(b)
            assert "tcp-ulp-tls" in c.exec("ss", "-tni")
            transfer(a, b)
            for ns, sock in (c, a), (s, b):
                obeys(ns, [sock], way)
            transfer(b, a)
    every_way(check)


def received_by_tcp(sock):
    """tcpi_bytes_received"""
    return struct.unpack_from("=Q", sock.getsockopt(TCP, socket.TCP_INFO, 136),
                              128)[0]


def test_sockmap():
    """Two maps: through the sockets of the one data is proxied; what a socket of
    the other sends is at once where its peer receives."""
    loadbpf.need("sockmap.bpf.o")
    with loadbpf.loaded("sockmap.bpf.o") as folder:
        try:
            for names, kind, name in (
                    (("redirect_skb", "sk_skb_stream_verdict"), SK_SKB_STREAM_VERDICT, "proxied"),
                    (("redirect_msg", "sk_msg"), SK_MSG_VERDICT, "short_cut")):
                # The bpftool of Linux 5.10 names them after their sections.
                prog, = set(names) & set(os.listdir(folder + "/progs"))
                loadbpf.attach_to_map(f"{folder}/progs/{prog}", kind, f"{folder}/{name}")
        except OSError as e:
            raise ka.Skip(f"no such sockmap: {e.strerror}") from None

        def put(name, i, sock):
            loadbpf.put(f"{folder}/{name}", i, sock)

        def proxy(c, s, family, way):
            """The client's host is the proxy between two of the server's."""
            with connected(c, s, family) as (p, a), \
                    connected(c, s, family, port=7001) as (q, b):
                assert on(p) == on(q) == (way != "off")
                put("proxied", 0, p)
                put("proxied", 1, q)
                assert on(p) == on(q) == (way != "off")
                transfer(a, b)
                obeys(c, [p, q], way)
                transfer(b, a)
                put("proxied", 0, None)
                put("proxied", 1, None)
                transfer(a, p)
                ka.keepalive(p, 1)
                probed(c, 62 if way == "override" else 3)

        def short_cut(c, s, family, way):
            with connected(c, s, family) as (a, b):
                put("short_cut", 0, a)
                put("short_cut", 1, b)
                transfer(a, b)
                for ns, sock in (c, a), (s, b):
                    obeys(ns, [sock], way)
                transfer(b, a)
                for sock in a, b:
                    assert received_by_tcp(sock) == 0, "not redirected"

        def listener(c, s, family, way):
            """What it accepts is not in its map, and enforced."""
            with s.inside(), socket.socket(family) as l:
                l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                l.bind((ka.ADDR[family][1], 7000))
                l.listen()
                put("short_cut", 1, l)
                with c.inside():
                    a = socket.socket(family)
                with a:
                    a.connect(l.getsockname()[:2])
                    b, _ = l.accept()
                    with b:
                        transfer(a, b)
                        assert received_by_tcp(b) == len(DATA)
                        obeys(s, [b], way)
        every_way(proxy, short_cut, listener)


def receives(c, s, family, *command):
    """A program on c that copies to its output what comes from s: whether it
    has keepalive, and its effective user."""
    addr = ka.ADDR[family][1]
    with s.inside(), socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((addr, 7000))
        listener.listen()
        with subprocess.Popen(["ip", "netns", "exec", c.name, *command, addr,
                               "7000"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as p:
            listener.settimeout(60)
            b, _ = listener.accept()
            with b, concurrent.futures.ThreadPoolExecutor() as pool:
                out = pool.submit(p.communicate)
                b.sendall(DATA)
                b.shutdown(socket.SHUT_WR)
                got, said = out.result()
    assert p.returncode == 0, said
    assert hashlib.sha256(got).digest() == hashlib.sha256(DATA).digest()
    asked, uid = map(int, said.split())
    return bool(asked), uid


def client():
    path = loadbpf.HERE + "/static"
    if not os.path.exists(path):
        raise ka.Skip("no C library to link statically")
    return path


def test_static_and_setuid():
    """A setuid program's environment is not its caller's. Its user is its owner,
    by which rules know it."""
    nobody = ("setpriv", "--reuid", str(NOBODY), "--clear-groups")
    with tempfile.TemporaryDirectory() as folder:
        path = shutil.copy(client(), folder)
        os.chmod(folder, 0o755)
        os.chown(path, OWNER, OWNER)
        os.chmod(path, 0o4755)

        def static(c, s, family, way):
            assert receives(c, s, family, client()) == (way != "off", 0)

        def setuid(c, s, family, way):
            if way == "off":
                c.kactl("rule", "add", "uid", str(OWNER), "keepalive", "on")
                assert receives(c, s, family, *nobody, client()) == (False, NOBODY)
            got, uid = receives(c, s, family, *nobody, path)
            if uid == NOBODY:
                raise ka.Skip(f"no program is setuid in {folder}")
            assert (got, uid) == (True, OWNER)
            if way == "off":
                c.kactl("rule", "flush")
                got = receives(c, s, family, *nobody, path)
                assert got == (False, OWNER)
        every_way(static, setuid)


# One line for each that it reads.
CONNECT = """import socket, sys
for _ in sys.stdin:
    got = set()
    for addr in '127.0.0.1', '::1':
        family = socket.AF_INET6 if ':' in addr else socket.AF_INET
        with socket.create_server((addr, 0), family=family) as l:
            a = socket.create_connection(l.getsockname()[:2])
            b, _ = l.accept()
        for x in a, b:
            with x:
                got.add((x.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                         x.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)))
    print(*sorted(got), flush=True)
"""


class Container:
    """A user namespace with a network namespace of its own, made by a user."""

    def __init__(self, parent, user):
        self.user = ("setpriv", "--reuid", str(user), "--clear-groups")
        self.parent = parent
        self.init = None

    def __enter__(self):
        self.init = subprocess.Popen(
            ["ip", "netns", "exec", self.parent.name, *self.user, "unshare",
             "-Urn", "sh", "-c", 'ip link set lo up && exec python3 -c "$0"',
             CONNECT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if not self.connections():
            self.__exit__()
            raise ka.Skip("users may make no user namespaces here")
        self.pid = str(self.init.pid)
        return self

    def __exit__(self, *exc):
        self.init.communicate()

    def connections(self):
        """What new ones in it get, all alike: keepalive and its time."""
        with contextlib.suppress(BrokenPipeError):
            self.init.stdin.write("\n")
            self.init.stdin.flush()
        return self.init.stdout.readline().strip()

    def root(self, *command):
        """Run as its root."""
        return subprocess.run([*self.user, "nsenter", "-t", self.pid, "-U", "-n",
                               "--preserve-credentials", *command],
                              text=True, capture_output=True, check=False)

def test_containers_root():
    set_time = ("policy", "set", "time", "33", "enforce", "on")
    override = ("rule", "add", "keepalive", "on", "time", "60", "override")

    def state(ns):
        return ns.kactl("policy"), ns.kactl("rule")

    def refused(p):
        assert p.returncode == 4, p

    with ka.Netns() as parent, Container(parent, NOBODY) as box, \
            Container(parent, SOMEBODY) as other:
        before = state(parent)
        assert box.connections() == "(0, 7200)"
        # His own, he may.
        for command, want in ((set_time, "(1, 33)"),
                              (("policy", "reset"), "(0, 7200)"),
                              (override, "(1, 60)"),
                              (("rule", "flush"), "(0, 7200)")):
            p = box.root(ka.KACTL, *command)
            assert p.returncode == 0, p
            assert box.connections() == want, (command, want)
        for command in set_time, override, ("apply",):
            # The parent's he may not, neither from his own nor inside it.
            refused(box.root(ka.KACTL, "-n", "/run/netns/" + parent.name, *command))
            refused(subprocess.run(
                ["ip", "netns", "exec", parent.name, *box.user, "unshare", "-Ur",
                 ka.KACTL, *command], text=True, capture_output=True, check=False))
            # Nor may anybody else set his: another container's root, or who has
            # no privilege within.
            refused(other.root(ka.KACTL, "-n", box.pid, *command))
            refused(box.root("setpriv", "--bounding-set", "-net_admin", "--inh-caps",
                             "-net_admin", ka.KACTL, *command))
        assert state(parent) == before
        assert box.connections() == other.connections() == "(0, 7200)"
        # The host's root may; a user is the same by another number there.
        p = box.root(ka.KACTL, "-j", "rule", "add", "uid", "0", "time", "60")
        assert json.loads(p.stdout)[0]["uid"] == [0, 0], p
        seen, = json.loads(ka.run(ka.KACTL, "-n", box.pid, "-j", "rule"))
        assert seen["uid"] == [NOBODY, NOBODY], seen
        ka.run(ka.KACTL, "-n", box.pid, "rule", "flush")
        ka.run(ka.KACTL, "-n", box.pid, "policy", "set", "enforce", "on")
        assert box.connections() == "(1, 7200)"
        assert other.connections() == "(0, 7200)"


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Programs that wait a minute for an answer, through a NAT that forgets a flow
after some seconds of silence and then drops what is said in it: cut off by
Linux as it is, alive with a rule or a policy on either of the hosts."""

import contextlib
import functools
import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from typing import NamedTuple

import ka

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENT, SERVER = "10.9.0.2", "192.0.2.2"
ANSWER = "the answer"
MINUTE = 60     # until the answer
FORGETS = """
table ip nat {
  chain hides {
    type nat hook postrouting priority srcnat;
    oifname "out" masquerade
  }
  chain cut {
    type filter hook prerouting priority filter;
    ct state invalid counter drop
  }
}
"""
NGINX = """
pid %(dir)s/nginx.pid;
error_log stderr;
worker_processes 1;
events { }
http {
  access_log off;
  server {
    listen 7005;
    listen 7006;
    location / {
      proxy_pass http://127.0.0.1:7000;
      proxy_read_timeout 300;
    }
  }
}
"""


class Program(NamedTuple):
    """A client, the port that it goes to, and what has to be there for it."""
    port: int
    command: tuple
    needs: tuple
    input: str = ""


def program(port, *command, needs=(), **kw):
    return Program(port, command, (command[0], *needs), **kw)


PROGRAMS = {
    # They never ask.
    "static C": program(7001, HERE + "/static", SERVER, "7001", needs=("socat",)),
    "socat": program(7002, "socat", "-u", f"tcp:{SERVER}:7002", "-"),
    "Java": program(7003, "java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
                    "-cp", HERE, "Waiter", SERVER, "7003",
                    needs=("socat", HERE + "/Waiter.class")),
    "curl --no-keepalive": program(7005, "curl", "-s", "--no-keepalive",
                                   f"http://{SERVER}:7005/",
                                   needs=("socat", "nginx")),
    "psql": program(5432, "psql", f"host={SERVER} user=postgres keepalives=0",
                    "-Atc", f"select '{ANSWER}' from pg_sleep({MINUTE})",
                    needs=("initdb", "setpriv")),
    "nc to Redis": program(7007, "nc", SERVER, "7007", needs=("redis-server",),
                           input="BLPOP list 0\r\n"),
    # They ask: Go and redis-cli after 15 s, curl after 60.
    "Go": program(7004, HERE + "/waiter", SERVER, "7004", needs=("socat",)),
    "redis-cli": program(7008, "redis-cli", "-h", SERVER, "-p", "7008",
                         "blpop", "list", "0", needs=("redis-server",)),
    "curl": program(7006, "curl", "-s", f"http://{SERVER}:7006/",
                    needs=("socat", "nginx")),
}
ALL = tuple(PROGRAMS)
ASKING = ALL[-3:]


class Way(NamedTuple):
    """When the NAT forgets, and what is configured on which host."""
    forgets: int
    client: str = ""
    server: str = ""
    programs: tuple = ALL


VALUES = "time 10 intvl 5 probes 3"
NOTHING = Way(20)
RULE_OF_CLIENT = Way(20, client="rule add dir out keepalive on " + VALUES)
RULE_OF_SERVER = Way(20, server="rule add dir in keepalive on " + VALUES)
POLICY = Way(20, client="policy set enforce on " + VALUES)
# 15 s are too long.
HASTY = Way(10, programs=ASKING)
OVERRIDE = HASTY._replace(client="rule add dir out keepalive on override "
                          "time 4 intvl 2 probes 5")
CLAMP = HASTY._replace(client="rule add dir out time 1..4 intvl 1..4")


class Seen(NamedTuple):
    """What became of a program. Before the answer: whether the NAT knew its flow,
    and the hosts' keepalive timers; after it: whether the answer arrived, and
    whether it is still unacknowledged."""
    tracked: bool
    client_timer: bool
    server_timer: bool
    answered: bool
    unacked: bool


def path(what):
    """Where a program is, or None."""
    if what in ("initdb", "postgres"):
        what = max(glob.glob("/usr/lib/postgresql/*/bin/" + what), default=what)
    if what.startswith("/"):
        return what if os.path.exists(what) else None
    return shutil.which(what)


def missing(name):
    return [what for what in PROGRAMS[name].needs if not path(what)]


@contextlib.contextmanager
def processes(ns):
    """What was started in ns ends with the block."""
    try:
        yield
    finally:
        for pid in ka.run("ip", "netns", "pids", ns.name).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def start(ns, *args, **kw):
    return subprocess.Popen(["ip", "netns", "exec", ns.name, *args], **{
        "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL, **kw})


def serve(s, folder):
    """Whatever the programs talk to."""
    def late(port, *lines):
        said = "; ".join(f"echo {line}" for line in lines)
        start(s, "socat", f"tcp-listen:{port},fork,reuseaddr",
              f"system:sleep {MINUTE}; {said}")

    wanted = {what for name in ALL if not missing(name)
              for what in PROGRAMS[name].needs}
    if "socat" in wanted:
        for port in range(7001, 7005):
            late(port, ANSWER)
        late(7000, "HTTP/1.0 200 OK", "", ANSWER)
    if "nginx" in wanted:
        with open(folder + "/nginx.conf", "w", encoding="ascii") as f:
            f.write(NGINX % {"dir": folder})
        start(s, "nginx", "-c", folder + "/nginx.conf")
    if "redis-server" in wanted:
        for port in "7007", "7008":
            start(s, "redis-server", "--port", port, "--protected-mode", "no",
                  "--save", "", "--tcp-keepalive", "0")
    if "initdb" in wanted:
        data = folder + "/postgres"
        os.mkdir(data)
        shutil.chown(data, "postgres")
        as_postgres = ("setpriv", "--reuid=postgres", "--regid=postgres",
                       "--clear-groups")
        ka.run(*as_postgres, path("initdb"), "-D", data, "-N", "-A", "trust")
        with open(data + "/pg_hba.conf", "a", encoding="ascii") as f:
            f.write("host all all all trust\n")
        start(s, *as_postgres, path("postgres"), "-D", data, "-c",
              "listen_addresses=*", "-c", "unix_socket_directories=", "-F")
    ports = {PROGRAMS[name].port for name in ALL if not missing(name)}
    ka.poll("servers", 60, lambda: ports <= set(sockets(s, "LISTEN")))


STACK = contextlib.ExitStack()


@functools.cache
def hosts():
    """Client, NAT and server, until the end of the tests."""
    if not shutil.which("conntrack"):
        raise ka.Skip("no conntrack here")
    folder = STACK.enter_context(tempfile.TemporaryDirectory())
    os.chmod(folder, 0o755)
    c, n, s = (STACK.enter_context(ka.Netns()) for _ in range(3))
    for ns in c, s:
        STACK.enter_context(processes(ns))
    for ns, dev, mine, other in ((c, "in", CLIENT, "10.9.0.1"),
                                 (s, "out", SERVER, "192.0.2.1")):
        ka.run("ip", "link", "add", "w0", "netns", ns.name, "type", "veth",
               "peer", "name", dev, "netns", n.name)
        ns.ip("addr", "add", mine + "/24", "dev", "w0")
        n.ip("addr", "add", other + "/24", "dev", dev)
        ns.ip("link", "set", "w0", "up")
        n.ip("link", "set", dev, "up")
    c.ip("route", "add", "default", "via", "10.9.0.1")
    try:
        n.nft(FORGETS)
    except AssertionError:
        raise ka.Skip("no NAT in this kernel, or no nft") from None
    n.sysctl("net.ipv4.ip_forward", 1)
    n.sysctl("net.netfilter.nf_conntrack_tcp_loose", 0)
    serve(s, folder)
    return c, n, s, folder


class Socket(NamedTuple):
    """Bytes that the peer has not acknowledged, and the timer that runs."""
    unacked: int = 0
    timer: str = ""


def sockets(ns, *states):
    """Of each port of the server, a socket in one of these states."""
    found = {}
    for line in ns.exec("ss", "-Htnao").splitlines():
        state, _, unacked = line.split()[:3]
        # The other end's is a higher one.
        port = min(map(int, re.findall(r":(\d+)(?= |$)", line)))
        timer = re.search(r"timer:\((\w+)", line)
        if state in states:
            found[port] = Socket(int(unacked), timer[1] if timer else "")
    return found


def tracked(n):
    """The ports to which the NAT knows a flow."""
    return {int(port) for port in re.findall(
        r"ESTABLISHED .*?dport=(\d+)", n.exec("conntrack", "-L", "-p", "tcp"))}


@contextlib.contextmanager
def configured(way):
    c, n, s, _ = hosts()
    n.sysctl("net.netfilter.nf_conntrack_tcp_timeout_established", way.forgets)
    for ns, command in (c, way.client), (s, way.server):
        if command:
            ns.kactl(*command.split())
    try:
        yield
    finally:
        for ns in c, s:
            ns.kactl("rule", "flush")
            ns.kactl("policy", "reset")


@functools.cache
def through(way):
    """What becomes of the programs, all at the same time: name -> Seen."""
    c, n, s, folder = hosts()
    fates = {}
    names = [name for name in way.programs if not missing(name)]
    ports = {name: PROGRAMS[name].port for name in names}
    clients = {}
    with configured(way), contextlib.ExitStack() as files:
        for name in names:
            out = files.enter_context(tempfile.TemporaryFile("w+", dir=folder))
            p = start(c, *PROGRAMS[name].command, stdin=subprocess.PIPE,
                      stdout=out, text=True)
            p.stdin.write(PROGRAMS[name].input)
            p.stdin.close()
            clients[name] = p, out
        ka.poll("connections", 60, lambda: set(ports.values()) <= set(
            sockets(c, "ESTAB")) & set(sockets(s, "ESTAB")))
        time.sleep(MINUTE - 15)
        known, mine, theirs = tracked(n), sockets(c, "ESTAB"), sockets(s, "ESTAB")
        time.sleep(10)
        for port in 7007, 7008:
            if port in ports.values():
                s.exec("redis-cli", "-p", str(port), "rpush", "list", ANSWER)
        time.sleep(30)
        left = sockets(s, "ESTAB", "FIN-WAIT-1", "CLOSE-WAIT", "LAST-ACK")
        for name, (p, out) in clients.items():
            p.kill()
            p.wait()
            out.seek(0)
            port = ports[name]
            fates[name] = Seen(
                tracked=port in known,
                client_timer=mine.get(port, Socket()).timer == "keepalive",
                server_timer=theirs[port].timer == "keepalive",
                answered=ANSWER in out.read(),
                unacked=left.get(port, Socket()).unacked > 0)
        for ns in c, s:
            ns.exec("ss", "-K", "state", "connected", "exclude", "fin-wait-1", "exclude", "time-wait")
            # One that belongs to nobody Linux 5.10 leaves without a timer.
            ka.poll("they are gone", 600, lambda ns=ns: not sockets(ns, "FIN-WAIT-1"))
    return fates


def seen(name, way):
    lacking = missing(name)
    if lacking:
        raise ka.Skip("no " + ", ".join(lacking))
    return through(way)[name]


def cut_off(name, way):
    """Forgotten: the server's answer is lost on its way."""
    got = seen(name, way)
    assert not got.tracked and not got.answered and got.unacked, (way, got)
    return got


def lives(name, way):
    got = seen(name, way)
    assert got.tracked and got.answered and not got.unacked, (way, got)
    return got


def never_asks(name):
    """Cut off, unless one of the two hosts is told to probe."""
    assert not cut_off(name, NOTHING).client_timer
    for way in RULE_OF_CLIENT, POLICY:
        assert lives(name, way).client_timer
    got = lives(name, RULE_OF_SERVER)
    assert got.server_timer and not got.client_timer, got


def asks_after_15_s(name):
    """Soon enough for this NAT and not for that, unless a rule says so."""
    for way in NOTHING, RULE_OF_CLIENT, RULE_OF_SERVER, POLICY:
        assert lives(name, way).client_timer
    cut_off(name, HASTY)
    for way in OVERRIDE, CLAMP:
        assert lives(name, way).client_timer


def test_static_c():
    never_asks("static C")


def test_socat():
    never_asks("socat")


def test_java():
    never_asks("Java")


def test_curl_without_keepalive_and_nginx():
    never_asks("curl --no-keepalive")


def test_psql_without_keepalive():
    never_asks("psql")


def test_nc_and_redis():
    never_asks("nc to Redis")


def test_go_has_15_s_of_its_own():
    asks_after_15_s("Go")


def test_redis_cli_has_15_s_of_its_own():
    asks_after_15_s("redis-cli")


def test_curl_has_60_s_of_its_own():
    """A rule that does not override leaves it at that; either host's probes keep
    the flow."""
    for way, verdict in ((NOTHING, cut_off), (RULE_OF_CLIENT, cut_off),
                         (POLICY, cut_off), (RULE_OF_SERVER, lives),
                         (HASTY, cut_off), (OVERRIDE, lives), (CLAMP, lives)):
        assert verdict("curl", way).client_timer


if __name__ == "__main__":
    with STACK:
        ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

# SPDX-License-Identifier: GPL-2.0
"""What the Python tests share: namespaces, a wire between two, sockets in
them, statistics by the tool and by the kernel, TAP."""

import contextlib
import ctypes
import errno
import fcntl
import json
import lzma
import os
import secrets
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import traceback

KACTL = os.environ.get("KA_KACTL", "kactl")
SKIP = 4
# How much longer things may take than on a release's kernel.
SLOW = int(os.environ.get("KA_SLOW", "1"))
_libc = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    """Why a test cannot run here."""


def run(*args, **kw):
    """Run a command; its output, or an exception with what it said."""
    p = subprocess.run(args, text=True, capture_output=True, check=False, **kw)
    if p.returncode:
        raise AssertionError(f"{' '.join(args)}: {p.returncode}: {p.stderr}")
    return p.stdout


def poll(what, seconds, test):
    """Wait until test() holds; at the deadline say what did not come."""
    end = time.monotonic() + seconds * SLOW
    nap = 0.02
    while not test():
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds} s still not: {what}")
        time.sleep(nap)
        nap = min(nap * 1.1, 2)


def stuck(ns, *words):
    """kactl, which cannot go on because nobody reads what it writes."""
    p = subprocess.Popen([KACTL, "-n", ns.name, *words], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)

    def full():
        buf = fcntl.ioctl(p.stdout, termios.FIONREAD, struct.pack("i", 0))
        with open(f"/proc/{p.pid}/stat", encoding="ascii") as f:
            state = f.read().rsplit(")", 1)[1].split()[0]
        return struct.unpack("i", buf)[0] > 60000 and state == "S"
    poll("a full pipe", 20, full)
    return p


class Netns:
    """A network namespace with a random name, gone with its block."""

    def __init__(self):
        self.name = "ka-" + secrets.token_hex(4)

    def __enter__(self):
        run("ip", "netns", "add", self.name)
        self.ip("link", "set", "lo", "up")
        return self

    def __exit__(self, *exc):
        if os.path.exists("/run/netns/" + self.name):
            run("ip", "netns", "del", self.name)

    @contextlib.contextmanager
    def inside(self):
        """This process is in the namespace for the length of the block."""
        with open("/proc/self/ns/net", "rb") as home, \
                open("/run/netns/" + self.name, "rb") as ns:
            _setns(ns)
            try:
                yield
            finally:
                _setns(home)

    def ip(self, *args):
        return run("ip", "-n", self.name, *args)

    def exec(self, *args, **kw):
        return run("ip", "netns", "exec", self.name, *args, **kw)

    def kactl(self, *args):
        return json.loads(run(KACTL, "-n", self.name, "-j", *args))

    def sysctl(self, name, value):
        self.exec("sysctl", "-qw", f"{name}={value}")

    def mib(self, name="TCPKeepAlive"):
        """A counter of /proc/net/netstat."""
        with self.inside(), open("/proc/self/net/netstat", encoding="ascii") as f:
            lines = [line.split() for line in f]
        for names, values in zip(lines[::2], lines[1::2]):
            if name in names:
                return int(values[names.index(name)])
        raise AssertionError(f"no {name} in netstat")

    def stats(self):
        return self.kactl("stats")[0]

    def nft(self, rules):
        self.exec("nft", "-f", "-", input=rules)

    def drop(self, hook, verdict="drop", table="cut"):
        """Lose every TCP segment at a netfilter hook."""
        self.nft("table inet %s { chain c { type filter hook %s priority 0;"
                 " meta l4proto tcp counter %s; }; }" % (table, hook, verdict))

    def undrop(self):
        self.nft("delete table inet cut")


def _setns(f):
    if _libc.setns(f.fileno(), 0x40000000):
        raise OSError(ctypes.get_errno(), "setns")


ADDR = {socket.AF_INET: ("10.9.0.1", "10.9.0.2"),
        socket.AF_INET6: ("fd09::1", "fd09::2")}


@contextlib.contextmanager
def wire():
    """Two hosts, client and server, with a wire between them."""
    with Netns() as c, Netns() as s:
        run("ip", "link", "add", "w0", "netns", c.name, "type", "veth",
            "peer", "name", "w0", "netns", s.name)
        for i, ns in enumerate((c, s)):
            ns.ip("addr", "add", ADDR[socket.AF_INET][i] + "/24", "dev", "w0")
            ns.ip("addr", "add", ADDR[socket.AF_INET6][i] + "/64", "dev", "w0",
                  "nodad")
            ns.ip("link", "set", "w0", "up")
        yield c, s


def cgroup_root():
    """Where the v2 tree is mounted."""
    with open("/proc/mounts", encoding="utf-8") as f:
        mounts = [line.split()[1] for line in f if line.split()[2] == "cgroup2"]
    if mounts:
        return mounts[0]
    os.makedirs("/sys/fs/cgroup", exist_ok=True)
    try:
        run("mount", "-t", "cgroup2", "none", "/sys/fs/cgroup")
    except AssertionError:
        raise Skip("no cgroup2 here") from None
    return "/sys/fs/cgroup"


@contextlib.contextmanager
def cgroup():
    """A new cgroup of the v2 tree, that this process is in; and how to leave."""
    root = cgroup_root()
    with open("/proc/self/cgroup", encoding="utf-8") as f:
        home, = [line.strip()[3:] for line in f if line.startswith("0::")]
    path = home.rstrip("/") + "/ka-" + os.urandom(4).hex()
    os.mkdir(root + path)

    def move(to):
        with open(root + to + "/cgroup.procs", "w", encoding="ascii") as f:
            f.write(str(os.getpid()))
    try:
        move(path)
        yield path, lambda: move(home)
    finally:
        move(home)
        os.rmdir(root + path)


def keepalive(sock, idle=None, intvl=None, cnt=None):
    """Turn keepalive on, with the values that are given."""
    tcp = socket.IPPROTO_TCP
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for opt, v in ((socket.TCP_KEEPIDLE, idle), (socket.TCP_KEEPINTVL, intvl),
                   (socket.TCP_KEEPCNT, cnt)):
        if v is not None:
            sock.setsockopt(tcp, opt, v)


def pair(c, s, family=socket.AF_INET, n=1, port=7000):
    """n connections from c to s: a list of (client, server) sockets."""
    addr = ADDR[family][1]
    socks = []
    with s.inside(), socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((addr, port))
        listener.listen(n)
        for _ in range(n):
            with c.inside():
                a = socket.socket(family, socket.SOCK_STREAM)
            a.connect((addr, port))
            b, _ = listener.accept()
            socks.append((a, b))
        # A child that another thread forks has it too, until its exec.
        listener.shutdown(socket.SHUT_RDWR)
    return socks


def error(sock):
    """The socket's pending error, as a name."""
    e = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return errno.errorcode[e] if e else None


def tcp_info(sock):
    """(state, keepalive probes out) of a socket."""
    b = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)
    return b[0], b[3]


def law(st):
    """Each probe has exactly one fate."""
    fates = ("answered", "lost", "reset", "abandoned", "failed", "unseen",
             "pending")
    total = sum(st["probes_" + f] for f in fates)
    assert st["probes_sent"] == total, f"conservation broken: {st}"


def expect(ns, seconds=5, **want):
    """Statistics become what is wanted; the law and the kernel's own count
    hold then. For a namespace that was made after the module was loaded."""
    def reached():
        # No probe between the two counts.
        mib = ns.mib()
        st.update(ns.stats())
        return all(st[k] == v for k, v in want.items()) and ns.mib() == mib
    st = {}
    try:
        poll("", seconds, reached)
    except AssertionError:
        got = {k: st[k] for k in want}
        raise AssertionError(f"want {want}, got {got} of {st}") from None
    law(st)
    assert st["probes_sent"] == ns.mib(), f"MIB {ns.mib()}: {st}"
    return st


@contextlib.contextmanager
def module_file():
    """The module, as objdump takes it."""
    path = run("modinfo", "-n", "tcp_keepalive").strip()
    with contextlib.ExitStack() as stack:
        if path.endswith(".xz"):
            f = stack.enter_context(tempfile.NamedTemporaryFile())
            with lzma.open(path) as packed:
                f.write(packed.read())
            f.flush()
            path = f.name
        yield path


def may_skip(why):
    """Are skipped tests passed over, or is this one that the release has to?"""
    if os.environ.get("KA_NO_SKIP", "0") != "1":
        return True
    file = os.path.basename(sys.argv[0])
    line = f"{os.environ.get('RELEASE', '')} {file} {why}\n"
    with open(os.path.dirname(os.path.abspath(__file__)) + "/absent",
              encoding="utf-8") as f:
        return line in f


def main(tests):
    """Run the tests, with the module loaded, and print TAP; the exit status is
    kselftest's."""
    run("modprobe", "tcp_keepalive")
    failed = skipped = 0
    only = sys.argv[1:]
    tests = [t for t in tests if not only or t.__name__ in only]
    print("TAP version 13", f"1..{len(tests)}", sep="\n", flush=True)
    for i, test in enumerate(tests, 1):
        try:
            test()
            print(f"ok {i} {test.__name__}", flush=True)
        except Skip as why:
            skipped += 1
            passed_over = may_skip(why)
            failed += not passed_over
            print(f"{'' if passed_over else 'not '}ok {i} {test.__name__} # SKIP {why}",
                  flush=True)
        except Exception:  # a failing test must not stop the others
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("# " + line)
            print(f"not ok {i} {test.__name__}", flush=True)
    sys.exit(1 if failed else SKIP if skipped == len(tests) else 0)

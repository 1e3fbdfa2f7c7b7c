#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Three oracles that share no code with the module, and must agree with it
exactly: the kernel's own count, a capture of the wire read here, and a BPF
program. They watch a mixed run of connections whose peers fall silent, come
back, answer, forget and go, while programs send, close, abort and exit, drawn
at random. The random numbers start from a seed that is printed, and that
KA_SEED gives; what happens when is nobody's to repeat, as the machine's own
work takes time. Only the records of what did happen are compared."""

import collections
import contextlib
import ctypes
import errno
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import ka
import loadbpf

PROGRAM = "probe.bpf.o"
PORT = 7000             # of every peer
SO_MARK = 36
FIN_WAIT1, FIN_WAIT2, CLOSE, LAST_ACK, CLOSING = 4, 5, 7, 9, 11
FIN, SYN, RST, ACK = 1, 2, 4, 16

_libc = ctypes.CDLL(None, use_errno=True)

# What is compared, one connection at a time and in sum.
COUNTS = ("sent", "answered", "lost", "reset", "abandoned", "failed", "pending",
          "conns_dead", "conns_reset", "conns_recovered")

# What a peer's host loses of a connection, by the mark on the peer's socket:
# with bit 1 what comes, with bit 2 what goes. The prober's own host loses nothing.
LOSSY = """table inet lossy {
 chain i { type filter hook input priority 0; meta l4proto tcp socket mark & 1 == 1 drop; }
 chain o { type filter hook output priority 0; meta l4proto tcp meta mark & 2 == 2 drop; }
}"""


# The wire

def before(a, b):
    return (a - b) & 0xffffffff > 0x7fffffff


def segments(path):
    """What tcpdump wrote: (time, connection, from the prober?, flags, sequence
    number, acknowledgment, bytes of data)."""
    with open(path, "rb") as f:
        pcap = f.read()
    assert struct.unpack_from("=I12xII", pcap) == (0xa1b2c3d4, 128, 1), pcap[:24]
    at = 24
    while at + 16 <= len(pcap):
        sec, usec, snapped = struct.unpack_from("=III", pcap, at)
        at += 16
        if at + snapped > len(pcap):
            break
        ip = at + 14
        if pcap[ip] >> 4 == 4:
            family, tcp = socket.AF_INET, ip + (pcap[ip] & 15) * 4
            end = ip + int.from_bytes(pcap[ip + 2:ip + 4], "big")
        else:
            family, tcp = socket.AF_INET6, ip + 40
            end = tcp + int.from_bytes(pcap[ip + 4:ip + 6], "big")
        sport, dport, seq, ack, words, flags = struct.unpack_from(
            "!HHIIBB", pcap, tcp)
        out = dport == PORT
        yield (sec + usec / 1e6, (family, sport if out else dport), out, flags,
               seq, ack, end - tcp - (words >> 4) * 4)
        at += snapped


class Wire:
    """One connection as the wire shows it, and what becomes of its probes."""

    def __init__(self):
        self.n = dict.fromkeys(COUNTS, 0)
        self.log = []
        self.ended = False
        self.snd_nxt = self.snd_una = None
        self.rcv_nxt = self.rcv_wup = None
        self.early = []         # received, with something missing before it
        self.fin = None         # the number after the peer's FIN
        self.in_row = 0
        self.heard = 0

    def settle(self, fate):
        self.n[fate] += self.n["pending"]
        self.n["pending"] = 0

    def end(self, fate):
        self.settle(fate)
        self.ended = True

    def sent(self, at, flags, seq, ack, length, own):
        """A segment of the prober. Whether it was the program, or somebody with
        ss -K, that reset the connection cannot be told from the wire: own."""
        if flags & RST:
            # Without ACK it answers a segment to a socket that is no more; one
            # to a socket that nobody reads any more is accepted before that.
            # With ACK, and no silence: the program left data unread.
            if flags & ACK and not own and at - self.heard >= 1:
                self.n["conns_dead"] += 1
                self.end("lost")
            else:
                assert flags & ACK or not self.n["pending"]
                self.end("abandoned")
            return
        if flags & SYN:
            self.snd_una, self.snd_nxt = seq, seq + 1 & 0xffffffff
            return
        self.rcv_wup = ack
        end = seq + length + (flags & FIN) & 0xffffffff
        if end == seq == self.snd_nxt - 1 & 0xffffffff:
            if self.n["pending"]:
                self.settle("lost")
                self.in_row += 1
            self.n["pending"] = 1
            self.n["sent"] += 1
        elif before(self.snd_nxt, end):
            self.snd_nxt = end

    def accepted(self, seq, ack, end):
        """Would TCP accept it? RFC 9293, 3.10.7.4. That a peer sends beyond the
        window, or an older time stamp, is not expected here."""
        if before(end, self.rcv_wup) or before(self.snd_nxt, ack):
            return False
        # An old acknowledgment says nothing; what it brings along does.
        return not before(ack, self.snd_una) or before(self.rcv_nxt, end)

    def received(self, at, flags, seq, ack, length):
        if flags & SYN:
            self.rcv_nxt = self.rcv_wup = seq + 1 & 0xffffffff
            self.snd_una = ack
            self.heard = at
            return
        if flags & RST:
            last = (self.rcv_nxt - 1) & 0xffffffff
            if seq == self.rcv_nxt or seq == last and self.fin == self.rcv_nxt \
                    or self.early and seq == max(self.early)[1]:
                self.n["conns_reset"] += bool(self.n["pending"])
                self.end("reset")
            return
        end = seq + length + (flags & FIN) & 0xffffffff
        if not flags & ACK or not self.accepted(seq, ack, end):
            return
        self.heard = at
        self.settle("answered")
        self.n["conns_recovered"] += bool(self.in_row)
        self.in_row = 0
        if before(self.snd_una, ack):
            self.snd_una = ack
        if flags & FIN:
            self.fin = end
        if before(self.rcv_nxt, end):
            self.early.append((seq, end))
        for seq, end in sorted(self.early):
            if not before(self.rcv_nxt, seq):
                self.early.remove((seq, end))
                if before(self.rcv_nxt, end):
                    self.rcv_nxt = end


def read_wire(path, until, own):
    """Each connection of the capture up to a time."""
    wires = collections.defaultdict(Wire)
    for at, key, out, *rest in segments(path):
        if at > until:
            break
        wire = wires[key]
        wire.log.append((at, ">" if out else "<", *rest))
        if wire.ended:
            continue
        if out:
            wire.sent(at, *rest, key in own)
        else:
            wire.received(at, *rest)
    return wires


@contextlib.contextmanager
def capture(ns, folder):
    """tcpdump on the prober's own interface: what left its TCP, and what came
    to it. Afterwards nothing may have been missed."""
    path = folder + "/wire.pcap"
    with open(folder + "/tcpdump", "w+", encoding="utf-8") as said:
        with ns.inside():
            p = subprocess.Popen(
                ["tcpdump", "-i", "w0", "-n", "-U", "-s", "128", "-B", "16384",
                 "-Z", "root", "-w", path, "tcp"], stderr=said)

        def text():
            said.seek(0)
            return said.read()

        try:
            ka.poll("tcpdump listens", 30, lambda: "listening" in text())
            yield path
        finally:
            p.send_signal(signal.SIGINT)
            p.wait()
        assert "\n0 packets dropped by kernel" in text(), text()


# The BPF program

class Probes:
    """What the BPF program counted."""

    def __init__(self, folder):
        self.folder = folder

    def watch(self, ns):
        ino = struct.pack("=I", os.stat("/run/netns/" + ns.name).st_ino)
        ka.run("bpftool", "map", "update", "pinned", self.folder + "/netns",
               "key", "0", "0", "0", "0", "value", *map(str, ino))

    def read(self):
        """Each connection's counts."""
        dump = json.loads(ka.run("bpftool", "-j", "map", "dump", "pinned",
                                 self.folder + "/conns"))
        conns = {}
        for item in dump:
            item = item["formatted"]
            key = item["key"]["family"], socket.ntohs(item["key"]["port"])
            conns[key] = {name: item["value"][name] for name in COUNTS}
        return conns

    def missed(self):
        """Calls that found the same program at work on the same CPU."""
        return sum(p.get("recursion_misses", 0) for p in
                   json.loads(ka.run("bpftool", "-j", "prog", "show")))


@contextlib.contextmanager
def bpf():
    """The programs attached, for the length of the block."""
    with loadbpf.attached(PROGRAM) as folder:
        yield Probes(folder)


def need():
    if not shutil.which("tcpdump"):
        raise ka.Skip("no tcpdump")
    loadbpf.need(PROGRAM)


# The run

class Conn:
    """A connection: the prober's socket a, unless a process of its own has it,
    and the peer's b."""

    def __init__(self, family, a, b, rng, steady):
        self.key = family, a.getsockname()[1]
        self.a, self.b = a, b
        self.steady = steady
        self.mute = 0
        self.spoke = self.held = self.cut = False
        self.errors = set()
        self.timeout = not steady and rng.random() < 0.2
        if self.timeout:
            a.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT,
                         rng.randint(1000, 15000))
        self.values = (4, 5, 3) if steady else (
            rng.randint(1, 10), rng.randint(1, 5), rng.randint(1, 8))
        ka.keepalive(a, *self.values)
        if not steady and rng.random() < 0.15:
            ka.keepalive(b, rng.randint(1, 10), rng.randint(1, 5), 4)

    def alive(self):
        return self.a is not None and ka.tcp_info(self.a)[0] != CLOSE

    def resets(self):
        """Would an abort be seen on the wire?"""
        return self.alive() and ka.tcp_info(self.a)[0] not in (LAST_ACK, CLOSING)

    def probing(self):
        if self.a is None:
            return False
        state, out = ka.tcp_info(self.a)
        return state != CLOSE and out > 0

    def set_mute(self, mute):
        """Lose what comes to the peer, or what goes out there, or neither."""
        if self.b is None:
            return
        # Where retransmission runs out, nothing is to be seen on the wire, and
        # a peer heard after that would be taken for an answer. It happens where
        # the program has said something and TCP_USER_TIMEOUT is set; for the
        # others the limit is far.
        if self.timeout and self.spoke and self.mute | mute:
            mute = 3
        self.mute = mute
        self.b.setsockopt(socket.SOL_SOCKET, SO_MARK, mute)

    def speak(self):
        """The program is about to send data or FIN."""
        self.spoke = True
        self.set_mute(self.mute)

    def drain(self):
        """The program reads what there is."""
        if self.a is None:
            return
        try:
            while self.a.recv(65536, socket.MSG_DONTWAIT):
                pass
        except BlockingIOError:
            pass
        except OSError as e:
            self.errors.add(e.errno)
        # After the peer's FIN no reader is told.
        self.errors.add(self.a.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def own(self):
        """Was it reset from here?"""
        return self.cut or errno.ECONNABORTED in self.errors


class Mix:
    """What may happen to a connection."""

    def __init__(self, rng, c):
        self.rng, self.c = rng, c

    def mute(self, conn):
        conn.set_mute(self.rng.choice((1, 1, 2, 3)))

    def unmute(self, conn):
        conn.set_mute(0)

    def peer_sends(self, conn):
        """Not where a process is going to be killed: data left unread makes RST
        of an exit, which looks as keepalive's own."""
        if conn.b is not None and not conn.held:
            with contextlib.suppress(OSError):
                conn.b.send(b"x" * self.rng.randint(1, 200), socket.MSG_DONTWAIT)

    def peer_wakes(self, conn):
        """It speaks up before it is asked again."""
        conn.set_mute(0)
        self.peer_sends(conn)

    def sends(self, conn):
        if conn.alive():
            conn.speak()
            try:
                conn.a.send(b"y" * self.rng.randint(1, 200), socket.MSG_DONTWAIT)
            except OSError as e:
                conn.errors.add(e.errno)

    def off(self, conn):
        if conn.alive():
            conn.a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)

    def on(self, conn):
        if conn.alive():
            ka.keepalive(conn.a, *conn.values)

    def peer_forgets(self, conn):
        """The peer's host reboots: the next that comes is answered with RST."""
        if conn.b is not None:
            conn.set_mute(3)
            self.peer_aborts(conn)

    def peer_aborts(self, conn):
        if conn.b is not None:
            conn.b.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                              struct.pack("ii", 1, 0))
            self.peer_closes(conn)

    def peer_closes(self, conn):
        if conn.b is not None:
            if conn.timeout and conn.mute:
                conn.set_mute(3)        # see there; later is too late
            conn.b.close()
            conn.b = None

    def half_closes(self, conn):
        if conn.alive():
            conn.speak()
            with contextlib.suppress(OSError):
                conn.a.shutdown(self.rng.choice((socket.SHUT_WR,
                                                 socket.SHUT_RDWR)))

    def closes(self, conn):
        """Data left unread makes RST of it: all is read before. A close after a
        half close would not be seen on the wire."""
        if conn.a is None:
            return
        conn.speak()
        conn.drain()
        if ka.tcp_info(conn.a)[0] in (FIN_WAIT1, FIN_WAIT2):
            self.disconnect(conn)
        conn.a.close()
        conn.a = None

    def disconnect(self, conn):
        """An abort that tells who was first, this or keepalive's end; a close
        with SO_LINGER 0 comes to the same, but tells nobody. (A segment that
        arrives in the very microsecond would be refused, and not be seen to.)"""
        nowhere = bytes(16)
        assert not _libc.connect(conn.a.fileno(), nowhere, len(nowhere))
        e = conn.a.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        conn.cut = e == errno.ECONNRESET

    def aborts(self, conn):
        if conn.resets():
            conn.drain()
            self.disconnect(conn)
        self.closes(conn)

    def killed(self, conn):
        """By an administrator."""
        if conn.resets():
            family, port = conn.key
            self.c.exec("ss", "-4K" if family == socket.AF_INET else "-6K",
                        "sport", "=", f":{port}")
            conn.drain()

    # How often each is drawn: for a connection that owes no answer, that does.
    WEIGHTS = {"mute": (40, 2), "unmute": (10, 30), "peer_sends": (12, 10),
               "peer_wakes": (0, 20),
               "sends": (6, 6), "off": (2, 6), "on": (8, 6),
               "peer_forgets": (3, 9), "peer_aborts": (1, 2),
               "peer_closes": (2, 2), "half_closes": (2, 2),
               "closes": (1, 6), "aborts": (1, 6), "killed": (0, 2)}

    def draw(self, conn):
        name, = self.rng.choices(
            list(self.WEIGHTS),
            [w[conn.probing()] for w in self.WEIGHTS.values()])
        getattr(self, name)(conn)


def hold(socks):
    """A process that has these sockets and no others, until it is killed."""
    pid = os.fork()
    if not pid:
        try:
            keep = {sock.fileno() for sock in socks} | {0, 1, 2}
            for fd in map(int, os.listdir("/proc/self/fd")):
                if fd not in keep:
                    with contextlib.suppress(OSError):
                        os.close(fd)
            while True:
                signal.pause()
        finally:
            os._exit(1)
    for sock in socks:
        sock.close()
    return pid


@contextlib.contextmanager
def connections(c, s, rng, n):
    """n connections, half of them IPv6; a tenth in processes that will be
    killed, a tenth that nothing ever happens to."""
    conns, held, pids = [], [], {}
    kinds = [socket.AF_INET, socket.AF_INET6]
    try:
        for i in range(2):
            socks = ka.pair(c, s, kinds[i], n // 20, PORT)
            group = [Conn(kinds[i], a, b, rng, False) for a, b in socks]
            pids[hold([a for a, _ in socks])] = group
            held += group
            for conn in group:
                conn.a, conn.held = None, True
        left = n - len(held)
        for i in range(2):
            more = left // 2 if i else left - left // 2
            for k, (a, b) in enumerate(ka.pair(c, s, kinds[i], more, PORT)):
                conns.append(Conn(kinds[i], a, b, rng, k < n // 20))
        yield conns + held, pids
    finally:
        for pid in pids:
            exits(pids, pid)
        for conn in conns + held:
            for sock in conn.a, conn.b:
                if sock is not None:
                    sock.close()


def exits(pids, pid):
    """The program that holds these exits."""
    if pids[pid] is None:
        return
    for conn in pids[pid]:
        conn.speak()
        conn.held = False
    pids[pid] = None
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def mixed(c, rng, conns, pids, probes):
    """Let things happen until there were enough probes."""
    mix = Mix(rng, c)
    drawn = [conn for conn in conns if not conn.steady]
    rng.shuffle(drawn)
    step = 0
    while step < 60 or c.mib() < probes:
        step += 1
        assert step < 1000, f"{c.mib()} probes in {step} steps"
        time.sleep(rng.choice((0.01, 0.1, 0.3, 1)))
        owing = [conn for conn in drawn if conn.probing()]
        for some, most in (drawn, 8), (owing, 2):
            for conn in rng.sample(some, min(len(some), rng.randint(0, most))):
                mix.draw(conn)
        # Seldom: while data lies unread, more of it takes TCP's fast path.
        rng.choice(drawn).drain()
        if step in (20, 40):
            exits(pids, list(pids)[step // 40])
    return mix, step


def there(ns):
    """The connections that a host has."""
    found = set()
    for family, name in (socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6"):
        with ns.inside(), open("/proc/self/net/" + name, encoding="ascii") as f:
            next(f)
            for line in f:
                found.add((family, int(line.split()[1].split(":")[1], 16)))
    return found


def total(conns):
    sums = dict.fromkeys(COUNTS, 0)
    for n in conns:
        for name in COUNTS:
            sums[name] += n[name]
    return sums


def compare(what, c, path, program, own):
    """All four at a moment at which nothing changes."""
    def look():
        first = c.stats()
        seen.update(until=time.time(), bpf=program.read(), mib=c.mib(),
                    missed=program.missed(), there=there(c))
        seen["stats"] = c.stats()
        return first == seen["stats"]

    seen = {}
    ka.poll("nothing changes", 60, look)
    time.sleep(2)               # tcpdump is some way behind
    wires = read_wire(path, seen["until"], own)
    for key in wires.keys() - seen["there"]:
        # Retransmission that runs out is not seen on the wire.
        wires[key].end("abandoned")

    st, none = seen["stats"], dict.fromkeys(COUNTS, 0)
    module = {name: st.get(name, st.get("probes_" + name)) for name in COUNTS}
    print(f"# {what}:", ", ".join(f"{v} {k}" for k, v in module.items()), flush=True)
    said = [f"module {module}", f"wire   {total(w.n for w in wires.values())}",
            f"BPF    {total(seen['bpf'].values())}, missed {seen['missed']}",
            f"MIB {seen['mib']}"]
    odd = [f"{key}: wire {w.n}\nBPF {seen['bpf'].get(key, none)}\n" +
           "\n".join(map(str, w.log[-15:]))
           for key, w in wires.items() if w.n != seen["bpf"].get(key, none)]
    assert not odd and not seen["missed"], "\n".join(said + odd[:5])
    assert module == total(w.n for w in wires.values()), "\n".join(said)
    assert module == total(seen["bpf"].values()), "\n".join(said)
    assert module["sent"] == seen["mib"], "\n".join(said)
    ka.law(st)
    return module


def agree(seed, n, probes):
    need()
    print(f"# KA_SEED={seed}", flush=True)
    rng = random.Random(seed)
    with bpf() as program, tempfile.TemporaryDirectory() as folder, \
            ka.wire() as (c, s):
        program.watch(c)
        # So many that they do not run out while things happen.
        c.sysctl("net.ipv4.tcp_orphan_retries", 15)
        c.sysctl("net.ipv4.tcp_fin_timeout", 5)
        s.sysctl("net.ipv4.tcp_orphan_retries", 4)
        s.nft(LOSSY)
        s.exec("tc", "qdisc", "add", "dev", "w0", "root", "netem", "delay", "20ms")
        with capture(c, folder) as path, \
                connections(c, s, rng, n) as (conns, pids):
            start = time.monotonic()
            mix, steps = mixed(c, rng, conns, pids, probes)
            # Probes that are out stay so.
            for conn in conns:
                mix.off(conn)
            time.sleep(1)
            own = {conn.key for conn in conns if conn.own()}
            compare(f"{steps} steps, {time.monotonic() - start:.0f} s",
                    c, path, program, own)

            for conn in conns:
                if rng.random() < 0.5:
                    mix.unmute(conn)
                elif conn.b is not None:
                    conn.set_mute(3)
            time.sleep(1)
            for conn in conns:
                rng.choice((mix.closes, mix.closes, mix.aborts))(conn)
            own = {conn.key for conn in conns if conn.own()}
            # Now retransmission may run out, where no peer will be heard.
            silent = {conn.key for conn in conns if conn.b and conn.mute == 3}
            ka.poll("no others left", 600, lambda: there(c) <= silent)
            c.sysctl("net.ipv4.tcp_orphan_retries", 1)
            c.sysctl("net.ipv4.tcp_retries2", 1)
            ka.expect(c, 1000, conns_tracked=0, probes_pending=0)
            st = compare("all closed", c, path, program, own)
    return st


def test_mixed():
    seed = int(os.environ.get("KA_SEED") or random.randrange(1 << 32))
    st = agree(seed, 200, 2000)
    assert all(n for name, n in st.items() if name not in ("failed", "pending")), st


def test_mixed_beyond_max_conns():
    """Those without a lasting record count as well. The seed is always new."""
    param = "/sys/module/tcp_keepalive/parameters/max_conns"
    with open(param, encoding="ascii") as f:
        was = f.read()
    with open(param, "w", encoding="ascii") as f:
        f.write("5")
    try:
        agree(random.randrange(1 << 32), 60, 400)
    finally:
        with open(param, "w", encoding="ascii") as f:
            f.write(was)


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

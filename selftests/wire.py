# SPDX-License-Identifier: GPL-2.0
"""What went over a wire: tcpdump captures it, this reads it."""

import contextlib
import socket
import struct
import subprocess
import tempfile
from typing import NamedTuple

import ka

FIN, SYN, RST, ACK = 1, 2, 4, 16
TCP, ICMP, ICMP6 = 6, 1, 58
UNREACHABLE = {ICMP: 3, ICMP6: 1}


class Segment(NamedTuple):
    """A TCP segment, or with icmp the one that an ICMP error says cannot be
    delivered."""
    at: float           # seconds
    src: tuple          # (address, port)
    dst: tuple
    flags: int
    seq: int
    ack: int
    len: int            # bytes of data
    icmp: bool
    probe: bool         # nothing but an ACK, SEG.SEQ = SND.NXT - 1


class Capture:
    """A growing pcap file of an Ethernet device."""

    def __init__(self, path):
        self.path = path

    def segments(self):
        """All until now, in order."""
        with open(self.path, "rb") as f:
            data = f.read()
        found = []
        snd_nxt = {}
        pos = 24
        while pos + 16 <= len(data):
            sec, nsec, size, _ = struct.unpack_from("=4I", data, pos)
            frame = data[pos + 16:pos + 16 + size]
            pos += 16 + size
            if len(frame) < size:
                break
            seg = _ip(sec + nsec / 1e9, frame[14:])
            if not seg:
                continue
            way = seg.src, seg.dst
            if not seg.icmp:
                seg = seg._replace(probe=seg.flags == ACK and not seg.len and
                                   seg.seq == _add(snd_nxt.get(way, 0), -1))
                end = _add(seg.seq, seg.len + bool(seg.flags & (SYN | FIN)))
                if seg.flags & SYN or _add(end, -snd_nxt.get(way, end)) < 1 << 31:
                    snd_nxt[way] = end
            found.append(seg)
        return found

    def until(self, what, n, test, seconds=60):
        """Wait until n segments pass the test; all that do."""
        found = []

        def reached():
            found[:] = [seg for seg in self.segments() if test(seg)]
            return len(found) >= n
        ka.poll(f"{n} x {what} on the wire", seconds, reached)
        return found


def _add(seq, n):
    return (seq + n) & 0xffffffff


def _ip(at, p, icmp=False):
    """The segment in an IP packet, or in the one that an ICMP error quotes."""
    if p[0] >> 4 == 4:
        family, proto, end = socket.AF_INET, p[9], struct.unpack_from("!H", p, 2)[0]
        addrs, head = (p[12:16], p[16:20]), (p[0] & 15) * 4
    else:
        family, proto, end = socket.AF_INET6, p[6], 40 + struct.unpack_from("!H", p, 4)[0]
        addrs, head = (p[8:24], p[24:40]), 40
    t = p[head:end]
    if proto in UNREACHABLE and not icmp and t[0] == UNREACHABLE[proto]:
        return _ip(at, t[8:], True)
    if proto != TCP:
        return None
    sport, dport, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", t)
    src, dst = (socket.inet_ntop(family, a) for a in addrs)
    return Segment(at, (src, sport), (dst, dport), flags & ~8, seq, ack,
                   end - head - (offset >> 4) * 4, icmp, False)


@contextlib.contextmanager
def capture(ns, dev="w0"):
    """A capture of what passes a device of a namespace."""
    with tempfile.NamedTemporaryFile() as f, subprocess.Popen(
            ["ip", "netns", "exec", ns.name, "tcpdump", "-i", dev, "-Z", "root",
             "-n", "-U", "--immediate-mode", "--time-stamp-precision=nano",
             "-w", f.name, "tcp or icmp or icmp6"],
            stderr=subprocess.PIPE, text=True) as p:
        try:
            said = ""
            while "listening on" not in said:
                line = p.stderr.readline()
                if not line:
                    raise AssertionError("tcpdump: " + said)
                said += line
            yield Capture(f.name)
        finally:
            p.terminate()

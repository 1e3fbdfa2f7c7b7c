#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""million.py MANY MODULE KACTL: in the machine with the clock that jumps, opens
KA_SOCKETS (a million) TCP sockets, lets policy have them all probed, shows and
changes them all, and prints what each step took. Ends with 1 if a probe was
miscounted or a connection left out."""

import json
import os
import platform
import re
import subprocess
import sys
import time

MANY, MODULE, KACTL = sys.argv[1:]
SOCKETS = int(os.environ.get("KA_SOCKETS", "1000000"))
PROGRAMS = 8
PORT = 7000
MINE = SOCKETS // PROGRAMS	# sockets of one program
PARAMETERS = "/sys/module/tcp_keepalive/parameters/"
# Probes come in rounds of a minute, with a quiet one between two.
TIME, SPREAD = 120, 60
# A timer two minutes ahead runs up to two seconds late, with all others of those
# seconds at once; Linux's 1,000 segments on their way to one CPU are too few then.
SYSCTLS = {"fs/file-max": 2 * SOCKETS + 10000, "net/core/netdev_max_backlog": SOCKETS}

failed = []


def busy():
    """Nanoseconds for which the CPU was not idle: instructions."""
    with open("/proc/timer_list", encoding="ascii") as f:
        idle = re.findall(r"\.(?:idle_sleeptime|iowait_sleeptime) *: (\d+)", f.read())
    return time.monotonic_ns() - sum(map(int, idle))


def memory():
    """Bytes in use."""
    with open("/proc/meminfo", encoding="ascii") as f:
        kib = {line.split(":")[0]: int(line.split()[1]) for line in f}
    return (kib["MemTotal"] - kib["MemFree"] - kib["Cached"] - kib["Buffers"]) * 1024


class Step:
    """A line of the table: what a block took."""

    def __init__(self, name, each=SOCKETS):
        self.name, self.each = name, each

    def __enter__(self):
        print("+", flush=True)	# the host's clock starts
        self.memory, self.busy = memory(), busy()
        return self

    def __exit__(self, kind, *exc):
        cost = busy() - self.busy
        grown = (memory() - self.memory) / 1e6
        if not kind:
            each = f"{cost / self.each:12,.0f}" if self.each else " " * 12
            print(f"{self.name:44}{cost / 1e9:9.3f}{each}{grown:+10,.0f}@", flush=True)


def check(what, got, want):
    """Both are in the message if they differ."""
    if got != want:
        failed.append(what)
        print(f"FAILED: {what}: {got}, not {want}", flush=True)


def kactl(*args):
    return json.loads(subprocess.run([KACTL, "-q", "-j", *args], check=True, stdout=subprocess.PIPE).stdout)[0]


def mib():
    """The kernel's own count of its probes."""
    with open("/proc/net/netstat", encoding="ascii") as f:
        names, values = [line.split() for line in f if line.startswith("TcpExt:")]
    return int(values[names.index("TCPKeepAlive")])


def counted(when, **want):
    """The statistics, in which each probe has one fate, and some of which must be so."""
    with Step(f"kactl stats: {when}", None):
        st = kactl("stats")
    fates = ("answered", "lost", "reset", "abandoned", "failed", "unseen", "pending")
    check(f"{when}: the sum of the fates", sum(st["probes_" + f] for f in fates), st["probes_sent"])
    check(f"{when}: TcpExtTCPKeepAlive", mib(), st["probes_sent"])
    check(f"{when}: probes_unseen", st["probes_unseen"], 0)
    for name, value in want.items():
        check(f"{when}: {name}", st[name], value)
    print("  " + " ".join(f"{k}={v}" for k, v in st.items() if v and isinstance(v, int) and k != "netns_ino"))
    return st


def show(when):
    """All connections, as text and as JSON, by a program that keeps none of it."""
    for args in (["conn"], ["-j", "conn"]):
        with Step(f"kactl {' '.join(args)}: {when}"):
            p = subprocess.Popen([KACTL, *args], stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(p.pid, 0)
        check(f"{' '.join(args)}: exit status", status, 0)
        print(f"  at most {usage.ru_maxrss:,} KiB of its own")


def shown():
    """As many lines as there are connections."""
    with subprocess.Popen([KACTL, "conn"], stdout=subprocess.PIPE) as p:
        lines = subprocess.run(["wc", "-l"], stdin=p.stdout, check=True, stdout=subprocess.PIPE).stdout
    check("lines of kactl conn", int(lines), SOCKETS)


def apply(when, *args):
    with Step(f"kactl apply: {when}"):
        st = kactl("apply", *args)
    check(f"apply: {when}: seen", st["seen"], SOCKETS)
    return st


def until(moment):
    time.sleep(max(0, moment - time.monotonic()))


def bound(n):
    for name in ("max_conns", "max_conns_total"):
        with open(PARAMETERS + name, "w", encoding="ascii") as f:
            f.write(str(n))


def main():
    for name, value in SYSCTLS.items():
        with open("/proc/sys/" + name, "w", encoding="ascii") as f:
            f.write(str(value))
    print(f"{SOCKETS:,} sockets on {platform.release()}, {time.strftime('%F')}\n")
    print(f"{'step':44}{'10^9 instr.':>9}{'each':>10}{'MB':>10}{'seconds':>9}", flush=True)
    with Step("load", None):
        subprocess.run(["insmod", MODULE], check=True)
    tracked = int(open(PARAMETERS + "max_conns", encoding="ascii").read())
    kactl("policy", "set", "enforce", "on")

    with Step("connect + accept, enforced"):
        programs = [subprocess.Popen([MANY, str(MINE // 2), str(PORT + i)],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                    for i in range(PROGRAMS)]
        check("programs ready", [p.stdout.readline() for p in programs], [b"open\n"] * PROGRAMS)
    counted("opened", probes_sent=0, conns_enforced=SOCKETS, conns_tracked=0)
    show("never probed")
    shown()

    kactl("policy", "set", "time", str(TIME), "intvl", str(TIME))
    time.sleep(TIME)
    start = time.monotonic()
    with Step(f"1st probe and its answer, default max_conns"):
        st = apply("all overdue", "--spread", str(SPREAD))
        check("overdue", st["overdue"], SOCKETS)
        until(start + SPREAD + 20)
    counted("1st round", probes_sent=SOCKETS, probes_answered=SOCKETS,
            conns_tracked=min(tracked, SOCKETS), conns_untracked=max(0, SOCKETS - tracked))
    bound(2 * SOCKETS)
    with Step("2nd, max_conns raised"):
        until(start + TIME + SPREAD + 20)
    counted("2nd round", probes_sent=2 * SOCKETS, probes_answered=2 * SOCKETS, conns_tracked=SOCKETS)
    counted("again", conns_tracked=SOCKETS)
    apply("nothing to change")
    cut = ("table ip cut { chain c { type filter hook output priority 0;"
           f" tcp dport {PORT} drop; tcp sport {PORT} drop; }}; }}")
    subprocess.run(["nft", cut], check=True)
    with Step("3rd, an eighth of them lost"):
        until(start + 2 * TIME + SPREAD + 20)
    counted("3rd round", probes_sent=3 * SOCKETS, probes_answered=3 * SOCKETS - MINE, probes_pending=MINE)
    show("recorded")
    with Step("close, an eighth", MINE):
        programs[1].communicate()
    counted("closed", conns_tracked=SOCKETS - MINE)
    with Step("unload, the rest recorded", SOCKETS - MINE):
        subprocess.run(["rmmod", "tcp_keepalive"], check=True)
    print("failed" if failed else "passed")
    sys.exit(bool(failed))


main()

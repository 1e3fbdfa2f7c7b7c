#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""churn.py CHURN MANY MODULE HELD KACTL SECONDS RUNS: in the machine, four threads
open and close connections while conn, apply, stats and the replacing of a rule
run in loops: what the threads get done, and how long the module holds its locks.
HELD is the module with its locks timed. Ends with 1 if a limit is missed."""

import contextlib
import os
import platform
import signal
import statistics
import subprocess
import sys
import time

CHURN, MANY, MODULE, HELD, KACTL = sys.argv[1:6]
SECONDS, RUNS = sys.argv[6], int(sys.argv[7])
IDLE = 20000		# sockets that are open all the time, and probed each TIME seconds
TIME = 10
RULES = 1024
LIMIT_PERCENT, LIMIT_NS = 2, 1000000

# What runs in loops; what they are held against takes as much of the CPUs.
LOOPS = {"conn": f"{KACTL} -q conn >/dev/null",
         "apply": f"{KACTL} -q apply >/dev/null",
         "stats": f"{KACTL} -q stats >/dev/null",
         "rule replace": f"{KACTL} -q rule replace pref $((n % {RULES} + 1)) remote 192.0.2.1 rport $n keepalive on"}
BURN = {f"burn {i}": ":" for i in range(len(LOOPS))}
failed = []


@contextlib.contextmanager
def looping(commands, rounds):
    """Each command again and again, for the length of the block; how often, into rounds."""
    shells = {name: subprocess.Popen(
        ["sh", "-c", f"trap 'echo $n; exit' TERM; n=1; while {command}; do n=$((n % 60000 + 1)); done"],
        stdout=subprocess.PIPE, text=True) for name, command in commands.items()}
    try:
        yield
    finally:
        for name, shell in shells.items():
            shell.send_signal(signal.SIGTERM)
            said = shell.communicate()[0]
            if not said:
                sys.exit(f"churn: {name}: a command failed")
            rounds[name] = int(said)


def churn():
    """Connections, and connections for each second of CPU time."""
    out = subprocess.run([CHURN, "4", SECONDS, "6999"], check=True, stdout=subprocess.PIPE).stdout
    n, cpu = map(int, out.split())
    return n, n / cpu * 1e9


@contextlib.contextmanager
def loaded(module):
    """A policy that enforces, rules that do not match, and connections that are probed."""
    subprocess.run(["insmod", module], check=True)
    rules = "".join(f"rule add pref {i + 1} remote 192.0.2.{i % 250} rport {i + 1} keepalive on\n"
                    for i in range(RULES))
    subprocess.run([KACTL, "-q", "restore"], check=True, text=True,
                   input=f"policy set time {TIME} intvl {TIME} enforce on\n" + rules)
    with subprocess.Popen([MANY, str(IDLE // 2), "7000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as many:
        if many.stdout.readline() != b"open\n":
            sys.exit("churn: connections cannot be opened")
        time.sleep(TIME)
        yield
    subprocess.run(["rmmod", "tcp_keepalive"], check=True)


def throughput():
    """With the loops and, before and after, with as much of the CPUs taken by none of them."""
    turns = ("before", BURN), ("with the loops", LOOPS), ("after", BURN)
    values = {name: [] for name, _ in turns}
    rounds = {}
    with loaded(MODULE):
        for run in range(RUNS):
            for name, commands in turns:
                with looping(commands, rounds):
                    values[name].append(churn())
                print(f"churn: {run + 1} of {RUNS}, {name}: {values[name][-1][0]:,} connections, "
                      f"{values[name][-1][1]:,.0f} a CPU second", flush=True)
    print("churn: the last loops went round " + ", ".join(f"{n} times ({k})" for k, n in rounds.items() if k in LOOPS))

    print(f"\n{'connections':20}{'all':>10}{'a CPU second':>14}{'spread':>10}{'difference':>13}")
    rates = {name: [rate for _, rate in v] for name, v in values.items()}
    without = statistics.median(rates["before"] + rates["after"])
    for name, v in rates.items():
        median = statistics.median(v)
        print(f"{name:20}{statistics.median(n for n, _ in values[name]):10,.0f}{median:14,.0f}"
              f"{100 * (max(v) - min(v)) / median:8.2f} %{100 * (median - without) / without:+11.2f} %")
    lost = 100 * (without - statistics.median(rates["with the loops"])) / without
    noise = 100 * abs(statistics.median(rates["before"]) - statistics.median(rates["after"])) / without
    if noise > LIMIT_PERCENT:
        print(f"throughput: no verdict: before and after, without the loops, differ by {noise:.2f} %\n", flush=True)
    else:
        verdict("throughput", lost <= LIMIT_PERCENT, f"{lost:.2f} % lost, of at most {LIMIT_PERCENT} %")


def verdict(what, ok, text):
    print(f"{what}: {text}: {'ok' if ok else 'MISSED'}\n", flush=True)
    if not ok:
        failed.append(what)


def absence():
    """Nanoseconds for which a CPU was not there for a program that nothing in the machine holds up."""
    longest = 0
    for cpu in range(os.cpu_count()):
        os.sched_setaffinity(0, {cpu})
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        last = time.monotonic_ns()
        end = last + 500000000
        while last < end:
            now = time.monotonic_ns()
            longest, last = max(longest, now - last), now
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.sched_setaffinity(0, range(os.cpu_count()))
    return longest


def held():
    """How long each lock is held at most."""
    away = absence()
    with loaded(HELD):
        with looping(LOOPS, {}):
            churn()
        with open("/sys/module/tcp_keepalive/parameters/held", encoding="ascii") as f:
            sites = [line.rstrip("\n").split("\t") for line in f]
    print(f"{'held by':24}{'taken with':26}{'times':>12}{'> 1 ms':>8}{'longest, us':>13}")
    sites.sort(key=lambda s: -int(s[4]))
    for function, what, times, over, longest in sites:
        print(f"{function:24}{what:26}{int(times):12,}{int(over):8,}{int(longest) / 1000:13,.1f}")
    # Nobody spins for a mutex, and no BH waits for it.
    longest = max(int(s[4]) for s in sites if s[1] != "mutex_lock")
    away = max(away, absence())
    if away > LIMIT_NS:
        print(f"locks: no verdict: CPUs of this machine are away for up to {away / 1000:,.0f} us")
    else:
        verdict("locks", longest <= LIMIT_NS, f"{longest / 1000:,.1f} us, of at most {LIMIT_NS / 1000:,.0f} us")


def main():
    # The idle ones are probed in bursts, which would have the threads' own segments dropped.
    with open("/proc/sys/net/core/netdev_max_backlog", "w", encoding="ascii") as f:
        f.write(str(IDLE))
    print(f"{os.environ['KA_CLOCK']} clock, {os.cpu_count()} CPUs, {platform.release()}, {time.strftime('%F')}: "
          f"{SECONDS} s each, {IDLE:,} idle sockets probed every {TIME} s, {RULES} rules\n")
    throughput()
    held()
    sys.exit(bool(failed))


main()

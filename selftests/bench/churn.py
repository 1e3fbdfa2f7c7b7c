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
SECONDS, RUNS = int(sys.argv[6]), int(sys.argv[7])
IDLE = 20000		# sockets that are open all the time, and probed each TIME seconds
TIME = 10
TURN = min(TIME, SECONDS)	# seconds at a stretch: all idle ones are probed once
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
            rounds[name] = rounds.get(name, 0) + int(said) - 1


def churn(seconds):
    """Connections, and connections for each second of CPU time."""
    out = subprocess.run([CHURN, "4", str(seconds), "6999"], check=True, stdout=subprocess.PIPE).stdout
    n, cpu = map(int, out.split())
    return n, n / cpu * 1e9


def differences(values):
    """For each turn with the loops, how much less it got done than those beside it, per cent."""
    before, during, after = ([rate for _, rate in v] for v in values.values())
    return [100 - 200 * d / (b + a) for b, d, a in zip(before, during, after)]


def spread(diffs):
    """Twice the standard error of their median, by their median deviation: a turn that was disturbed counts as one."""
    median = statistics.median(diffs)
    return 2 * 1.2533 * 1.4826 * statistics.median(abs(d - median) for d in diffs) / len(diffs) ** 0.5


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
    """With the loops and, before and after, with as much of the CPUs taken by none of them. A machine that does
    other things changes its pace by far more than the limit, but seldom within seconds: so each run is many
    short turns, and each turn with the loops is held against the two beside it."""
    turns = ("before", BURN), ("with the loops", LOOPS), ("after", BURN)
    values = {name: [] for name, _ in turns}
    rounds = dict.fromkeys(LOOPS, 0)
    with loaded(MODULE):
        for run in range(RUNS):
            for _ in range(SECONDS // TURN):
                for name, commands in turns:
                    with looping(commands, rounds):
                        values[name].append(churn(TURN))
            print(f"churn: {run + 1} of {RUNS}: {statistics.median(differences(values)):.2f} % lost so far", flush=True)
    print("churn: the loops went round " + ", ".join(f"{rounds[k]} times ({k})" for k in LOOPS))

    print(f"\n{'connections':20}{'all':>10}{'a CPU second':>14}")
    for name, v in values.items():
        print(f"{name:20}{statistics.median(n for n, _ in v) / TURN:10,.0f}{statistics.median(r for _, r in v):14,.0f}")
    diffs = differences(values)
    lost, noise = statistics.median(diffs), spread(diffs)
    text = f"{lost:.2f} % lost, give or take {noise:.2f} %, of at most {LIMIT_PERCENT} %"
    if abs(lost - LIMIT_PERCENT) < noise:
        print(f"throughput: no verdict: {text}\n", flush=True)
    else:
        verdict("throughput", lost <= LIMIT_PERCENT, text)


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
            churn(SECONDS)
        with open("/sys/module/tcp_keepalive/parameters/held", encoding="ascii") as f:
            sites = [line.rstrip("\n").split("\t") for line in f]
    print(f"{'held by':24}{'taken with':26}{'times':>12}{'> 1 ms':>8}{'longest, us':>13}")
    sites.sort(key=lambda s: -int(s[4]))
    for function, what, times, over, longest in sites:
        print(f"{function:24}{what:26}{int(times):12,}{int(over):8,}{int(longest) / 1000:13,.1f}")
    longest = max(int(s[4]) for s in sites)
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
    if RUNS:
        throughput()
    held()
    sys.exit(bool(failed))


main()

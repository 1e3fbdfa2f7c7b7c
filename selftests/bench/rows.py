#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""rows.py COST MODULE KACTL: in the machine with the clock that jumps, runs the
rows of the table, prints it, and writes it to /out/bench.json. Ends with 1 if a
limit is missed."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections import namedtuple

COST, MODULE, KACTL = sys.argv[1:]
REPEATS = int(os.environ.get("KA_REPEATS", "3"))
SYSFS = "/sys/class/tcp_keepalive/netns/"


def unload():
    if os.path.exists("/sys/module/tcp_keepalive"):
        subprocess.run(["rmmod", "tcp_keepalive"], check=True)


def load():
    unload()
    subprocess.run(["insmod", MODULE], check=True)


def enforce():
    load()
    with open(SYSFS + "enforce", "w", encoding="ascii") as f:
        f.write("on\n")


def rules(n):
    """Enter a state with n rules, none of which matches."""
    def enter():
        load()
        text = "".join(f"rule add remote 192.0.{i // 250}.{i % 250} rport "
                       f"{1000 + i} keepalive on\n" for i in range(n))
        subprocess.run([KACTL, "-q", "restore"], input=text, text=True, check=True)
    return enter


# The states of the machine, in the order in which each repeat goes through them.
STATES = {"nothing loaded": unload, "loaded": load, "enforcing": enforce,
          "64 rules": rules(64), "1024 rules": rules(1024)}

# A row's first figure is what its others are held against; limits in per cent.
Row = namedtuple("Row", "name figures")
Figure = namedtuple("Figure", "name state command limit", defaults=[None])


def by_state(name, command, **limits):
    """A row with the same command in several states; a limit may be None."""
    return Row(name, [Figure("nothing loaded", "nothing loaded", command)] +
               [Figure(s, s, command, limit) for s, limit in limits.items()])


ROWS = [
    by_state("1 byte there and 1 back", ["pingpong"], loaded=0.05, enforcing=0.05),
    by_state("64 KiB in one direction", ["bulk"], loaded=0.05, enforcing=0.05),
    by_state("connect + accept + close", ["connect"],
             **{"loaded": 0.5, "enforcing": 1.5, "64 rules": 2, "1024 rules": 10}),
    # CONNECTIONS SECONDS
    by_state("probe + answer, 1000 a second", ["probe", "1000", "20"], loaded=None),
    by_state("probe + answer, 100 a second", ["probe", "100", "200"], loaded=None),
    by_state("probe + answer, 10 a second", ["probe", "10", "1000"], loaded=None),
    Row("statistics, whole process", [
        Figure("nstat -az", "loaded", ["exec", "nstat", "-az"]),
        Figure("kactl stats", "loaded", ["exec", KACTL, "stats"], 0)]),
    Row("each of 2,000 sockets", [
        Figure("ss -tnoi", "loaded", ["each", "2000", "ss", "-tnoi"]),
        Figure("kactl conn", "loaded", ["each", "2000", KACTL, "conn"], -87.5),
        Figure("kactl -j conn", "loaded", ["each", "2000", KACTL, "-j", "conn"], -87.5),
        Figure("kactl apply", "loaded", ["each", "2000", KACTL, "-q", "apply"], -97.5)]),
    Row("each of 20,000 sockets", [
        Figure("ss -tnoi", "loaded", ["each", "20000", "ss", "-tnoi"]),
        Figure("kactl conn", "loaded", ["each", "20000", KACTL, "conn"], -87.5),
        Figure("kactl -j conn", "loaded", ["each", "20000", KACTL, "-j", "conn"], -87.5),
        Figure("kactl apply", "loaded", ["each", "20000", KACTL, "-q", "apply"], -97.5)]),
]


def run(row, figure):
    """One value. A figure of 'enforcing' must be one of connections enforced."""
    out = subprocess.run([COST, *figure.command], check=True, stdout=subprocess.PIPE)
    if figure.state != "nothing loaded":
        with open(SYSFS + "statistics/conns_enforced", encoding="ascii") as f:
            if (int(f.read()) > 0) != (figure.state == "enforcing"):
                sys.exit(f"bench: {row.name}, {figure.name}: conns_enforced is not what it should be")
    return float(out.stdout)


def measure():
    """The values of each figure, by (row, figure), from repeats in alternation."""
    values = {(r.name, f.name): [] for r in ROWS for f in r.figures}
    for repeat in range(REPEATS):
        for state, enter in STATES.items():
            enter()
            for row in ROWS:
                for figure in row.figures:
                    if figure.state == state:
                        print(f"bench: {repeat + 1} of {REPEATS}, {state}: {row.name}", flush=True)
                        values[row.name, figure.name].append(run(row, figure))
    return values


def result(row, values):
    """The row as it goes into the JSON."""
    figures = []
    for figure in row.figures:
        v = values[row.name, figure.name]
        median = statistics.median(v)
        f = {"name": figure.name, "instructions": median, "values": v,
             "spread_percent": round(100 * (max(v) - min(v)) / median, 3)}
        if figures:
            base = figures[0]["instructions"]
            f["difference_percent"] = round(100 * (median - base) / base, 3)
            if figure.limit is not None:
                f["limit_percent"] = figure.limit
                f["ok"] = f["difference_percent"] <= figure.limit
        figures.append(f)
    return {"row": row.name, "figures": figures}


def line(name, f):
    """The figure as it goes into the table."""
    text = f"{name:33}{f['name']:15}{f['instructions']:>13,.0f}{f['spread_percent']:>8.2f} %"
    if "difference_percent" in f:
        text += f"{f['difference_percent']:>+12.2f} %"
    if "ok" in f:
        text += f"{f['limit_percent']:>+10.2f} %  {'ok' if f['ok'] else 'MISSED'}"
    return text


def main():
    date = time.strftime("%F")
    kernel = platform.release()
    table = [result(row, values) for values in [measure()] for row in ROWS]
    with open("/out/bench.json", "w", encoding="ascii") as f:
        json.dump({"date": date, "kernel": kernel, "repeats": REPEATS, "rows": table}, f, indent=1)

    print(f"\nInstructions on {kernel}, {date}, median of {REPEATS}; the spread is (largest - smallest) / median.\n")
    print(f"{'':33}{'':15}{'instructions':>13}{'spread':>10}{'difference':>14}{'limit':>12}")
    for row in table:
        name = row["row"]
        for f in row["figures"]:
            print(line(name, f))
            name = ""
    missed = sum(not f.get("ok", True) for row in table for f in row["figures"])
    print(f"\n{missed or 'no'} limit{'' if missed == 1 else 's'} missed")
    sys.exit(missed > 0)


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""measure.py JSON [ROW...]: in the machine with the clock that jumps, measures
all rows, or those whose names begin so, the others being what they were in JSON.
Prints the table and leaves it and a drawing of it in /out. Ends with 1 if a limit
is missed."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time

import draw
import rows as r

COST = r.HERE + "/cost"
REPEATS = int(os.environ.get("KA_REPEATS", "3"))


def key(state, command):
    """What a figure is of: the same in each run."""
    return f"{state}: {command.__name__ if callable(command) else ' '.join(command)}"


def kept():
    """The values of an earlier run, by key."""
    if not os.path.exists(sys.argv[1]):
        return {}
    with open(sys.argv[1], encoding="ascii") as f:
        return {g["key"]: g["values"] for row in json.load(f)["rows"] for g in row["figures"]}


def chosen():
    begins = tuple(arg.lstrip() for arg in sys.argv[2:]) or ("",)
    return [row for row in r.ROWS if row.name.strip().startswith(begins)]


def jobs(rows, state):
    """What is to be measured in a state: lists of commands that go together."""
    found = {}
    for row in rows:
        for figure in row.figures:
            if figure.state == state:
                c = figure.command
                group = found.setdefault(c if callable(c) or c[0] != "each" else c[:2], [])
                if c not in group:
                    group.append(c)
    return found.values()


def run(state, commands):
    """A value of each."""
    first = commands[0]
    if callable(first):
        return [float(first())]
    args = list(first)
    for c in commands[1:]:
        args += ["--", *c[2:]]
    out = subprocess.run([COST, *args], check=True, stdout=subprocess.PIPE, text=True).stdout
    if state not in r.WITHOUT and first[0] == "connect":
        with open(r.SYSFS + "statistics/conns_enforced", encoding="ascii") as f:
            if (int(f.read()) > 0) != (state in r.ENFORCING):
                sys.exit(f"bench: {first}, {state}: conns_enforced is not what it should be")
    return [float(v) for v in out.split()]


def measure(rows):
    """The values, by key, from repeats in alternation."""
    values = {}
    for repeat in range(REPEATS):
        for state, enter in r.STATES.items():
            work = jobs(rows, state)
            if not work:
                continue
            with enter():
                for commands in work:
                    got = run(state, commands)
                    assert len(got) == len(commands), (commands, got)
                    for c, v in zip(commands, got):
                        values.setdefault(key(state, c), []).append(v)
                    print(f"bench: {repeat + 1} of {REPEATS}, {key(state, commands[0])}", flush=True)
    return values


def judge(f, base, limit):
    """Put what the figure is held against, and the verdict, into it."""
    difference = f["value"] - base
    if base:
        f["difference_percent"] = round(100 * difference / base, 3)
    f["difference"] = round(difference, 1)
    if limit is not None:
        f["limit"] = limit._asdict()
        held = {"percent": f.get("difference_percent"), "more": round(difference),
                "most": f["value"]}[limit.kind]
        f["ok"] = held <= limit.value


def result(row, values):
    """The row as it goes into the JSON."""
    figures = []
    for figure in row.figures:
        if figure.name is None:
            continue
        v = values[key(figure.state, figure.command)]
        median = statistics.median(v)
        f = {"name": figure.name, "key": key(figure.state, figure.command), "value": median, "values": v,
             "spread_percent": round(100 * (max(v) - min(v)) / median, 3) if median else 0}
        judge(f, figures[0]["value"] if figures else median, figure.limit)
        figures.append(f)
    return {"row": row.name, "unit": row.unit, "figures": figures}


def line(name, f, compared, unit):
    """The figure as it goes into the table, compared to the row's first or not."""
    text = f"{name:34}{f['name']:15}{f['value']:>12,.0f}{f['spread_percent']:>8.2f} %"
    if not compared:
        text += " " * 12
    elif unit == "bytes":
        text += f"{f['difference']:>+10,.0f}  "
    else:
        text += f"{f['difference_percent']:>+10.2f} %"
    if "limit" in f:
        value = f["limit"]["value"]
        text += {"percent": f"{value:>+10.2f} %", "more": f"{value:>+10,}  ",
                 "most": f"{value:>10,}  "}[f["limit"]["kind"]]
        text += "  ok" if f["ok"] else "  MISSED"
    return text.rstrip()


def show(rows, unit):
    """The part of the table that is in that unit."""
    print(f"\n{'':49}{unit:>12}{'spread':>10}{'difference':>12}{'limit':>12}")
    for row in rows:
        first = row["figures"][0]
        name = row["row"]
        for f in row["figures"]:
            print(line(name, f, f is not first and "limit" not in first, unit))
            name = ""


def main():
    values = kept()
    values.update(measure(chosen()))
    table = [result(row, values) for row in r.ROWS
             if all(key(f.state, f.command) in values for f in row.figures if f.name)]
    date = time.strftime("%F")
    kernel = platform.release()
    whole = {"date": date, "kernel": kernel, "repeats": REPEATS, "rows": table}
    with open("/out/bench.json", "w", encoding="ascii") as f:
        json.dump(whole, f, indent=1)
    with open("/out/bench.svg", "w", encoding="ascii") as f:
        f.write(draw.draw(whole))

    print(f"\nOn {kernel}, {date}, median of {REPEATS}; the spread is (largest - smallest) / median.")
    for unit in ("instructions", "bytes"):
        show([row for row in table if row["unit"] == unit], unit)
    missed = sum(not f.get("ok", True) for row in table for f in row["figures"])
    print(f"\n{missed or 'no'} limit{'' if missed == 1 else 's'} missed")
    sys.exit(missed > 0)


main()

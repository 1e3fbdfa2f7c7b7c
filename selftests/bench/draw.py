#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""draw.py JSON SVG: draws the table. A row that is held against nothing loaded
shows what each state adds, in per cent; one of tools what each takes."""

import json
import sys

WIDTH = 700
LINE, GAP, TOP = 19, 10, 62
# Where bars begin, how long they are at most, where the figures end.
BARS, LONGEST, FIGURES = 290, 240, 690

STYLE = """
text { font: 13px sans-serif; fill: #1f2328; }
.title { font-size: 16px; font-weight: bold; }
.row { font-weight: bold; }
.note, .name { fill: #57606a; }
.figure { text-anchor: end; }
.name { text-anchor: end; }
.module { fill: #0969da; } .peer { fill: #afb8c1; } .limit { stroke: #cf222e; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; } .note, .name { fill: #9198a1; }
.module { fill: #4493f8; } .peer { fill: #656c76; } .limit { stroke: #f85149; }
}
"""


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


def text(x, y, what, kind):
    return f'<text x="{x}" y="{y}" class="{kind}">{escape(what)}</text>'


def is_peer(name):
    return name.startswith(("BPF", "ss ", "nstat", "nothing"))


def added(figure):
    return max(figure["difference_percent"], 0)


class Picture:
    """Lines of text and bars, one below the other."""

    def __init__(self):
        self.parts, self.y = [], TOP

    def bar(self, name, length, limit, figure):
        y = self.y
        self.parts += [
            text(BARS - 8, y + 13, name, "name"),
            f'<rect x="{BARS}" y="{y + 3}" width="{max(length, 1):.1f}" height="12" rx="2" '
            f'class="{"peer" if is_peer(name) else "module"}"/>',
            text(FIGURES, y + 13, figure, "figure")]
        if limit is not None and limit <= LONGEST:
            x = BARS + limit
            self.parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y + 1}" y2="{y + 17}" class="limit"/>')
        self.y += LINE

    def heading(self, what, note):
        self.y += GAP
        self.parts += [text(10, self.y + 13, what, "row"), text(FIGURES, self.y + 13, note, "note figure")]
        self.y += LINE

    def differences(self, row):
        """What each state adds to the first."""
        base, *figures = row["figures"]
        percents = [f["limit"]["value"] for f in figures
                    if "limit" in f and f["limit"]["kind"] == "percent"]
        scale = LONGEST / max([added(f) for f in figures] + percents)
        self.heading(row["row"], f"{base['value']:,.0f} {row['unit']} with nothing loaded")
        for f in figures:
            limit = f.get("limit", {})
            self.bar(f["name"], scale * added(f),
                     scale * limit["value"] if limit.get("kind") == "percent" else None,
                     f"{f['difference_percent']:+.2f} %")

    def amounts(self, row):
        """What each takes."""
        scale = LONGEST / max(f["value"] for f in row["figures"])
        self.heading(row["row"], row["unit"])
        for f in row["figures"]:
            limit = f.get("limit", {})
            held = {"percent": row["figures"][0]["value"] * (1 + limit["value"] / 100),
                    "most": limit["value"]}[limit["kind"]] if limit else None
            self.bar(f["name"], scale * f["value"], held and scale * held, f"{f['value']:,.0f}")


def draw(table):
    p = Picture()
    for row in table["rows"]:
        if row["unit"] != "instructions" or row["row"].endswith("by sockets"):
            continue
        if row["figures"][0]["name"] == "nothing loaded":
            p.differences(row)
        else:
            p.amounts(row)
    height = p.y + GAP
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}">',
        f"<style>{STYLE}</style>",
        text(10, 24, "What the module costs, in instructions", "title"),
        text(10, 46, f"Linux {table['kernel']}, {table['date']}. Blue: the module and its tool; grey: "
             "their peers; red: the limit.", "note"),
        *p.parts, "</svg>", ""])


def main():
    with open(sys.argv[1], encoding="ascii") as f:
        picture = draw(json.load(f))
    with open(sys.argv[2], "w", encoding="ascii") as f:
        f.write(picture)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What the fuzzer knows of the netlink family, made of its YNL spec: tables.h."""

import sys

import yaml

LIMITS = {"u8": (0, 2**8 - 1), "u16": (0, 2**16 - 1), "u32": (0, 2**32 - 1),
          "s32": (-2**31, 2**31 - 1)}


def c_name(name):
    return name.replace("-", "_")


def mask(names, attributes):
    """A bit for the number of each attribute that is named."""
    bits = sum(1 << i for i, a in enumerate(attributes, 1) if a["name"] in names)
    return f"{bits:#x}ULL"


def relatives(a, attributes):
    """Attributes without which, or with which, this one makes no sense."""
    number = {b["name"]: i for i, b in enumerate(attributes, 1)}
    stem, _, end = a["name"].rpartition("-")
    needs = {"max": stem + "-min", "len": stem, "mask": stem}.get(end)
    if needs in number:
        yield f".needs = {number[needs]}"
    if end == "min" and stem in number:
        yield f".without = {number[stem]}"


def attribute(spec, a, attributes):
    """The element of struct attr."""
    consts = {d["name"]: d["value"] for d in spec["definitions"]
              if d["type"] == "const"}
    enums = {d["name"]: len(d["entries"]) for d in spec["definitions"]
             if d["type"] == "enum"}
    low, high = LIMITS.get(a["type"], (0, 0))
    checks = a.get("checks", {})
    low = consts.get(checks.get("min"), checks.get("min", low))
    high = consts.get(checks.get("max"), checks.get("max", high))
    if "enum" in a:
        high = enums[a["enum"]] - 1
    fields = [f'"{a["name"]}"', "KIND_" + a["type"].upper(), f"{low}", f"{high}"]
    if a["type"] == "nest":
        fields.append(f'.nested = SET_{c_name(a["nested-attributes"]).upper()}')
    fields += relatives(a, attributes)
    if a.get("multi-attr"):
        fields.append(".multi = true")
    if "enum" in a:
        fields.append(".is_enum = true")
    # The spec has no other way to say so.
    if "in rules alone" in a["doc"]:
        fields.append(".rules_alone = true")
    return "{ " + ", ".join(fields) + " }"


def part(op, which):
    """Names of the attributes of an operation's request or reply."""
    if which == "reply" and "event" in op:
        return op["event"]["attributes"]
    body = op.get("do", op.get("dump")) or {}
    return body.get(which, {}).get("attributes", [])


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        spec = yaml.safe_load(f)
    sets = {s["name"]: s["attributes"] for s in spec["attribute-sets"]}
    ops = spec["operations"]["list"]
    print("enum {", *(f"\tSET_{c_name(s).upper()}," for s in sets), "};", sep="\n")
    for name, attributes in sets.items():
        print(f"\nstatic const struct attr {c_name(name)}_attrs[] = {{")
        for i, a in enumerate(attributes, 1):
            print(f"\t[{i}] = {attribute(spec, a, attributes)},")
        print("};")
    print("\nstatic const struct set sets[] = {")
    for name, attributes in sets.items():
        # In a nest: what any request has of it, or all.
        asked = {n for op in ops if op["attribute-set"] == name
                 for n in part(op, "request")} or {a["name"] for a in attributes}
        print(f"\t[SET_{c_name(name).upper()}] = {{ {c_name(name)}_attrs, "
              f"{len(attributes)}, {mask(asked, attributes)} }},")
    print("};\n\nstatic const struct command commands[] = {")
    for i, op in enumerate(ops, 1):
        attributes = sets[op["attribute-set"]]
        fields = [f'"{op["name"]}"', f'SET_{c_name(op["attribute-set"]).upper()}',
                  mask(part(op, "request"), attributes),
                  mask(part(op, "reply"), attributes)]
        fields += [f".{k} = true" for k in ("dump", "event") if k in op]
        print(f"\t[{i}] = {{ {', '.join(fields)} }},")
    print("};")


if __name__ == "__main__":
    main()

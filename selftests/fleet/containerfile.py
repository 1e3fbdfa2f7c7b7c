#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""containerfile.py FILE CONTEXT [NAME=VALUE]...: does here what a Containerfile
says, where there is neither a registry nor a network: FROM is this root, whatever
it names, and all stages share it."""

import os
import re
import shutil
import subprocess
import sys


def lines(path):
    with open(path, encoding="utf-8") as f:
        text = re.sub(r"^#.*\n", "", f.read(), flags=re.M).replace("\\\n", " ")
    return [line.split(None, 1) for line in text.splitlines() if line.strip()]


def copy(rest, context, args):
    words = [w for w in rest.split() if not w.startswith("--chmod=")]
    mode = re.search(r"--chmod=(\d+)", rest)
    base = context
    if words[0].startswith("--from="):
        words.pop(0)
        base = "/"
    *what, to = [re.sub(r"\$\{(\w+)\}", lambda m: args[m[1]], w) for w in words]
    for word in what:
        found = subprocess.run(["sh", "-c", f"ls -d {word}"], cwd=base, check=True,
                               text=True, capture_output=True).stdout.split()
        for name in found:
            path, into = os.path.join(base, name.lstrip("/")), to
            if os.path.isdir(path):
                if os.path.realpath(path) != os.path.realpath(to):
                    shutil.copytree(path, to, dirs_exist_ok=True)
                continue
            if to.endswith("/"):
                os.makedirs(to, exist_ok=True)
                into = os.path.join(to, os.path.basename(name))
            os.makedirs(os.path.dirname(into), exist_ok=True)
            shutil.copy(path, into)
            if mode:
                os.chmod(into, int(mode[1], 8))


def main(path, context, *given):
    given = dict(word.split("=", 1) for word in given)
    args = {}
    for word, rest in lines(path):
        print(word, rest, flush=True)
        if word == "ARG":
            name, _, value = rest.partition("=")
            args[name] = given.get(name, value)
        elif word == "COPY":
            copy(rest, context, args)
        elif word == "RUN":
            # Nothing is to be had but what is here.
            rest = rest.replace("apt-get update", "true")
            subprocess.run(["sh", "-exc", rest], check=True, cwd="/", env={
                **os.environ, **args})
        elif word not in ("FROM", "LABEL", "USER", "ENTRYPOINT", "CMD"):
            sys.exit(f"{path}: {word}: not known")


if __name__ == "__main__":
    main(*sys.argv[1:])

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Who may do what, in his own network namespace and in another's, by the tool
and by sysfs; and who pays for it."""

import contextlib
import subprocess

import ka

USER = "65534"
FILES = "/sys/class/tcp_keepalive/netns"
READ = ("policy", "rule", "rule test dir in", "stats", "conn", "save")
CHANGE = ("policy set time 61", "policy reset", "rule add time 60",
          "rule replace pref 5 time 60", "rule del pref 5", "rule flush",
          "apply", "apply --dry-run", "restore")

AS = {
    "root": (),
    "root without CAP_NET_ADMIN": (
        "setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin"),
    "a user with CAP_NET_ADMIN": (
        "setpriv", "--reuid", USER, "--clear-groups", "--inh-caps",
        "+net_admin", "--ambient-caps", "+net_admin"),
    "a user": ("setpriv", "--reuid", USER, "--clear-groups"),
    # Without a network namespace of their own.
    "a user namespace's root": ("setpriv", "--reuid", USER, "--clear-groups",
                                "unshare", "-Ur"),
    "a user namespace's root that is root outside": ("unshare", "-Ur"),
}

# Where he is: what he may read and change by the tool, write to in sysfs.
HERE = {
    "root": (True, True, True),
    "root without CAP_NET_ADMIN": (True, False, False),
    # The file belongs to the namespace's root.
    "a user with CAP_NET_ADMIN": (True, True, False),
    "a user": (True, False, False),
    "a user namespace's root": (True, False, False),
    "a user namespace's root that is root outside": (True, False, False),
    "a container's root": (True, True, True),
}

# In another network namespace, a container's included: the tool enters it.
ELSEWHERE = {who: who == "root" for who in HERE}
# CAP_SYS_ADMIN over the other one is all that it takes to enter and to read.
ELSEWHERE["root without CAP_NET_ADMIN"] = "read"


def run(*command):
    return subprocess.run(command, text=True, input="", capture_output=True,
                          check=False)


class Container:
    """A user's, with a user namespace and a network namespace."""

    def __enter__(self):
        self.init = subprocess.Popen(
            [*AS["a user"], "unshare", "-Urn", "sh", "-c",
             "echo ready; exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if not self.init.stdout.readline():
            self.__exit__()
            raise ka.Skip("users may make no user namespaces here")
        self.name = str(self.init.pid)
        return self

    def __exit__(self, *exc):
        self.init.communicate()

    def root(self, *command):
        return (*AS["a user"], "nsenter", "-t", self.name, "-U", "-n",
                "--preserve-credentials", *command)


def state(name):
    return ka.run(ka.KACTL, "-n", name, "save")


def may(who, allowed, name, commands, prefix, *options):
    """Each of the commands is done, or refused and changes nothing."""
    for words in commands:
        before = state(name)
        p = run(*prefix, ka.KACTL, "-q", *options, *words.split())
        what = f"{who}: {words} {options}: {p}"
        if allowed:
            assert p.returncode == 0, what
        else:
            assert p.returncode == 4, what
            assert "not permitted" in p.stderr or "denied" in p.stderr, what
            assert state(name) == before, what


def write(prefix, value):
    return run(*prefix, "sh", "-c", f"echo {value} >{FILES}/time").returncode == 0


@contextlib.contextmanager
def everybody():
    """How each runs a command, and the namespace that he is in."""
    with ka.Netns() as ns, Container() as box:
        enter = ("ip", "netns", "exec", ns.name)
        who = {k: (ns.name, (*enter, *v)) for k, v in AS.items()}
        who["a container's root"] = box.name, box.root()
        yield who


def test_here():
    with everybody() as people:
        for who, (read, change, _) in HERE.items():
            name, prefix = people[who]
            may(who, read, name, READ, prefix)
            may(who, change, name, CHANGE, prefix)


def test_elsewhere():
    with everybody() as people, ka.Netns() as other, Container() as box:
        for who, allowed in ELSEWHERE.items():
            _, prefix = people[who]
            for name, path in ((other.name, "/run/netns/" + other.name),
                               (box.name, f"/proc/{box.name}/ns/net")):
                may(who, bool(allowed), name, READ, prefix, "-n", path)
                may(who, allowed is True, name, CHANGE, prefix, "-n", path)


def test_files():
    """Each sees his own namespace's, under a sysfs of its own."""
    sysfs = ("sh", "-c", 'mount -t sysfs sysfs /sys && exec "$@"', "sh")
    with everybody() as people:
        for who, (_, _, allowed) in HERE.items():
            name, prefix = people[who]
            if who == "a container's root":
                prefix = (*prefix, "unshare", "-m", *sysfs)
            ka.run(ka.KACTL, "-qn", name, "policy", "set", "time", "77")
            p = run(*prefix, "cat", FILES + "/time")
            assert p.stdout == "77\n", f"{who}: {p}"
            p = run(*prefix, "cat", FILES + "/statistics/probes_sent")
            assert p.stdout == "0\n", f"{who}: {p}"
            assert write(prefix, 78) == allowed, who
            got = run(*prefix, "cat", FILES + "/time").stdout
            assert got == ("78\n" if allowed else "77\n"), f"{who}: {got}"


def test_files_of_another():
    """A container that the host's files are left in sight of."""
    with Container() as box:
        before = state("1")
        assert not write(box.root(), 61)
        # Even where the files' owner is its root.
        assert not write(AS["a user namespace's root that is root outside"] +
                         ("unshare", "-n"), 61)
        assert state("1") == before


def charged(path):
    with open(path + "/memory.stat", encoding="ascii") as f:
        stat = dict(line.split() for line in f)
    return int(stat["slab"])


def test_who_makes_rules_pays_for_them():
    root = ka.cgroup_root()
    with open(root + "/cgroup.controllers", encoding="ascii") as f:
        if "memory" not in f.read().split():
            raise ka.Skip("no memory controller")
    with open(root + "/cgroup.subtree_control", "w", encoding="ascii") as f:
        f.write("+memory\n")
    with ka.cgroup() as (path, _), Container() as box:
        text = "".join(f"rule add lport {i}-{i + 9} rport {i} uid {i} time 60\n"
                       for i in range(1, 1025))
        p = run(*box.root(ka.KACTL, "rule"))    # whatever else it takes
        before = charged(root + path)
        p = subprocess.run(box.root(ka.KACTL, "-q", "restore"), input=text,
                           text=True, capture_output=True, check=False)
        assert p.returncode == 0, p
        # A rule and its match are some 400 bytes.
        grown = charged(root + path) - before
        assert grown >= 1024 * 300, f"{grown} bytes"
        p = run(*box.root(ka.KACTL, "rule", "flush"))
        assert p.returncode == 0, p
        ka.poll("it is given back", 30,
                lambda: charged(root + path) - before < grown / 4)


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

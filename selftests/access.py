#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Who may do what, in his own network namespace and in another's, by the tool,
by netlink itself and by sysfs; and who pays for it. The table is in
tcp_keepalive(4)."""

import contextlib
import errno
import os
import re
import socket
import struct
import subprocess
import sys

import fault
import ka
import monitor
import spec

USER = "65534"
FILES = "/sys/class/tcp_keepalive/netns"
MANUAL = os.environ.get("KA_MAN4", "/usr/local/share/man/man4/tcp_keepalive.4")
PARAMETERS = "/sys/module/tcp_keepalive/parameters"
READ = ("policy", "rule", "rule test dir in", "stats", "conn", "save")
CHANGE = ("policy set time 61", "policy reset", "rule add time 60",
          "rule replace pref 5 time 60", "rule del pref 5", "rule flush",
          "apply", "apply --dry-run", "restore")
# The same as messages, all that there are: what an event has is no command.
READ_CMD = {"POLICY_GET", "STATS_GET", "CONN_GET", "RULE_GET", "RULE_TEST"}
CHANGE_CMD = {"POLICY_SET", "POLICY_RESET", "RULE_ADD", "RULE_REPLACE", "RULE_DEL",
              "RULE_FLUSH", "RESTORE", "APPLY"}
NO_CMD = {"POLICY_NTF", "EVENT_NTF", "RULE_NTF"}
DUMP_CMD = {"CONN_GET", "RULE_GET", "APPLY"}

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

# Where he is: what he may read and change by the tool and by netlink, write to in
# the namespace's files and in the module's, which are the machine's root's.
HERE = {
    "root": (True, True, True, True),
    "root without CAP_NET_ADMIN": (True, False, False, True),
    # The file belongs to the namespace's root.
    "a user with CAP_NET_ADMIN": (True, True, False, False),
    "a user": (True, False, False, False),
    "a user namespace's root": (True, False, False, False),
    "a user namespace's root that is root outside": (True, False, False, True),
    "a container's root": (True, True, True, False),
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
        for who, (read, change, _, _) in HERE.items():
            name, prefix = people[who]
            may(who, read, name, READ, prefix)
            may(who, change, name, CHANGE, prefix)


def ask_all():
    """Send each command that there is, with no attributes; print what came of it.
    For whoever is to be tried: run by him."""
    family = fault.family()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as sock:
        sock.bind((0, 0))
        for name, number in spec.header_enum("tcp_keepalive_cmd"):
            name = name.removeprefix("TCP_KEEPALIVE_CMD_")
            flags = 0x5 | (0x300 if name in DUMP_CMD else 0)
            sock.send(struct.pack("IHHIIBBH", 20, family, flags, number, 0, number, 1, 0))
            kind = 0
            while kind not in (2, 3):       # NLMSG_ERROR, NLMSG_DONE
                reply = sock.recv(65536)
                while reply:
                    size, kind = struct.unpack_from("IH", reply)
                    last, reply = reply, reply[(size + 3) & ~3:]
            error, = struct.unpack_from("i", last, 16)
            print(name, {errno.EOPNOTSUPP: "EOPNOTSUPP", 0: "0"}.get(
                -error, errno.errorcode.get(-error, "?")))


def test_messages():
    """Each command, whatever it says: permitted or not."""
    with everybody() as people:
        for who, (_, change, _, _) in HERE.items():
            name, prefix = people[who]
            before = state(name)
            out = ka.run(*prefix, sys.executable, os.path.abspath(__file__), "ask")
            got = dict(line.split() for line in out.splitlines())
            assert set(got) == READ_CMD | CHANGE_CMD | NO_CMD, got
            for cmd, error in got.items():
                want = "EOPNOTSUPP" if cmd in NO_CMD else \
                    "EPERM" if cmd in CHANGE_CMD and not change else "0"
                # Some want attributes, from those who are let in.
                assert error == want or (want == "0" and error == "EINVAL"), \
                    f"{who}: {cmd}: {error}"
            assert state(name) == before, who


def test_events():
    """Each hears of his own namespace, and of no other."""
    with everybody() as people, ka.Netns() as other:
        for who in HERE:
            name, prefix = people[who]
            p = subprocess.Popen([*prefix, ka.KACTL, "-j", "monitor", "policy",
                                  "--timeout", "60"],
                                 stdout=subprocess.PIPE, text=True)
            try:
                ka.poll("listening", 10, lambda: 2 in monitor.sockets(p.pid))
                for ns in other.name, name, other.name:
                    ka.run(ka.KACTL, "-qn", ns, "policy", "set", "time", "61")
                    ka.run(ka.KACTL, "-qn", ns, "policy", "reset")
                ino = re.search(r'"netns_ino":(\d+)',
                                ka.run(ka.KACTL, "-jn", name, "policy"))[1]
                lines = [p.stdout.readline() for _ in range(2)]
                assert all(f'"netns_ino":{ino}' in line for line in lines), (who, lines)
            finally:
                p.terminate()
                rest = p.communicate()[0]
            assert not rest, (who, rest)


def test_parameters():
    """They are the machine's: its root's, wherever he is."""
    with everybody() as people:
        for who, (_, _, _, allowed) in HERE.items():
            _, prefix = people[who]
            for name in os.listdir(PARAMETERS):
                file = f"{PARAMETERS}/{name}"
                value = ka.run(*prefix, "cat", file).strip()
                p = run(*prefix, "sh", "-c", f"echo {value} >{file}")
                # The policy's are for loading.
                want = allowed and name.startswith("max_")
                assert (p.returncode == 0) == want, f"{who}: {name}: {p}"


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
        for who, (_, _, allowed, _) in HERE.items():
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


def test_manual():
    """It has the same table."""
    if not os.path.exists(MANUAL):
        raise ka.Skip(f"no {MANUAL} (KA_MAN4)")
    with open(MANUAL, encoding="utf-8") as f:
        rows = [line[4:].strip().split(" Ta ") for line in f
                if line.startswith(".It ") and line.count(" Ta ") == 4]
    table = {who: tuple(v == "yes" for v in may) for who, *may in rows[1:]}
    assert table == HERE, table


def charged(path):
    with open(path + "/memory.stat", encoding="ascii") as f:
        stat = dict(line.split() for line in f)
    return int(stat["slab"])


@contextlib.contextmanager
def accounted():
    """A cgroup whose memory is counted, that this process is in."""
    root = ka.cgroup_root()
    with open(root + "/cgroup.controllers", encoding="ascii") as f:
        if "memory" not in f.read().split():
            raise ka.Skip("no memory controller")
    with open(root + "/cgroup.subtree_control", "w", encoding="ascii") as f:
        f.write("+memory\n")
    with ka.cgroup() as (path, _):
        yield root + path


def test_who_makes_rules_pays_for_them():
    with accounted() as path, Container() as box:
        text = "".join(f"rule add lport {i}-{i + 9} rport {i} uid {i} time 60\n"
                       for i in range(1, 1025))
        p = run(*box.root(ka.KACTL, "rule"))    # whatever else it takes
        before = charged(path)
        p = subprocess.run(box.root(ka.KACTL, "-q", "restore"), input=text,
                           text=True, capture_output=True, check=False)
        assert p.returncode == 0, p
        # A rule and its match are some 400 bytes; Linux 5.10 may tell of 32 pages later.
        grown = charged(path) - before
        assert grown >= 1024 * 390 - 32 * 4096, f"{grown} bytes"
        p = run(*box.root(ka.KACTL, "rule", "flush"))
        assert p.returncode == 0, p
        # Not to the byte: what is charged is kept for the next one.
        ka.poll("it is given back", 30,
                lambda: charged(path) - before < grown / 2)


def test_who_inherits_rules_pays_for_them():
    """Whoever makes the namespace, not whoever made the rules."""
    def grown(ns):
        with accounted() as path:
            before = charged(path)
            p = subprocess.Popen(
                ["ip", "netns", "exec", ns.name, "unshare", "-n", "sh", "-c",
                 f"{ka.KACTL} rule | wc -l; exec cat"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            n = int(p.stdout.readline())
            after = charged(path)
            p.communicate()
            return n, after - before

    with ka.Netns() as plain, ka.Netns() as ns:
        plain.kactl("policy", "set", "inherit", "on")
        ka.run(ka.KACTL, "-qn", ns.name, "restore",
               input="policy set inherit on\n" + "".join(
                   f"rule add lport {i} time 60\n" for i in range(1, 1025)))
        grown(plain)                    # what is made once
        none, without = grown(plain)
        n, with_rules = grown(ns)
        assert none == 0 and n >= 1024, (none, n)
        # A rule is some 100 bytes, and its place in the table.
        assert with_rules - without >= 1024 * 90, (without, with_rules)


if __name__ == "__main__":
    if sys.argv[1:] == ["ask"]:
        ask_all()
        sys.exit()
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

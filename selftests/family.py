#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Random messages to the netlink family from everybody at once (fuzz/family,
which is made from the YNL spec), while connections with short policies come and
go. KA_MESSAGES says how many messages, KA_SEED which."""

import contextlib
import os
import secrets
import socket
import subprocess
import time

import access
import ka
import storm

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = HERE + "/fuzz/family"
MESSAGES = int(os.environ.get("KA_MESSAGES", "20000"))
SEED = int(os.environ.get("KA_SEED", str(secrets.randbits(32))))
READS = {"policy-get", "stats-get", "conn-get", "rule-get", "rule-test"}


def start(i, prefix, share, *options):
    return subprocess.Popen(
        [*prefix, PROGRAM, "-n", str(max(MESSAGES * share // 100, 200)),
         "-s", str(SEED + i), *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def counts(out):
    """{command: (sent, done, refused)}."""
    lines = [line.split() for line in out.splitlines()[1:]]
    return {w[0]: (int(w[1]), int(w[3]), int(w[5])) for w in lines}


def finished(who, p):
    out, err = p.communicate()
    assert p.returncode == 0, f"{who}: {p.returncode}: {err}"
    print(f"# {who}: {out.splitlines()[0]}", flush=True)
    return counts(out)


@contextlib.contextmanager
def come_and_go(c, s, n=8):
    """Connections that are probed at once, and closed soon. The wire loses some, and
    a rule may allow too little time for that: no call waits for ever."""
    at = ka.ADDR[socket.AF_INET][1], 7001
    socks = []

    def once():
        with s.inside(), socket.create_server(at) as listener, \
                contextlib.suppress(OSError):
            listener.settimeout(3)
            for _ in range(n):
                with c.inside():
                    socks.append(socket.socket())
                socks[-1].settimeout(3)
                socks[-1].connect(at)
                ka.keepalive(socks[-1], 1, 1, 2)
                socks.append(listener.accept()[0])
        while len(socks) > 8 * n:
            socks.pop(0).close()
        time.sleep(0.3)

    with storm.loop(once):
        yield
    for sock in socks:
        sock.close()


def need_program():
    if not os.path.exists(PROGRAM):
        raise ka.Skip("fuzz/family is not built: no spec, or no python3-yaml")


def test_messages():
    need_program()
    people = {
        # Who, in which namespace, his share of the messages, may he change things?
        "root": ("wire", (), 40, True),
        "a user": ("wire", access.AS["a user"], 10, False),
        "a user alone": ("quiet", access.AS["a user"], 15, False),
        "a user namespace's root": (
            "quiet", access.AS["a user namespace's root"], 10, False),
        "a container's root": ("box", (), 25, True),
    }
    begin = time.monotonic()
    with storm.traffic(20) as (c, s, socks):
        with come_and_go(c, s), ka.Netns() as quiet, access.Container() as box:
            ka.run(ka.KACTL, "-qn", quiet.name, "restore", input=(
                "policy set time 100 inherit on\nrule add rport 1 keepalive on\n"))
            before = access.state(quiet.name)
            running = {}
            for i, (who, (where, prefix, share, may)) in enumerate(people.items()):
                ns = quiet if where == "quiet" else c
                enter = box.root() if where == "box" else \
                    ("ip", "netns", "exec", ns.name, *prefix)
                running[who] = start(i, enter, share, *(() if may else ("-r",)))
            got = {who: finished(who, p) for who, p in running.items()}
            assert access.state(quiet.name) == before
        took = time.monotonic() - begin
        print(f"# {MESSAGES / took:.0f} messages a second", flush=True)
        for who, (_, _, _, may) in people.items():
            for command, (sent, done, _) in got[who].items():
                assert may or (done > 0) == (command in READS), f"{who}: {command}: {sent} {done}"
        # Else it says nothing. Of one alone it may be none: of 5,000 messages some 7 remove a rule that there is.
        for command in got["root"]:
            sent, done, refused = map(sum, zip(*(got[who][command] for who in people)))
            assert done > 0 and refused > 0, f"{command}: {sent} {done} {refused}"
        # No rule goes on to turn keepalive on.
        c.kactl("rule", "flush")
        c.kactl("policy", "reset")
        for a, _ in socks:
            a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
        s.nft("flush table inet loss")
        for a, b in socks:
            with contextlib.suppress(OSError):
                if ka.tcp_info(a)[0] != storm.CLOSE:
                    b.send(b"x")
        st = storm.settled(c)
        assert st["probes_sent"] > 0, st


def test_it_notices():
    """Somebody who may do what he says he may not."""
    need_program()
    with ka.Netns() as ns:
        p = subprocess.run(["ip", "netns", "exec", ns.name, PROGRAM, "-r"],
                           capture_output=True, text=True, check=False)
        assert p.returncode == 1, p
        assert "was done" in p.stderr or "has an answer" in p.stderr, p


def test_it_unloads():
    ka.poll("unloaded", 20, lambda: not subprocess.run(
        ["rmmod", "tcp_keepalive"], stderr=subprocess.DEVNULL,
        check=False).returncode)
    ka.run("modprobe", "tcp_keepalive")


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

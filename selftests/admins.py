#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Two administrators at once: what results is what one after the other could
have made of it, in the order in which events tell of it."""

import json
import random
import signal
import subprocess
import threading
import time

import ka
import monitor

SECONDS = 10
THERE_IS = "pref: there is a rule with this one"
CHANGED = "things changed meanwhile"
THERE_IS_NONE = "pref: there is no rule with this one"


def kactl(ns, *words, **kw):
    p = subprocess.run([ka.KACTL, "-qn", ns.name, "-j", *words], text=True,
                       capture_output=True, check=False, **kw)
    assert p.returncode in (0, 1), p
    assert bool(p.returncode) == bool(p.stderr), p
    return p


def at_once(*bodies):
    """Each in a thread; what one of them raised is raised."""
    failed = []

    def run(body):
        try:
            body()
        except BaseException as e:  # shown by the one who waits
            failed.append(e)
    threads = [threading.Thread(target=run, args=(b,)) for b in bodies]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]


def test_restores():
    """Every table that is seen is one file's, and so is what remains."""
    n = (300, 400)
    text = [f"policy set time {100 + i}\n" +
            f"rule add rport {100 + i} time 60\n" * n[i] for i in range(2)]
    seen, over = set(), threading.Event()

    def whose(rules):
        """Whose file it is."""
        port = rules[0]["rport"][0]
        assert len(rules) == n[port - 100], (port, len(rules))
        assert {r["rport"][0] for r in rules} == {port}, rules
        return port - 100

    def restores(i):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            # With -j what results is shown, and may be the other's by then.
            p = kactl(ns, "restore", input=text[i])
            assert not p.returncode or CHANGED in p.stderr, p

    def reads():
        while not over.is_set():
            p = kactl(ns, "rule")
            if p.returncode:
                assert CHANGED in p.stderr, p
            else:
                seen.add(whose(json.loads(p.stdout)))

    with ka.Netns() as ns:
        ka.run(ka.KACTL, "-qn", ns.name, "restore", input=text[0])
        reader = threading.Thread(target=reads)
        reader.start()
        try:
            at_once(lambda: restores(0), lambda: restores(1))
        finally:
            over.set()
            reader.join()
        last = whose(ns.kactl("rule"))
        assert ns.kactl("policy")[0]["time"] == 100 + last
        assert seen == {0, 1}, seen


class Admin:
    """Changes rules at random; each that he makes has a mark of its own."""

    def __init__(self, ns, number):
        self.ns = ns
        self.random = random.Random(number)
        self.mark = number << 16
        self.field = ("time", "intvl")[number - 1]
        self.value = 100
        self.made, self.refused = [], []
        self.deleted = 0

    def rule(self, *words):
        self.mark += 1
        return kactl(self.ns, "rule", *words, "mark", str(self.mark), "time", "60")

    def add(self, pref):
        p = self.rule("add", *pref)
        if p.returncode:
            assert pref and THERE_IS in p.stderr, p
            self.refused.append(self.mark)
        else:
            self.made.append(self.mark)

    def replace(self, pref):
        assert not self.rule("replace", *pref).returncode
        self.made.append(self.mark)

    def delete(self, pref):
        p = kactl(self.ns, "rule", "del", *pref)
        if p.returncode:
            assert THERE_IS_NONE in p.stderr, p
        else:
            self.deleted += 1

    def policy(self):
        self.value += 1
        assert not kactl(self.ns, "policy", "set", self.field,
                         str(self.value)).returncode

    def work(self):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            pref = ("pref", str(self.random.choice((10, 20, 30))))
            what = self.random.randrange(12)
            if what < 2:
                self.add(())
            elif what < 5:
                self.add(pref)
            elif what < 7:
                self.replace(pref)
            elif what < 10:
                self.delete(pref)
            elif what < 11:
                self.policy()
            else:
                assert not kactl(self.ns, "rule", "flush").returncode


def replay(events):
    """The rules that the events leave, each of which was possible then; marks
    of those that came, how many went, and the policies."""
    rules, came, went, policies = {}, [], 0, []
    for e in events:
        if "pref" not in e:
            policies.append((e["time"], e["intvl"]))
            continue
        pref, mark = e["pref"], e["mark"]
        if e.get("removed"):
            assert rules.pop(pref) == mark, (e, rules)
            went += 1
        else:
            assert pref not in rules, (e, rules)
            rules[pref] = mark
            came.append(mark)
    return rules, came, went, policies


def test_commands():
    """The events are the order in which they took place."""
    with ka.Netns() as ns:
        admins = [Admin(ns, i) for i in (1, 2)]
        with monitor.monitor(ns, "policy", "--timeout", "600") as p:
            events = []
            # All the while: a pipe takes no more than 64 KiB.
            reader = threading.Thread(target=lambda: events.extend(map(json.loads, p.stdout)))
            reader.start()
            at_once(*(a.work for a in admins))
            # The last, by which it is seen that all have come.
            ns.kactl("policy", "set", "probes", "5")
            rules = {r["pref"]: r["mark"] for r in ns.kactl("rule")}
            policy, = ns.kactl("policy")
            ka.poll("the last event", 20, lambda: events and events[-1].get("probes") == 5)
            p.send_signal(signal.SIGINT)
            reader.join()
            assert not p.wait() and not p.stderr.read(), p
    seqs = [e["seq"] for e in events]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs))), seqs
    left, came, went, policies = replay(events)
    assert left == rules, (left, rules)
    made = sum((a.made for a in admins), [])
    assert sorted(came) == sorted(made), set(came) ^ set(made)
    assert not set(came) & set(sum((a.refused for a in admins), []))
    assert went >= sum(a.deleted for a in admins)
    # No field is undone by who sets the other.
    for i, a in enumerate(admins):
        assert policy[a.field] == a.value or a.value == 100, policy
        values = [x[i] for x in policies if 100 < x[i] <= a.value]
        assert values == sorted(values), values
    print(f"# {len(events)} events, {sum(len(a.refused) for a in admins)} "
          "refused")


def race(ns, *words):
    """Two do the same at once: their ends, those that were refused last."""
    got = []
    at_once(*[lambda: got.append(kactl(ns, *words))] * 2)
    return sorted(got, key=lambda p: p.returncode)


def test_the_same_at_once():
    """One is first, and the other is told so."""
    with ka.Netns() as ns:
        for _ in range(8):
            first, second = race(ns, "rule", "add", "pref", "7", "time", "60")
            assert first.returncode == 0 and second.returncode == 1, (first, second)
            assert THERE_IS in second.stderr, second
            first, second = race(ns, "rule", "del", "pref", "7")
            assert first.returncode == 0 and second.returncode == 1, (first, second)
            assert THERE_IS_NONE in second.stderr, second
        # Without a pref each gets one.
        for _ in range(8):
            for p in race(ns, "rule", "add", "time", "60"):
                assert not p.returncode, p
        assert [r["pref"] for r in ns.kactl("rule")] == list(range(10, 170, 10))


if __name__ == "__main__":
    ka.main([v for k, v in list(globals().items()) if k.startswith("test_")])

"""Faults while events are produced, then the audit: each that was produced is in the snapshots exactly once.

By hand: ``python -m tests.kafka.chaos --seconds 120 --faults kill,wipe,stop,broker,freeze``; see its --help.
Faults: kill (SIGKILL a service, start it again), wipe (its disk is lost too), stop (SIGSTOP a service for 2 to 9 s),
broker (kill -9 a broker, start it again), freeze (SIGSTOP a broker for 1 to 6 s); fence, before: services stop
themselves, with the answer to a fence unread, or after the fence and before the snapshot is sent.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from machine import PATIENCE  # noqa: E402  (it is run by hand too)

TOPICS = [f"c{number}" for number in range(6)]
FREEZES = ("fence", "before")


class Chaos:
    """Three services, what is done to them and to their brokers, and what came of it."""

    def __init__(self, brokers, folder, *, faults, seed=1, rate=1000, without=(), options=None):
        self.brokers, self.folder = brokers, folder
        self.random = random.Random(seed)
        self.faults = [fault for fault in faults if fault not in FREEZES]
        self.freeze = next((fault for fault in faults if fault in FREEZES), "")
        self.rate, self.without = rate, list(without)
        self.kafka = brokers.config("chaos", librdkafka_options={"log_level": "0", **(options or {})})
        self.acts = Counter()
        self.members, self.later = {}, []  # what is to be done, and when
        brokers.make(*TOPICS, self.kafka["ownership_topic"])

    @contextmanager
    def running(self):
        """Run services and the workspace while the block lasts."""
        out = self.folder / "snapshots"
        self.ui = subprocess.Popen([sys.executable, HERE / "ui.py", out, "0.05"], stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self.ui.stdout.readline().strip()}"
        try:
            for name in "abc":
                self.start(name)
            yield self
        finally:
            for process in (*self.members.values(), self.ui):
                process.kill()
                process.wait(PATIENCE)
            self.ui.stdout.close()

    def start(self, name):
        options = {"kafka": self.kafka, "folder": str(self.folder / name), "topics": TOPICS, "workspace": self.url}
        options |= {"without": self.without, "freeze": self.freeze if name != "a" else ""}  # one stays, to take over
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, str(HERE / "member.py"), json.dumps(options)]
            self.members[name] = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

    def produce_under_faults(self, seconds):
        """Produce while faults come, one every 1.5 to 6 s, then return how many were produced once all are well."""
        begun, sent, strike = time.monotonic(), 0, time.monotonic() + 6
        while (now := time.monotonic()) < begun + seconds:
            due = int((now - begun) * self.rate)
            for number in range(sent, due):
                self.brokers.put(TOPICS[number % len(TOPICS)], b'{"n":%d}' % number, self.random.randrange(4))
            sent = due
            self.brokers.serve(0.03)
            self.tend(now)
            if self.faults and now > strike:
                strike = now + self.random.uniform(1.5, 6)
                self.strike(now)
        while self.later:
            time.sleep(0.1)
            self.tend(time.monotonic())
        self.brokers.flush()
        return sent

    def tend(self, now):
        """Wake whoever has slept long enough, start again whoever died."""
        for act in [act for act in self.later if now >= act[0]]:
            self.later.remove(act)
            act[1](*act[2:])
        for name, member in self.members.items():
            mark = self.folder / name / "stopped"
            if mark.exists():
                mark.unlink()
                self.acts["stopped at the worst moment"] += 1
                self.later.append((now + 7, os.kill, member.pid, signal.SIGCONT))
            if member.poll() is not None:
                self.acts[f"ended by itself with {member.returncode}"] += 1
                self.start(name)

    def strike(self, now):
        what = self.random.choice(self.faults)
        if what in ("broker", "freeze"):
            if self.later or not self.brokers.is_whole():
                return
            number = self.random.choice([*self.brokers.numbers])
            if what == "broker":
                self.brokers.kill(number)
                self.later.append((now + self.random.uniform(0.5, 6), self.brokers.start, number))
            else:
                self.brokers.signal(number, signal.SIGSTOP)
                wake = now + self.random.uniform(1, 6)
                self.later.append((wake, self.brokers.signal, number, signal.SIGCONT))
        else:
            name = self.random.choice(sorted(self.members))
            member = self.members[name]
            if any(act[1] is os.kill and act[2] == member.pid for act in self.later):
                return
            if what == "stop":
                member.send_signal(signal.SIGSTOP)
                self.later.append((now + self.random.uniform(2, 9), os.kill, member.pid, signal.SIGCONT))
            else:
                member.kill()
                member.wait(PATIENCE)
                if what == "wipe":
                    shutil.rmtree(self.folder / name, ignore_errors=True)
                self.start(name)
        self.acts[what] += 1

    def settle(self, sent, seconds=PATIENCE):
        """Wait until all that was produced is in a snapshot, and for the sweep of those that are there twice."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and len(self.tally()) < sent:
            self.tend(time.monotonic())
            time.sleep(0.5)
        time.sleep(8)

    def tally(self):
        """Count how often each event is in a snapshot."""
        ids, of = Counter(), {}
        with (self.folder / "snapshots").open(encoding="utf-8") as lines:
            for line in map(json.loads, lines):
                if "deleted" in line:
                    ids.subtract(of[line["deleted"]])
                else:
                    of[line["id"]] = line["ids"]
                    ids.update(line["ids"])
        return +ids

    def verdict(self, sent):
        """Return how many events are missing, and how many are there more than once."""
        ids = self.tally()
        assert not set(ids) - set(range(sent)), "there are events that nobody produced"
        return sent - len(ids), sum(times > 1 for times in ids.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--faults", default="kill,wipe,stop,broker")
    parser.add_argument("--protocol", choices=("classic", "consumer"), default="consumer")
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--folder", type=Path, required=True)
    given = parser.parse_args()

    from .apache import apache_brokers, fetch

    folder = given.folder.absolute()
    jars = fetch(folder / "jars") if not (folder / "jars").exists() else folder / "jars"
    shutil.rmtree(folder / "run", ignore_errors=True)
    options = {"group.protocol": "consumer"} if given.protocol == "consumer" else {"session.timeout.ms": "3000"}
    with apache_brokers(3, folder / "run", jars) as brokers:
        faults = [one for one in given.faults.split(",") if one]
        chaos = Chaos(
            brokers,
            folder / "run",
            faults=faults,
            seed=given.seed,
            rate=given.rate,
            without=given.without,
            options=options,
        )
        with chaos.running():
            sent = chaos.produce_under_faults(given.seconds)
            chaos.settle(sent, 120)
            missing, double = chaos.verdict(sent)
    found = {"rows": sent, "missing": missing, "double": double, "acts": chaos.acts}
    sys.stdout.write(json.dumps(found) + "\n")
    return 1 if missing or double else 0


if __name__ == "__main__":
    sys.exit(main())

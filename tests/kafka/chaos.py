"""Faults while events are produced, then the audit: each that was produced is in the snapshots exactly once.

By hand: ``python -m tests.kafka.chaos --seconds 120 --faults kill,wipe,stop,broker,freeze``; see its --help.
Faults: kill (SIGKILL a service, start it again), wipe (its disk is lost too), stop (SIGSTOP a service for 2 to 9 s),
broker (kill -9 a broker, start it again), leader (the one that leads partition 0 of the first topic), disk (a broker
comes back with an empty disk), outage (all brokers are killed), freeze (SIGSTOP a broker for 1 to 6 s); fence, before:
services stop themselves, with the answer to a fence unread, or after the fence and before the snapshot is sent.
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

from ending import process_group  # noqa: E402  (it is run by hand too)
from machine import PATIENCE  # noqa: E402  (as above)

FREEZES = ("fence", "before")
OF_BROKERS = ("broker", "leader", "disk", "freeze", "outage")


class Chaos:
    """Three services, what is done to them and to their brokers, and what came of it."""

    def __init__(self, brokers, folder, name="chaos", *, seed=1, rate=1000, without=(), freeze="", options=None):
        self.brokers, self.folder = brokers, folder
        self.random = random.Random(seed)
        self.rate, self.without, self.freeze = rate, list(without), freeze
        self.topics = [f"{name}-{number}" for number in range(6)]
        kafka = brokers.config(name, librdkafka_options={"log_level": "0", **(options or {})})
        self.kafka = dict.fromkeys("abc", kafka)  # of each service
        self.acts = Counter()
        self.sent = 0
        self.sleep = 7.0  # seconds for which who stops itself is left so
        self.members, self.later = {}, []  # what is to be done, and when
        brokers.make(*self.topics, kafka["ownership_topic"])

    @contextmanager
    def running(self):
        """Run services and the workspace while the block lasts, which begins once each service has collectors."""
        self.begun = time.monotonic()
        (self.folder / "snapshots").touch()
        with process_group() as self.group:
            program = [sys.executable, HERE / "ui.py", self.folder / "snapshots", "0.05"]
            with (self.folder / "ui.log").open("ab") as log:
                self.ui = subprocess.Popen(
                    program, stdout=subprocess.PIPE, stderr=log, text=True, process_group=self.group
                )
            try:
                self.url = f"http://127.0.0.1:{self.ui.stdout.readline().strip()}"
                for name in self.kafka:
                    self.start(name)
                self.wait(self.is_shared, time.monotonic() + PATIENCE)
                assert self.is_shared(), f"not each service got collectors; see {self.folder}"
                yield self
            finally:
                for process in (*self.members.values(), self.ui):
                    process.kill()
                    process.wait(PATIENCE)
                self.ui.stdout.close()

    def start(self, name):
        options = {"kafka": self.kafka[name], "folder": str(self.folder / name), "topics": self.topics}
        options |= {"workspace": self.url, "without": self.without}
        options["freeze"] = self.freeze if name != "a" else ""  # one stays, to take over
        with (self.folder / f"{name}.log").open("ab") as log:
            command = [sys.executable, str(HERE / "member.py"), json.dumps(options)]
            self.members[name] = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, process_group=self.group
            )

    def by_chance(self, faults):
        """Say when to do what: one of these faults every 1.5 to 6 s."""
        at = 6.0
        while faults:
            yield at, self.random.choice(faults)
            at += self.random.uniform(1.5, 6)

    def produce(self, seconds, plan=()):
        """Produce while faults come, each at its second, then return how many were ever produced once all are well."""
        begun, before, plan = time.monotonic(), self.sent, iter(plan)
        strike, fault = next(plan, (seconds, ""))
        put_off = []
        while (now := time.monotonic()) < begun + seconds:
            due = before + int((now - begun) * self.rate)
            for number in range(self.sent, due):
                self.brokers.put(self.topics[number % len(self.topics)], b'{"n":%d}' % number, self.random.randrange(4))
            self.sent = due
            self.brokers.serve(0.03)
            self.tend(now)
            if now > begun + strike:
                put_off.append(fault)
                strike, fault = next(plan, (seconds, ""))
            put_off = [one for one in put_off if not self.strike(one, now)]
        end = now + PATIENCE
        while self.later or (put_off and now < end):
            time.sleep(0.1)
            now = time.monotonic()
            self.tend(now)
            put_off = [one for one in put_off if not self.strike(one, now)]
        self.brokers.flush()
        return self.sent

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
                self.later.append((now + self.sleep, os.kill, member.pid, signal.SIGCONT))
            if member.poll() is not None:
                self.acts[f"ended by itself with {member.returncode}"] += 1
                self.start(name)

    def strike(self, fault, now):
        """Do it, and tell whether it could be done: another fault may have to be over first."""
        if fault in OF_BROKERS:
            if self.later or not self.brokers.is_whole():
                return False
            self.strike_broker(fault, now)
        else:
            name = self.random.choice(sorted(self.members))
            member = self.members[name]
            if any(act[1] is os.kill and act[2] == member.pid for act in self.later):
                return False
            self.strike_service(fault, name, now)
        self.acts[fault] += 1
        return True

    def strike_broker(self, fault, now):
        brokers = self.brokers
        if fault == "outage":
            for number in brokers.numbers:
                brokers.kill(number)
                self.later.append((now + 5, brokers.start, number))
            return
        number = brokers.leader(self.topics[0], 0) if fault == "leader" else self.random.choice([*brokers.numbers])
        if fault == "freeze":
            brokers.signal(number, signal.SIGSTOP)
            self.later.append((now + self.random.uniform(1, 6), brokers.signal, number, signal.SIGCONT))
            return
        brokers.kill(number)
        if fault == "disk":
            brokers.wipe(number)
        # Who lost its disk is away until the others know that it is.
        self.later.append((now + (12 if fault == "disk" else self.random.uniform(0.5, 6)), brokers.start, number))

    def strike_service(self, fault, name, now):
        member = self.members[name]
        if fault == "stop":
            member.send_signal(signal.SIGSTOP)
            self.later.append((now + self.random.uniform(2, 9), os.kill, member.pid, signal.SIGCONT))
            return
        if fault == "wipe":
            member.kill()
            member.wait(PATIENCE)
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self.restart(name)

    def restart(self, name):
        """Kill a service and start it, by the ``kafka`` that it now has."""
        self.members[name].kill()
        self.members[name].wait(PATIENCE)
        self.start(name)

    def settle(self, sent, seconds=PATIENCE):
        """Return once all that was produced is in a snapshot, nobody has one to send, and who sent twice was swept up.

        Or after so many seconds: what then is missing will never come.
        """
        end = time.monotonic() + seconds
        self.wait(lambda: not self.later and len(self.tally()) >= sent and self.is_committed(), end)
        if "sweep" not in self.without:
            # From here on only sweeps list snapshots; what was on its way when the first began is there by the second.
            before = self.listed()
            self.wait(lambda: all(self.listed()[topic] - before[topic] >= 2 for topic in self.topics), end)

    def wait(self, condition, end):
        while time.monotonic() < end and not condition():
            self.tend(time.monotonic())
            time.sleep(0.5)

    def is_shared(self):
        return all("is at work here" in (self.folder / f"{name}.log").read_text() for name in self.kafka)

    def is_committed(self):
        """Tell whether the group has committed all that is in the topics."""
        group = self.kafka["a"]["group_id"]
        for topic in self.topics:
            offsets = [0 if one is None else one[0] for one in self.brokers.committed(group, topic)]
            if offsets != self.brokers.ends(topic):
                return False
        return True

    def lines(self):
        with (self.folder / "snapshots").open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)

    def listed(self):
        """Count how often the snapshots of each collector were listed."""
        return Counter(line["listed"] for line in self.lines() if "listed" in line)

    def found(self):
        """Settle, print and return what came of all."""
        self.settle(self.sent)
        missing, double = self.verdict(self.sent)
        found = {"rows": self.sent, "missing": missing, "double": double, "acts": self.acts}
        sys.stdout.write(json.dumps({**found, "seconds": round(time.monotonic() - self.begun)}) + "\n")
        return found

    def tally(self):
        """Count how often each event is in a snapshot."""
        ids, of = Counter(), {}
        for line in self.lines():
            if "deleted" in line:
                ids.subtract(of[line["deleted"]])
            elif "id" in line:
                of[line["id"]] = line["ids"]
                ids.update(line["ids"])
        return +ids

    def verdict(self, sent):
        """Return how many events are missing, and how many are there more than once."""
        ids = self.tally()
        assert not set(ids) - set(range(sent)), "there are events that nobody produced"
        return sent - len(ids), sum(times > 1 for times in ids.values())


def run(brokers, folder, faults, seconds, plan=None, **options):
    """Have faults for so long, by a plan or by chance; print and return what came of it."""
    freeze = next((fault for fault in faults if fault in FREEZES), "")
    chaos = Chaos(brokers, folder, freeze=freeze, **options)
    with chaos.running():
        by_chance = chaos.by_chance([fault for fault in faults if fault not in FREEZES])
        chaos.produce(seconds, plan or by_chance)
        return chaos.found()


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
        more = {"seed": given.seed, "rate": given.rate, "without": given.without, "options": options}
        found = run(brokers, folder / "run", faults, given.seconds, **more)
    return 1 if found["missing"] or found["double"] else 0


if __name__ == "__main__":
    sys.exit(main())

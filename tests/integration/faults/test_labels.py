"""Labels: whatever is killed, each row gets its last label that is in time, once, and each label has one fate."""

import contextlib
import json
import signal
import sqlite3
import subprocess
from collections import Counter, defaultdict, deque

import httpx
import pyarrow.parquet as pq
import pytest

from collector.evaluation.part_files import read_parts
from collector.fault_points import VARIABLE

from ..conftest import BY_TALLY, PATIENCE, collector_config, rows_trigger, service_config, wait_until

PROMISE = "32 labels"
REPORT = {"metrics": ["RowCount"]}
# In a life that goes on as long as any batch waits; and once nothing more comes, at its end.
WAITING = ["keys written", "keys entered", "marks written", "marks entered", "labels joined", "labels closed"]
ENDING = ["labels sorted out", "labels retired"]
OF_SPILLING = ["part written", "moved", "swept"]  # of labels as of events
LONG_WAIT, SHORT_WAIT = 3600, 1


def config(wait):
    labels = {"key": "request", "columns": ["label", "version"], "min_share": 0.9, "report_config": REPORT}
    main = collector_config(rows_trigger(40), REPORT) | {"dashboard": False, "labels": labels | {"wait": wait}}
    kept = {"batches": 10**6, "max_bytes": 10**12}
    return service_config({"main": main}, spill_rows=25, retention=kept)


class Traffic:
    """Events and labels, each POST repeated under its idempotency key until it is answered, in their order.

    A key is written as text, integer or float on either side; one in twenty stands for two rows. Labels come after
    their events, some several times with a higher version each; for some events none comes, and some are of no event.
    """

    def __init__(self, rng):
        self.rng = rng
        self.keys = 0
        self.key_of = {}  # by the row's number
        self.sent = Counter()  # versions of a key's label
        self.orphans = 0
        self._waiting = []
        self._posts = deque()

    def push(self, http):
        """Send what waits; a process that is dead has answered nothing, and it is sent again to the next."""
        if not self._posts:
            self._make()
        while self._posts:
            number, path, rows = self._posts[0]
            answer = http.post(path, json=rows, headers={"Idempotency-Key": number}, timeout=PATIENCE)
            assert answer.status_code == 201, answer.text
            self._posts.popleft()

    def _make(self):
        rows = []
        for _ in range(self.rng.randint(1, 30)):
            self.keys += 1
            for _ in range(1 + (self.rng.random() < 0.05)):
                number = len(self.key_of)
                self.key_of[number] = self.keys
                rows.append({"request": self._spelled(self.keys), "n": number, "key": self.keys, "x": 1.0})
            if self.rng.random() < (0.99 if self.keys // 400 % 2 else 0.8):
                self._waiting.append(self.keys)
        labels = []
        for key in [key for key in self._waiting if self.rng.random() < 0.5]:
            if self.rng.random() < 0.9:
                self._waiting.remove(key)
            self.sent[key] += 1
            labels.append({"request": self._spelled(key), "label": key % 2, "version": self.sent[key]})
        if self.rng.random() < 0.3:
            self.orphans += 1
            labels.append({"request": f"none-{self.orphans}", "label": 0, "version": 1})
        self._posts.append((f"events {self.keys}", "/main/data", rows))
        if labels:
            self._posts.append((f"labels {self.keys}", "/main/labels", labels))

    def _spelled(self, key):
        return self.rng.choice([key, str(key), float(key), f"{key}.0"])


def live_until_death(daemon, traffic):
    """Send to a daemon until it dies at its fault point; without ``traffic``, wait for that."""
    try:
        daemon.wait_ready()
    except AssertionError:
        return  # its start went on with what the life before it left half-done, as far as to the point
    with httpx.Client(base_url=daemon.url) as http:

        def is_dead():
            with contextlib.suppress(httpx.TransportError):
                if traffic is not None:
                    traffic.push(http)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return daemon.process.wait(0.3)  # what comes meanwhile is to be evaluated in the end

        wait_until(is_dead, f"the fault point: {daemon.variables}")
    assert daemon.process.returncode == -signal.SIGKILL, daemon.log


@pytest.mark.thorough
def test_each_row_has_its_label_once_and_each_label_one_fate_whatever_is_killed(make_daemon, figures, rng, is_long):
    daemon, traffic = make_daemon(config(LONG_WAIT), evaluates=BY_TALLY), Traffic(rng)
    points = [point for point in [*WAITING, *OF_SPILLING] * 3 for _ in range(2)] if is_long else [rng.choice(WAITING)]
    for point in points:
        daemon.variables[VARIABLE] = point
        daemon.launch()
        live_until_death(daemon, traffic)
    for kill in range(30 if is_long else 0):
        daemon.variables[VARIABLE] = ""
        daemon.start()
        for _ in range(rng.randint(1, 10)):
            traffic.push(daemon.http)
        daemon.kill()
        figures.faults["kills at random"] += bool(kill)
    daemon.variables[VARIABLE] = ""
    daemon.start()
    for _ in range(10):
        traffic.push(daemon.http)
    daemon.client.flush("main")
    daemon.wait_for_status("main", lambda one: (one["rows_waiting"], one["sealed"], one["outbox"]) == (0, 0, 0))
    daemon.kill()
    daemon.config_path.write_text(json.dumps(config(SHORT_WAIT)), encoding="utf-8")
    for point in ENDING * (5 if is_long else 1):
        daemon.variables[VARIABLE] = point
        daemon.launch()
        live_until_death(daemon, None)
    daemon.variables[VARIABLE] = ""
    daemon.start()
    daemon.wait_for_status("main", lambda one: one["labels"] and not one["labels"]["waiting_batches"])
    wait_until(lambda: not ask(daemon, "SELECT 1 FROM label_part"), "what became of all labels")
    daemon.wait_for_status("main", lambda one: (one["sealed"], one["outbox"]) == (0, 0))
    daemon.stop()
    labelled = audit(daemon, traffic)
    figures.faults["kills between stages of labels"] += len(points) + len(ENDING) * (5 if is_long else 1)
    rows = len(traffic.key_of) + traffic.sent.total() + traffic.orphans
    figures.rows += Counter(acknowledged=rows, found=rows, lost=0, doubled=0)
    figures.others |= {"predictions": len(traffic.key_of), "labels": traffic.sent.total(), "labelled rows": labelled}


def ask(daemon, query):
    with contextlib.closing(sqlite3.connect(f"file:{daemon.data}/journal.sqlite3?mode=ro", uri=True)) as db:
        return db.execute(query).fetchall()


def audit(daemon, traffic):
    """Read all rows of all batches, and compare them with what was sent; return how many have a label."""
    batch_of = {}
    for batch, path in ask(daemon, "SELECT id, path FROM batch JOIN part ON batch = id WHERE report = 'main'"):
        for number in pq.read_table(daemon.data / path, columns=["n"])["n"].to_pylist():
            assert number not in batch_of, f"row {number} is in two batches"
            batch_of[number] = batch
    assert batch_of.keys() == traffic.key_of.keys()
    version_of, best, told = {}, defaultdict(int), 0
    made = ask(daemon, "SELECT id, source, rows, outcome FROM batch WHERE report = 'labels'")
    assert len({source for _, source, *_ in made}) == len(made)
    for id_, source, rows, outcome in made:
        paths = [str(daemon.data / path) for (path,) in ask(daemon, f"SELECT path FROM part WHERE batch = '{id_}'")]
        found = read_parts(paths)[0].to_pylist()
        told += json.loads(outcome)["labels"]["labelled_rows"]
        assert rows == len(found)
        for one in found:
            key = traffic.key_of[one["n"]]
            assert one["n"] not in version_of, f"row {one['n']} is there twice"
            assert (batch_of[one["n"]], one["key"], one["label"]) == (source, key, key % 2), one
            assert 1 <= one["version"] <= traffic.sent[key], one
            version_of[one["n"]] = one["version"]
            best[key] = max(best[key], one["version"])
    assert told == len(version_of)
    assert not ask(daemon, "SELECT 1 FROM awaited WHERE cut IS NULL")
    used = sum(best.values())
    expected = {"used": used, "late": traffic.sent.total() - used, "unmatched": traffic.orphans}
    fates = dict(ask(daemon, "SELECT fate, rows FROM label_fate"))
    assert fates == {fate: rows for fate, rows in expected.items() if rows}
    return len(version_of)

"""The auditor: finds every numbered row by itself, in a data directory and in a workspace, and says what is amiss.

It trusts nothing but SQLite, parquet, and what Evidently wrote into the snapshots: their report counts the labels of
the rows, so a snapshot says of itself which rows it is of.
"""

import contextlib
import io
import json
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .ledger import NUMBER

# Names each label and counts its rows, in some 50 ms for 100 labels.
REPORT = {"metrics": [{"type": "UniqueValueCount", "column": NUMBER}]}
# With it goes the definition that has Evidently take the labels for what they are.
DEFINITION = {"categorical_columns": [NUMBER], "numerical_columns": ["value"]}
# A daemon at work moves rows while they are looked for; then all is read anew.
TRIES = 50


def read_json(body):
    return json.loads(body)[NUMBER]


def read_arrow(body):
    return pa.ipc.open_stream(body).read_all()[NUMBER].to_pylist()


def read_parquet(body):
    """Read the labels; where some came as JSON and some as Arrow, each row has them under one of two names."""
    values = pq.read_table(io.BytesIO(body), columns=[NUMBER])[NUMBER].to_pylist()
    return [next(filter(None, one.values())) if isinstance(one, dict) else one for one in values]


READERS = {"json": read_json, "arrow": read_arrow, "parquet": read_parquet}


@dataclass
class Verdict:
    """What became of the rows of a ledger; counters are by (collector, label)."""

    acknowledged: int
    stages: Counter
    unanswered: int = 0
    lost: Counter = field(default_factory=Counter)
    doubled: Counter = field(default_factory=Counter)
    invented: Counter = field(default_factory=Counter)
    torn_apart: Counter = field(default_factory=Counter)  # kept for a collector, and not alike for its followers

    @property
    def found(self):
        """Rows of those acknowledged that are somewhere."""
        return self.acknowledged - self.lost.total()

    @property
    def is_sound(self):
        """Tell whether each acknowledged row is there once, and no other but those whose answer was lost."""
        return not (self.lost or self.doubled or self.invented or self.torn_apart)

    def __str__(self):
        amiss = {name: getattr(self, name) for name in ("lost", "doubled", "invented", "torn_apart")}
        told = "; ".join(f"{name}: {dict(rows.most_common(5))}" for name, rows in amiss.items() if rows)
        return f"{self.acknowledged} acknowledged, found in {dict(self.stages)}; {told or 'sound'}"


class Auditor:
    """Looks for rows in one data directory, and in the workspace that its collectors deliver to."""

    def __init__(self, data, workspace):
        self._journal = Path(data) / "journal.sqlite3"
        self._data = Path(data)
        self._workspace = Path(workspace)
        self._read = {}

    def judge(self, ledger):
        """Compare what is found with what was sent; the daemon may be dead or at work, the load may go on."""
        acknowledged, refused = set(ledger.acknowledged), set(ledger.refused)
        stages = self.find()
        found = sum(stages.values(), Counter())
        sent = dict(ledger.sent)
        verdict = Verdict(
            sum(sent[key] for key in acknowledged), Counter({name: rows.total() for name, rows in stages.items()})
        )
        verdict.lost = Counter({key: sent[key] - found[key] for key in acknowledged if found[key] < sent[key]})
        verdict.doubled = Counter({key: rows - sent[key] for key, rows in found.items() if rows > sent.get(key, rows)})
        unknown = {key: rows for key, rows in found.items() if key not in sent or key in refused}
        unanswered = {key: rows for key, rows in found.items() if key not in acknowledged and key not in unknown}
        torn = {key: rows for key, rows in unanswered.items() if rows < sent[key]}
        verdict.invented = Counter(unknown | torn)
        verdict.unanswered = sum(unanswered.values())
        apart = (key for key in sent if len({found[one] for one in ledger.shares(key)}) > 1)
        verdict.torn_apart = Counter({key: found[key] for key in apart})
        return verdict

    def find(self):
        """Count the rows by stage and key. What has arrived in the workspace counts there alone."""
        for attempt in range(TRIES):
            try:
                return self._find_once()
            except (FileNotFoundError, json.JSONDecodeError):
                if attempt == TRIES - 1:
                    raise
        raise AssertionError

    def _find_once(self):
        states, frames, parts = self._read_journal()  # before the workspace: rows only go that way
        snapshots = [self._snapshot(path) for path in self._workspace.glob("*/snapshots/*.json")]
        arrived = {batch for batch, _ in snapshots}
        stages = {"open": Counter(), "sealed": Counter(), "evaluated": Counter(), "failed": Counter()}
        for collector, batch, kind, content in frames + parts:
            state = states.get(batch, "open" if batch is None else "unknown")
            if state in stages and batch not in arrived:
                labels = self._part(content) if kind == "part" else Counter(READERS[kind](self._body(content)))
                stages[state].update({(collector, label): rows for label, rows in labels.items()})
        return stages | {"delivered": sum((rows for _, rows in snapshots), Counter())}

    def _read_journal(self):
        with contextlib.closing(sqlite3.connect(f"file:{self._journal}?mode=ro", uri=True)) as db:
            db.execute("BEGIN")
            states = dict(db.execute("SELECT id, state FROM batch"))
            frames = db.execute(
                "SELECT collector, batch, format, body FROM frame WHERE NOT EXISTS "
                "(SELECT 1 FROM moved WHERE moved.collector = frame.collector AND seq BETWEEN first_seq AND last_seq)"
            ).fetchall()
            parts = db.execute("SELECT collector, batch, 'part', path FROM part").fetchall()
        return states, frames, parts

    def _part(self, path):
        return Counter(read_parquet((self._data / path).read_bytes()))

    def _body(self, content):
        """Return the body of a frame: what the journal has of it, or the place that it names."""
        if not isinstance(content, str):
            return content
        name, start, size = content.split(":")
        with (self._data / "bodies" / name).open("rb") as file:
            file.seek(int(start))
            return file.read(int(size))

    def _snapshot(self, path):
        """Read a batch's id and its rows from a snapshot, but for those that are known already and didn't change."""
        status = path.stat()
        key = (path, status.st_mtime_ns, status.st_ino)
        if key not in self._read:
            body = json.loads(path.read_bytes())
            collector = body["metadata"]["collector"]
            [counts] = [one["counts"] for one in body["metric_results"].values() if "counts" in one]
            rows = Counter({(collector, label): int(one["value"]) for label, one in counts.items()})
            self._read[key] = (body["metadata"]["batch_id"], rows)
        return self._read[key]

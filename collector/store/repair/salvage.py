"""Salvage: what can still be read of a broken journal, and of the parts on disk, goes into a new one.

Each row of events must end up in the new journal exactly once, though the broken one may show an older state than the
parts do. An example: frames 1 to 9 became ``parts/a.parquet``, whose footer says "main, frames 1 to 9". Then the page
of the journal that named the part was lost, and an older page shows frames 1 to 9 again. These steps follow each other,
and each trusts what the steps before it found:

1. Parts that are read-only were delivered. Their frames (here none) must not come back.
2. Batches and parts that the journal names are copied. ``parts/a.parquet`` isn't among them, as its page is lost.
3. Frames that are sound, and are in no part so far, are copied: here 1 to 9.
4. Parts of batches that wait for labels are adopted, delivered or not. A file of each such batch names its parts.
5. Parts that no table names are adopted, unless their frames are there: frames 1 to 9 are, so a.parquet is set aside.

If the page of the frames had been lost instead, step 3 would find no frames, and step 5 would adopt the part.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections import defaultdict, deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from collector.config.labels import LABELS, MAIN
from collector.disk.files import write_whole
from collector.formats.stored import file_of
from collector.store.awaiting import waiting_batches
from collector.store.body_files import unknown_stretches
from collector.store.parts import Kept, Origin, WindowOrigin, read_origin, read_rows, set_aside_frame
from collector.store.records import SNAPSHOT_STATES, STATES, labelled_id
from collector.store.steps.frames import body_places, has_frames
from collector.store.steps.keys import key_of, read_secret
from collector.store.steps.references import known_paths
from collector.store.streams import is_labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from collector.formats.stored import StoredBody
    from collector.store.data_dir import DataDir

_log = structlog.get_logger()

_WHOSE_REFERENCE = (
    "a reference that the service had made was set aside, as the journal no longer says of which collector it is; "
    "to go on with it, write its path as that collector's reference_path"
)
_LAST_ROWID = 2**63 - 1
# Rows with a number beyond this aren't searched for; and the search ends after this many misses: a page has at most a
# hundred rows.
_LIKELY_ROWID = 2**32
_MAX_MISSES = 500
_ID = re.compile(r"[\w-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]+")
_PATH = re.compile(r"(?:parts|failed/(?P<batch>[\w-]{1,64}))/[\w.-]+")
# Tables whose rows are copied unchanged if each value has its column's type. A half may have been joined since: its
# other half is known to have come, so it expires.
_PLAIN: dict[str, tuple[str, tuple[type, ...]]] = {
    "forgotten": ("collector", (str,)),
    "dashboard": ("collector, place", (str, str)),
    "reference": ("collector, report, made", (str, str, str)),
    "open_columns": ("collector, cut, names", (str, int, bytes)),
    "whole_batch": ('collector, digest, id, start, "end"', (str, bytes, str, float, float)),
    "half": (
        "seq, collector, pair, is_request, rows, size, names, body, checksum",
        (int, str, bytes, int, int, int, str, bytes, int),
    ),
}
# Nothing else is known of the batch: its snapshot may be in the workspace, which is asked before it is sent.
_DOUBTFUL = json.dumps({"progress": {"is_doubtful": True}})


@dataclass
class Salvaged:
    """What was recovered, and what was set aside."""

    frames: int = 0
    parts: int = 0
    rows: int = 0
    frames_set_aside: int = 0
    parts_set_aside: int = 0
    rows_set_aside: int = 0


def salvage(old: sqlite3.Connection | None, new: sqlite3.Connection, data_dir: DataDir) -> Salvaged:
    """Fill a new journal from a broken one, if there is any, and from the parts on disk."""
    work = _Salvage(new, data_dir)
    if old is not None:
        old.text_factory = lambda text: text.decode(errors="replace")
        work.copy_renamed(old)
    work.note_delivered()
    if old is not None:
        work.copy_batches(old)
        work.copy_parts(old)
        work.copy_frames(old)
        work.copy_others(old)
        work.copy_positions(old)
        work.copy_alerts(old)
        work.copy_snapshots(old)
        work.copy_labels(old)
    work.adopt_waiting()
    work.adopt_joined()
    work.adopt_parts()
    work.skip_numbers(old)
    work.set_bodies_aside()
    work.reconcile()
    work.reconcile_labels()
    work.set_references_aside()
    return work.done


def readable_rows(db: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """Yield the rowid and these columns of every row that can be reached.

    Each stretch is read upwards until an error and downwards until one; what is left between is halved and tried again.
    Of rows 1 to 1000, on ten pages of which the third and the seventh are broken, the first stretch yields 1 to 200
    upwards and 1000 to 701 downwards. What lies between, 201 to 700, is halved: 201 to 450 yields nothing upwards, for
    it begins on a broken page, and 450 to 301 downwards; 451 to 700 yields 451 to 600. A half that yields nothing is
    halved again, until its rows are too few or ``_MAX_MISSES`` in a row yielded nothing.
    """
    select = f"SELECT rowid, {columns} FROM {table} WHERE rowid > ? AND rowid < ? ORDER BY rowid"  # noqa: S608
    stretches = deque([(0, _LAST_ROWID)])
    misses = 0
    while stretches and misses < _MAX_MISSES:
        low, high = stretches.popleft()
        up = _Scan(db, select, (low, high))
        yield from up
        if up.is_whole:
            continue
        down = _Scan(db, f"{select} DESC", (up.last or low, high))
        yield from down
        misses = 0 if up.last or down.last else misses + 1
        low, high = up.last or low, down.last or min(high, max(low + 2, _LIKELY_ROWID))
        if not down.is_whole and high - low > 2:
            middle = (low + high) // 2
            stretches += [(low, middle + 1), (middle, high)]


class _Scan:
    """The rows up to the end, or to the first that can't be read."""

    def __init__(self, db: sqlite3.Connection, select: str, bounds: tuple[int, ...] = ()) -> None:
        self._db = db
        self._select = select
        self._bounds = bounds
        self.last: int | None = None
        self.is_whole = False

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        try:
            for row in self._db.execute(self._select, self._bounds):
                self.last = row[0]
                yield row
        except (sqlite3.Error, UnicodeDecodeError):  # the error's text itself can't be decoded
            return  # ``last`` says how far it came
        self.is_whole = True


class _Salvage:
    def __init__(self, db: sqlite3.Connection, data_dir: DataDir) -> None:
        self.done = Salvaged()
        self._db = db
        self._data_dir = data_dir
        self._spilled: defaultdict[str, list[Origin]] = defaultdict(list)
        self._renamed: dict[str, tuple[str, int]] = {}

    def copy_renamed(self, old: sqlite3.Connection) -> None:
        """Take over which collectors were renamed: parts keep the id under which they were made."""
        if not _has_column(old, "renamed", "new"):
            return
        for _, *row in _Scan(old, "SELECT 0, old, new, last_seq FROM renamed"):
            if (
                [type(value) for value in row[:2]] == [str, str]
                and self._insert("renamed", tuple(row))
                and row[2] is not None
            ):
                self._renamed[row[0]] = (row[1], _number(row[2]))

    def _read_origin(self, part: str) -> tuple[Origin, int] | None:
        found = read_origin(self._data_dir.path / part)
        if found is None:
            return None
        new, last = self._renamed.get(found[0].collector, ("", 0))
        return (replace(found[0], collector=new), found[1]) if found[0].last <= last else found

    def note_delivered(self) -> None:
        """Note which frames were delivered: an old page of the journal may still show them as undelivered."""
        for name in self._data_dir.delivered_parts():
            if found := self._read_origin(name):
                self._spilled[found[0].collector].append(found[0])

    def copy_batches(self, old: sqlite3.Connection) -> None:
        names = "id, collector, state, rows, opened, sealed, attempts, outcome, error"
        delivered = "delivered" if _has_column(old, "batch", "delivered") else "NULL"
        has_reports = _has_column(old, "batch", "report")
        reports = 'report, source, start, "end", is_backfill' if has_reports else "'main', '', NULL, NULL, 0"
        replaces = "replaces" if _has_column(old, "batch", "replaces") else "''"
        for _, *row, report, source, start, end, is_backfill, replaced in readable_rows(
            old, "batch", f"{names}, {delivered}, {reports}, {replaces}"
        ):
            id_, collector, state, rows, opened, sealed, attempts, outcome, error, at = row
            if not _is_id(id_) or not isinstance(collector, str):
                continue
            is_known = state in STATES and (state != "evaluated" or "generation" in _object(outcome))
            values = (
                *(id_, collector, state if is_known else "sealed", _number(rows), _time(opened), _time(sealed)),
                *(_number(attempts), json.dumps(_object(outcome)) if is_known else _DOUBTFUL, str(error)),
                _time(at) if state == "delivered" else None,
                *(str(report), str(source), _real(start), _real(end), _number(is_backfill), str(replaced)),
            )
            self._insert("batch", values)

    def copy_parts(self, old: sqlite3.Connection) -> None:
        columns = "path, collector, batch, rows, size, first_seq, opened"
        for _, path, collector, batch, rows, size, first, opened in readable_rows(old, "part", columns):
            found = _PATH.fullmatch(path) if isinstance(path, str) else None
            if found is None or not (self._data_dir.path / path).exists():
                continue  # if its file has another name by now, it is adopted from there
            batch_id = found["batch"] or (batch if _is_id(batch) else None)
            known = self._read_origin(path)
            if known is not None:
                self._enter_part(path, batch_id, *known)
            elif isinstance(collector, str):  # the evaluation will find out what is in the file
                numbers = (_number(rows), _number(size), _number(first))
                self._insert("part", (path, collector, batch_id, *numbers, _time(opened), None))

    def copy_frames(self, old: sqlite3.Connection) -> None:
        checksum = "checksum" if _has_column(old, "frame", "checksum") else "NULL"
        columns = f"collector, batch, format, rows, received, body, {checksum}"
        for seq, collector, batch, format_, rows, received, body, given in readable_rows(old, "frame", columns):
            frame = Kept(collector, seq, format_, rows, body, given).loaded(self._data_dir)
            batch_id = batch if _is_id(batch) else None
            if not isinstance(collector, str) or not frame.is_sound or self._is_spilled(frame, batch_id):
                set_aside_frame(frame, self._data_dir)
                self.done.frames_set_aside += 1
                self.done.rows_set_aside += _number(rows)
            else:
                self._enter_frame(frame, batch_id, _time(received))

    def copy_others(self, old: sqlite3.Connection) -> None:
        for _, collector, fired in readable_rows(old, "clock", "collector, fired"):
            if isinstance(collector, str) and isinstance(fired, float) and 0 < fired <= time.time():
                self._insert("clock", (collector, fired))
        for seq, collector, entry in readable_rows(old, "log", "collector, entry"):
            if isinstance(collector, str) and _object(entry):
                self._insert("log", (seq, collector, entry))
        if _has_column(old, "idempotency_key", "slice"):
            self._copy_keys(old)
        elif _has_column(old, "idempotency", "key"):
            self._copy_text_keys(old)
        for table, (columns, types) in _PLAIN.items():
            for _, *row in readable_rows(old, table, columns) if _has_column(old, table, "collector") else ():
                if tuple(map(type, row)) == types:
                    self._insert(table, tuple(row))

    def copy_positions(self, old: sqlite3.Connection) -> None:
        """Copy how far events were fetched from Kafka. These can be read again; events that were posted can't."""
        if not _has_column(old, "position", "next"):
            return
        for _, *row in _Scan(old, "SELECT 0, collector, topic, partition, first, next FROM position"):
            if list(map(type, row)) == [str, str, int, int, int]:
                self._insert("position", tuple(row))

    def copy_alerts(self, old: sqlite3.Connection) -> None:
        if not _has_column(old, "alert", "said"):
            return
        names = "rule, collector, is_firing, bad, batch, since, lasted, told, said"
        names += ", segment" if _has_column(old, "alert", "segment") else ", ''"
        for _, *who, firing, bad, batch, since, lasted, told, said, segment in readable_rows(old, "alert", names):
            if all(isinstance(name, str) for name in (*who, batch)) and isinstance(lasted, float):
                counts = (_number(firing), _number(bad), batch)
                times = (_time(since), lasted, _time(told))
                self._insert("alert", (*who, *counts, *times, json.dumps(_object(said)), str(segment)))
        for seq, address, body, at in readable_rows(old, "alert_message", "address, body, at"):
            if isinstance(address, str) and _object(body):
                self._insert("alert_message", (seq, address, body, _time(at)))

    def copy_snapshots(self, old: sqlite3.Connection) -> None:
        if not _has_column(old, "snapshot", "outcome"):
            return
        names = (
            "collector, batch, report, segment, state, rows, opened, sealed, made, delivered, number, "
            "bad_tests, drift_share, bad_since, outcome, error"
        )
        for seq, *row in readable_rows(old, "snapshot", names):
            *who, state, rows, opened, sealed, made, delivered, number, bad_tests, share, since, outcome, error = row
            if state in SNAPSHOT_STATES and all(isinstance(name, str) for name in who) and _is_id(who[1]):
                times = (_time(opened), _time(sealed), _time(made), _real(delivered))
                counts = (_number(number), None if bad_tests is None else _number(bad_tests))
                told = (_real(share), _real(since), json.dumps(_object(outcome)), str(error))
                self._insert("snapshot", (seq, *who, state, _number(rows), *times, *counts, *told))

    def copy_labels(self, old: sqlite3.Connection) -> None:
        """Copy which batches wait for labels, and what became of labels; files of keys are made again."""
        if not _has_column(old, "awaited", "cut"):
            return
        names = "batch, collector, rows, opened, since, wait, cut, closed, disputed, key, keys"
        for _, batch, collector, rows, opened, since, wait, cut, closed, disputed, key, keys in readable_rows(
            old, "awaited", names
        ):
            if not _is_id(batch) or not isinstance(collector, str) or not isinstance(wait, float):
                continue
            is_closed = isinstance(cut, int) and isinstance(key, str) and isinstance(keys, str)
            values = (batch, collector, _number(rows), _time(opened), _time(since), wait)
            ends = (cut, _time(closed), _number(disputed), key, keys) if is_closed else (None, None, 0, None, None)
            self._insert("awaited", (*values, *ends, 0, 0, 0, 0, None))
        for _, path, stream, last, since in readable_rows(old, "label_part", "path, collector, last_seq, since"):
            if isinstance(path, str) and isinstance(stream, str) and isinstance(last, int):
                self._insert("label_part", (path, stream, last, _time(since), 0.0))
        for order in ("ASC", "DESC"):
            select = f"SELECT collector, fate, rows FROM label_fate ORDER BY collector {order}, fate {order}"  # noqa: S608
            for stream, fate, rows in _Scan(old, select):
                self._insert("label_fate", (stream, fate, rows))

    def reconcile_labels(self) -> None:
        """Enter which parts are parts of labels, and have no batch wait that is gone."""
        self._db.execute("DELETE FROM label_part WHERE path NOT IN (SELECT path FROM part)")
        known = {path for (path,) in self._db.execute("SELECT path FROM label_part")}
        for path, stream, opened in self._db.execute("SELECT path, collector, opened FROM part").fetchall():
            if path not in known and is_labels(stream) and (found := self._read_origin(path)) is not None:
                self._insert("label_part", (path, stream, found[0].last, opened, 0.0))
        self._db.execute("DELETE FROM awaited WHERE cut IS NULL AND batch NOT IN (SELECT id FROM batch)")

    def _copy_keys(self, old: sqlite3.Connection) -> None:
        """Copy idempotency keys and the secret with which they are hashed; without it they are of no use."""
        secrets = [secret for _, secret in _Scan(old, "SELECT rowid, value FROM secret") if isinstance(secret, bytes)]
        if not secrets:
            return
        self._db.execute("UPDATE secret SET value = ?", (secrets[0],))
        names = "collector, opened, newest, keys, max_keys"
        for id_, collector, opened, newest, keys, most in readable_rows(old, "idempotency_slice", names):
            if isinstance(collector, str):
                counts = (max(1, _number(keys)), max(1, _number(most)))
                self._insert("idempotency_slice", (id_, collector, _time(opened), _time(newest), *counts))
        for order in ("ASC", "DESC"):
            select = f"SELECT slice, hash, digest FROM idempotency_key ORDER BY slice {order}, hash {order}"  # noqa: S608
            for key in _Scan(old, select):
                self._insert("idempotency_key", key)
        self._db.execute("DELETE FROM idempotency_key WHERE slice NOT IN (SELECT id FROM idempotency_slice)")

    def _copy_text_keys(self, old: sqlite3.Connection) -> None:
        """Copy idempotency keys as formats 1 to 4 had them."""
        secret, slices = read_secret(self._db), dict[str, int]()
        for order in ("ASC", "DESC"):
            select = f"SELECT collector, key, digest, at FROM idempotency ORDER BY collector {order}, key {order}"  # noqa: S608
            for collector, text, digest, at in _Scan(old, select):
                if not (isinstance(collector, str) and isinstance(text, str) and _DIGEST.fullmatch(str(digest))):
                    continue
                id_ = slices.setdefault(collector, len(slices) + 1)
                self._insert("idempotency_slice", (id_, collector, _time(at), _time(at), 0, 0))
                key = key_of(secret, text, digest)
                if self._insert("idempotency_key", (id_, key.hash, key.digest)):
                    grown = "opened = MIN(opened, ?), newest = MAX(newest, ?), keys = keys + 1"
                    self._db.execute(f"UPDATE idempotency_slice SET {grown} WHERE id = ?", (_time(at), _time(at), id_))  # noqa: S608

    def skip_numbers(self, old: sqlite3.Connection | None) -> None:
        """Give no new frame a number that was used before: a part stands for all frames between two numbers."""
        last = ("SELECT rowid, last FROM numbering", "SELECT rowid, seq FROM sqlite_sequence WHERE name = 'frame'")
        used = [] if old is None else [seq for select in last for _, seq in _Scan(old, select)]
        # a larger one is damaged, and might leave no numbers
        used = [seq for seq in used if isinstance(seq, int) and seq < 2**53]
        used += [origin.last for ranges in self._spilled.values() for origin in ranges]
        used += [seq for (seq,) in self._db.execute("SELECT COALESCE(MAX(seq), 0) FROM frame")]
        self._db.execute("UPDATE numbering SET last = ?", (max(used),))

    def adopt_waiting(self) -> None:
        """Have batches wait for labels again if their files say that they did; all their parts that are there count."""
        closed = {batch for (batch,) in self._db.execute("SELECT batch FROM awaited WHERE cut IS NOT NULL")}
        closed |= {source for (source,) in self._db.execute("SELECT source FROM batch")}
        for one in waiting_batches(self._data_dir):
            found = [(path, self._read_origin(path)) for path in self._data_dir.parts_called(one.parts)]
            parts = [(path, *known) for path, known in found if known is not None]
            if one.batch in closed or not parts:
                continue
            # the collector may have been renamed since
            of_batch = (one.batch, parts[0][1].collector, one.rows, one.opened)
            told = (one.sealed, one.start, one.end, one.is_backfill)
            self._enter_batch((*of_batch, *told, MAIN, ""))
            better = 'opened = ?, sealed = ?, start = ?, "end" = ?, is_backfill = ?'  # more than a delivered part says
            self._db.execute(f"UPDATE batch SET {better} WHERE id = ?", (one.opened, *told, one.batch))  # noqa: S608
            for path, origin, rows in parts:
                if self._data_dir.is_delivered(path) or not self._is_elsewhere(origin):
                    self._enter_part(path, one.batch, origin, rows)
            columns = "batch, collector, rows, opened, since, wait"
            awaited = f"INSERT OR IGNORE INTO awaited({columns}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608
            self._db.execute(awaited, (*of_batch, one.since, one.wait))

    def adopt_joined(self) -> None:
        """Adopt rows with labels that no table knows. If a batch was joined several times, the last join counts."""
        window = 'COALESCE(start, batch.opened), COALESCE("end", sealed), COALESCE(is_backfill, 0)'
        closed = self._db.execute(
            f"SELECT batch, awaited.collector, awaited.opened, {window} "  # noqa: S608
            "FROM awaited LEFT JOIN batch ON id = awaited.batch WHERE cut IS NOT NULL"
        )
        for source, collector, opened, *told in closed.fetchall():
            batch = labelled_id(source)
            found = [] if self._is_delivered(batch) else self._data_dir.joined_parts(batch)
            parts = [(path, rows) for path in found if (rows := read_rows(self._data_dir.path / path)) is not None]
            if parts:
                self._enter_batch((batch, collector, 0, opened, time.time(), *told, LABELS, source))
            for number, (path, rows) in enumerate(parts):
                self._enter_part(path, batch, Origin(collector, number, -1, opened), rows)

    def _enter_batch(self, values: tuple[object, ...]) -> None:
        """Enter a batch unless it is known; its workspace may have its snapshot already."""
        columns = 'id, collector, rows, opened, sealed, start, "end", is_backfill, report, source, state, outcome'
        marks = ", ".join("?" * len(values))
        batch = f"INSERT OR IGNORE INTO batch({columns}) VALUES ({marks}, 'sealed', ?)"  # noqa: S608
        self._db.execute(batch, (*values, _DOUBTFUL))

    def adopt_parts(self) -> None:
        """Adopt parts that no table knows, unless their rows are elsewhere; delivered parts stay as they are."""
        known = {path for (path,) in self._db.execute("SELECT path FROM part")}
        for name in self._data_dir.parts():
            if name in known or self._data_dir.is_delivered(name):
                continue
            found = self._read_origin(name)
            if found is not None and not self._is_elsewhere(found[0]):
                batch = _PATH.fullmatch(name)
                self._enter_part(name, batch["batch"] if batch else None, *found)
            else:
                self._data_dir.set_aside(self._data_dir.path / name, "part")
                self.done.parts_set_aside += 1
                self.done.rows_set_aside += found[1] if found else 0

    def set_bodies_aside(self) -> None:
        """Set bodies aside that no frame has: nobody knows whose they are, or their rows are in a part."""
        known: defaultdict[str, list[StoredBody]] = defaultdict(list)
        for place in body_places(self._db):
            known[file_of(place)].append(self._data_dir.body(place))
        for path in self._data_dir.body_files():
            if path.name not in known:
                self.done.frames_set_aside += self._data_dir.set_aside(path, "frame") is not None
                continue
            for between in unknown_stretches(path, known[path.name]):
                write_whole(self._data_dir.damaged(f"frame-{between.start}-{path.name}"), between.read())
                self.done.frames_set_aside += 1

    def set_references_aside(self) -> None:
        """Set references aside if nobody knows whose they are: the rows that they were made of may be long gone."""
        for path in self._data_dir.stray_references(known_paths(self._db, None)):
            kept = self._data_dir.set_aside(self._data_dir.path / path, "reference")
            _log.error(_WHOSE_REFERENCE, file=str(kept))

    def reconcile(self) -> None:
        """Have the batches agree with the frames and parts that are there."""
        inside = (
            "SELECT batch, collector, received AS at FROM frame UNION ALL SELECT batch, collector, opened FROM part"
        )
        names = "id, collector, state, rows, opened, sealed, outcome"
        lost = f"SELECT batch, collector, 'sealed', 0, MIN(at), ?, ? FROM ({inside}) WHERE batch <> '' GROUP BY batch"  # noqa: S608
        self._db.execute(f"INSERT OR IGNORE INTO batch({names}) {lost}", (time.time(), _DOUBTFUL))
        found = f"(SELECT collector FROM ({inside}) WHERE batch = id)"  # noqa: S608
        self._db.execute(f"UPDATE batch SET collector = COALESCE({found}, collector) WHERE collector NOT IN {found}")  # noqa: S608
        for table in ("frame", "part"):  # a damaged byte may name a batch of another collector
            owner = f"(SELECT collector FROM batch WHERE id = {table}.batch)"  # noqa: S608
            self._db.execute(f"UPDATE {table} SET batch = NULL WHERE collector <> {owner}")  # noqa: S608
        self._db.execute(
            "UPDATE batch SET state = 'failed', error = 'its journal was broken' WHERE state = 'sealed' "
            "AND id IN (SELECT batch FROM part WHERE path LIKE 'failed/%')"
        )
        self._db.execute(
            "UPDATE batch SET state = 'sealed' WHERE state = 'evaluated' AND id IN (SELECT batch FROM frame)"
        )
        self._db.execute(
            "UPDATE batch SET rows = (SELECT TOTAL(rows) FROM frame WHERE batch = batch.id) "
            "+ (SELECT TOTAL(rows) FROM part WHERE batch = batch.id) WHERE state IN ('sealed', 'failed')"
        )
        self._db.execute("DELETE FROM batch WHERE state = 'sealed' AND rows = 0")

    def _enter_part(self, path: str, batch: str | None, origin: Origin, rows: int) -> None:
        if self._data_dir.is_delivered(path):
            if batch is None:
                return  # nobody knows which batch it was of, and it doesn't matter
            now = time.time()
            self._db.execute(
                "INSERT INTO batch(id, collector, state, rows, opened, sealed, delivered) "
                "VALUES (?, ?, 'delivered', ?, ?, ?, ?) "
                "ON CONFLICT(id) DO UPDATE SET state = excluded.state, delivered = excluded.delivered",
                (batch, origin.collector, rows, origin.opened, now, now),
            )
        size = (self._data_dir.path / path).stat().st_size
        window = origin.window if isinstance(origin, WindowOrigin) else None
        values = (path, origin.collector, batch, rows, size, origin.first, origin.opened, window)
        if self._insert("part", values):
            self._spilled[origin.collector].append(origin)
            self.done.parts += 1
            self.done.rows += rows

    def _enter_frame(self, frame: Kept, batch: str | None, received: float) -> None:
        stored = frame.place or frame.body
        values = (frame.collector, batch, frame.format, frame.rows, len(frame.body), received, stored)
        known = self._db.execute("SELECT collector, body FROM frame WHERE seq = ?", (frame.seq,)).fetchone()
        if known == (frame.collector, stored):
            return  # a page may be reached by two ways if a third is broken
        self._insert("frame", (None if known else frame.seq, *values, frame.checksum))
        self.done.frames += 1
        self.done.rows += frame.rows

    def _is_spilled(self, frame: Kept, batch: str | None) -> bool:
        """Tell whether a frame's rows are in a part already, or delivered: an old page may still show it."""
        return self._is_delivered(batch) or any(
            origin.first <= frame.seq <= origin.last for origin in self._spilled[frame.collector]
        )

    def _is_elsewhere(self, origin: Origin) -> bool:
        """Tell whether rows of a part are in another part, or in frames."""
        others = (one for one in self._spilled[origin.collector] if not _are_of_one_run(one, origin))
        return any(one.first <= origin.last and origin.first <= one.last for one in others) or has_frames(
            self._db, origin
        )

    def _is_delivered(self, batch: str | None) -> bool:
        return (
            self._db.execute("SELECT 1 FROM batch WHERE id = ? AND state = 'delivered'", (batch,)).fetchone()
            is not None
        )

    def _insert(self, table: str, values: tuple[Any, ...]) -> bool:
        """Enter a row; return False if its key is there already, or if damage has made it unfit."""
        marks = ", ".join("?" * len(values))
        try:
            return self._db.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", values).rowcount > 0  # noqa: S608
        except (sqlite3.IntegrityError, sqlite3.InterfaceError):
            return False


def _are_of_one_run(one: Origin, other: Origin) -> bool:
    """Tell whether two parts were made from the same frames, each for the rows of another window."""
    return isinstance(one, WindowOrigin) and isinstance(other, WindowOrigin) and one.run == other.run


def _has_column(db: sqlite3.Connection, table: str, column: str) -> bool:
    """Tell whether a broken journal has a column, which older formats may lack."""
    try:
        return column in {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
    except (sqlite3.Error, UnicodeDecodeError):
        return False


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _number(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**53 else 0


def _time(value: object) -> float:
    return value if isinstance(value, float) and 0 <= value <= 2**33 else time.time()


def _real(value: object) -> float | None:
    return value if isinstance(value, float) else None


def _object(text: object) -> dict[str, Any]:
    """Parse a JSON object; anything else counts as an empty one."""
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}

"""The journal's tables, a step for each format version: a new journal takes all, an older one those it lacks."""

import sqlite3
from contextlib import closing
from functools import cache

from collector.store.steps.keys import key_hash, short_digest

STEPS = (
    """
CREATE TABLE frame(
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    collector TEXT NOT NULL,
    batch TEXT,              -- NULL: in the open batch
    format TEXT NOT NULL,
    rows INTEGER NOT NULL,
    size INTEGER NOT NULL,   -- bytes of the body; a length(body) would do, but this stands before the blob
    received REAL NOT NULL,  -- Unix seconds, as all times here
    body BLOB NOT NULL
);
CREATE INDEX frame_by_batch ON frame(collector, batch);
CREATE TABLE part(
    path TEXT PRIMARY KEY,   -- in the data directory
    collector TEXT NOT NULL,
    batch TEXT,
    rows INTEGER NOT NULL,
    size INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    opened REAL NOT NULL
);
CREATE INDEX part_by_batch ON part(collector, batch);
CREATE TABLE batch(
    id TEXT PRIMARY KEY,
    collector TEXT NOT NULL,
    state TEXT NOT NULL,
    rows INTEGER NOT NULL,
    opened REAL NOT NULL,
    sealed REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    outcome TEXT NOT NULL DEFAULT '{}',
    error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX batch_by_state ON batch(collector, state);
CREATE TABLE clock(collector TEXT PRIMARY KEY, fired REAL NOT NULL);
CREATE TABLE log(seq INTEGER PRIMARY KEY, collector TEXT NOT NULL, entry TEXT NOT NULL);
CREATE INDEX log_by_collector ON log(collector, seq);
CREATE TABLE idempotency(
    collector TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY(collector, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency(at);
""",
    """
ALTER TABLE frame ADD COLUMN checksum INTEGER; -- NULL: of a frame that came under format 1
ALTER TABLE batch ADD COLUMN delivered REAL;
CREATE INDEX part_of_batch ON part(batch);
CREATE TABLE forgotten(collector TEXT PRIMARY KEY); -- what is to be dropped, whatever happens meanwhile
""",
    # The index has all columns that queries ask for but the bodies: 1 GB of frames is counted in 0.2 s, not in 1.5 s.
    """
DROP INDEX frame_by_batch;
CREATE INDEX frame_by_batch ON frame(collector, batch, seq, rows, size, received);
-- A body that is text says which file in bodies/ has it, and since format 18 where.
CREATE INDEX frame_by_file ON frame(body) WHERE typeof(body) = 'text';
""",
    # Removing the frames of a part takes 40 ms. So the part stands for them at once, and they are removed a few at a
    # time.
    """
CREATE TABLE moved(
    collector TEXT NOT NULL,
    batch TEXT,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL
);
""",
    # As text with an index by time, each key took 200 bytes.
    """
CREATE TABLE secret(value BLOB NOT NULL); -- of the hash of keys
INSERT INTO secret VALUES (randomblob(32));
CREATE TABLE idempotency_slice(
    id INTEGER PRIMARY KEY,
    collector TEXT,          -- NULL: its keys are let go of, and removed a few at a time
    opened REAL NOT NULL,    -- when its first
    newest REAL NOT NULL,    -- and its last key came
    keys INTEGER NOT NULL,
    max_keys INTEGER NOT NULL
);
CREATE INDEX idempotency_slice_by_collector ON idempotency_slice(collector, id);
CREATE TABLE idempotency_key(
    slice INTEGER NOT NULL,
    hash BLOB NOT NULL,
    digest INTEGER NOT NULL,
    PRIMARY KEY(slice, hash)
) WITHOUT ROWID;
INSERT INTO idempotency_slice(collector, opened, newest, keys, max_keys)
    SELECT collector, MIN(at), MAX(at), COUNT(*), COUNT(*) FROM idempotency GROUP BY collector;
INSERT INTO idempotency_key SELECT id, key_hash(value, key), short_digest(digest)
    FROM secret, idempotency JOIN idempotency_slice USING (collector);
DROP TABLE idempotency;
""",
    """
CREATE TABLE open_columns(
    collector TEXT NOT NULL,
    cut INTEGER NOT NULL,    -- how many cuts of the open batch came before
    names BLOB NOT NULL      -- those that were new then, as hashes of 8 bytes
);
CREATE INDEX open_columns_by_collector ON open_columns(collector, cut);
""",
    """
CREATE TABLE alert(
    rule TEXT NOT NULL,      -- what stands for it
    collector TEXT NOT NULL, -- '': the service itself
    is_firing INTEGER NOT NULL,
    bad INTEGER NOT NULL,    -- batches in a row
    batch TEXT NOT NULL,     -- the last of these
    since REAL NOT NULL,
    lasted REAL NOT NULL,    -- seconds
    told REAL NOT NULL,
    said TEXT NOT NULL,
    PRIMARY KEY(rule, collector)
);
CREATE TABLE alert_message(
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    address TEXT NOT NULL,   -- what stands for it: its tokens are in the config only
    body TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX alert_message_by_address ON alert_message(address, seq);
""",
    """
CREATE TABLE renamed(
    old TEXT PRIMARY KEY,
    new TEXT NOT NULL,
    last_seq INTEGER         -- of its frames; NULL: the config file may name either, and all is still the old one's
) WITHOUT ROWID;
""",
    # A dashboard is made once: what a person removes from it stays removed.
    """
CREATE TABLE dashboard(collector TEXT NOT NULL, place TEXT NOT NULL, UNIQUE(collector, place));
""",
    # The outcome of each batch stays known when the batch is gone. A batch may have snapshots of several reports, and
    # of segments.
    """
CREATE TABLE snapshot(
    seq INTEGER PRIMARY KEY,
    collector TEXT NOT NULL,
    batch TEXT NOT NULL,
    report TEXT NOT NULL DEFAULT 'main',
    segment TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL,
    rows INTEGER NOT NULL,
    opened REAL NOT NULL,
    sealed REAL NOT NULL,
    made REAL NOT NULL,
    delivered REAL,
    number INTEGER NOT NULL, -- how many were made up to here, failed ones left out
    bad_tests INTEGER,       -- NULL: it has no tests
    drift_share REAL,        -- NULL: it tells of no drift
    bad_since REAL,          -- NULL: nothing is bad about it
    outcome TEXT NOT NULL DEFAULT '{}',
    error TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX snapshot_by_key ON snapshot(batch, report, segment);
CREATE INDEX snapshot_by_collector ON snapshot(collector, report, segment, seq);
INSERT INTO snapshot(collector, batch, state, rows, opened, sealed, made, delivered, number, outcome, error)
    SELECT collector, id, state, rows, opened, sealed, COALESCE(delivered, sealed), delivered,
    SUM(state <> 'failed') OVER (PARTITION BY collector ORDER BY rowid), outcome, error
    FROM batch WHERE state <> 'sealed' ORDER BY rowid;
""",
    # A batch of events may have several reports, each about some of its rows.
    """
ALTER TABLE batch ADD COLUMN report TEXT NOT NULL DEFAULT 'main';
ALTER TABLE batch ADD COLUMN source TEXT NOT NULL DEFAULT ''; -- the batch that its rows are of, if it isn't main
ALTER TABLE batch ADD COLUMN start REAL;  -- the window of its events; NULL: from its opening to its sealing
ALTER TABLE batch ADD COLUMN "end" REAL;
ALTER TABLE batch ADD COLUMN is_backfill INTEGER NOT NULL DEFAULT 0;
""",
    # A body that came as a whole batch stays known when its batch is gone: it may be sent again years later.
    """
ALTER TABLE batch ADD COLUMN replaces TEXT NOT NULL DEFAULT ''; -- ids, with spaces between them
CREATE TABLE whole_batch(
    collector TEXT NOT NULL,
    digest BLOB NOT NULL,    -- of its window and its body
    id TEXT NOT NULL,
    start REAL NOT NULL,
    "end" REAL NOT NULL,
    UNIQUE(collector, digest)
);
CREATE INDEX whole_batch_by_window ON whole_batch(collector, start);
CREATE INDEX whole_batch_by_id ON whole_batch(id);
""",
    # Labels have a stream of frames and parts of their own, beside that of the events.
    """
CREATE TABLE awaited(       -- a row for each batch that waits for labels, or for which labels may be late
    batch TEXT PRIMARY KEY,
    collector TEXT NOT NULL,
    rows INTEGER NOT NULL,
    opened REAL NOT NULL,
    since REAL NOT NULL,    -- when it was sealed, by a wall clock that may have been set meanwhile
    wait REAL NOT NULL,
    cut INTEGER,            -- NULL: it waits; else labels of frames beyond it came too late
    closed REAL,
    disputed INTEGER NOT NULL DEFAULT 0,
    key TEXT,               -- the column of which the files of keys were made; what follows can be made again
    keys TEXT,
    keyed INTEGER NOT NULL DEFAULT 0,
    repeated INTEGER NOT NULL DEFAULT 0,
    matched INTEGER NOT NULL DEFAULT 0,
    labelled INTEGER NOT NULL DEFAULT 0,
    marks TEXT
);
CREATE INDEX awaited_by_collector ON awaited(collector);
CREATE TABLE label_part(    -- what is to be known of a part of labels beside what all parts have
    path TEXT PRIMARY KEY,
    collector TEXT NOT NULL,
    last_seq INTEGER NOT NULL,
    since REAL NOT NULL,
    held REAL NOT NULL
);
CREATE INDEX label_part_by_collector ON label_part(collector);
CREATE TABLE label_fate(    -- what became of labels that were let go of
    collector TEXT NOT NULL,
    fate TEXT NOT NULL,
    rows INTEGER NOT NULL,
    PRIMARY KEY(collector, fate)
) WITHOUT ROWID;
""",
    # A rule has a state for each segment of a collector.
    """
CREATE TABLE alert_by_segment(
    rule TEXT NOT NULL,
    collector TEXT NOT NULL,
    is_firing INTEGER NOT NULL,
    bad INTEGER NOT NULL,
    batch TEXT NOT NULL,
    since REAL NOT NULL,
    lasted REAL NOT NULL,
    told REAL NOT NULL,
    said TEXT NOT NULL,
    segment TEXT NOT NULL DEFAULT '', -- '': all rows
    PRIMARY KEY(rule, collector, segment)
);
INSERT INTO alert_by_segment SELECT *, '' FROM alert;
DROP TABLE alert;
ALTER TABLE alert_by_segment RENAME TO alert;
""",
    # For events read from partitions of a log, frames and the position behind them are kept together.
    """
CREATE TABLE position(
    collector TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    first INTEGER NOT NULL,  -- where the open batch begins
    next INTEGER NOT NULL,   -- what is read next
    PRIMARY KEY(collector, topic, partition)
) WITHOUT ROWID;
CREATE TABLE fetched(
    seq INTEGER PRIMARY KEY, -- of a frame in the open batch
    collector TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    first INTEGER NOT NULL   -- the offset that it begins with
);
CREATE TABLE batch_end(
    batch TEXT NOT NULL,
    collector TEXT NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    PRIMARY KEY(batch, topic, partition)
) WITHOUT ROWID;
CREATE TABLE writer(id TEXT NOT NULL); -- what this journal is called in what its service publishes
INSERT INTO writer VALUES (lower(hex(randomblob(6))));
""",
    """
ALTER TABLE part ADD COLUMN window REAL; -- when the window of event time begins that its rows are of
""",
    # References that the service has made, or fetched from a store.
    """
CREATE TABLE reference(
    collector TEXT NOT NULL,
    report TEXT NOT NULL,
    made TEXT NOT NULL,      -- what is known of it, as JSON
    UNIQUE(collector, report)
);
""",
    # No change of tables. But an older release would take the place of a body in a file for the name of a file.
    """
""",
    # A model server logs a request and its response one by one; together they are an event.
    """
CREATE TABLE half(
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    collector TEXT NOT NULL,
    pair BLOB NOT NULL,      -- the hash of what both halves are known by
    is_request INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    size INTEGER NOT NULL,
    names TEXT NOT NULL,     -- of its columns, as JSON
    body BLOB NOT NULL,      -- its columns, as JSON
    checksum INTEGER NOT NULL,
    UNIQUE(collector, pair, is_request)
);
CREATE INDEX half_by_collector ON half(collector, seq, size);
""",
    # AUTOINCREMENT wrote one page more in each commit of frames, a third of what is written.
    """
CREATE TABLE numbering(last INTEGER NOT NULL); -- no frame that is gone had a higher number
INSERT INTO numbering SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'frame';
DROP INDEX frame_by_batch;
DROP INDEX frame_by_file;
ALTER TABLE frame RENAME TO old_frame;
CREATE TABLE frame(
    seq INTEGER PRIMARY KEY,
    collector TEXT NOT NULL,
    batch TEXT,              -- NULL: in the open batch
    format TEXT NOT NULL,
    rows INTEGER NOT NULL,
    size INTEGER NOT NULL,   -- bytes of the body; a length(body) would do, but this stands before the blob
    received REAL NOT NULL,  -- Unix seconds, as all times here
    body BLOB NOT NULL,
    checksum INTEGER         -- NULL: of a frame that came under format 1
);
INSERT INTO frame SELECT * FROM old_frame;
DROP TABLE old_frame;
CREATE INDEX frame_by_batch ON frame(collector, batch, seq, rows, size, received);
CREATE INDEX frame_by_file ON frame(body) WHERE typeof(body) = 'text';
""",
)

FORMAT_VERSION = len(STEPS)

Columns = frozenset[tuple[str, str]]


def upgrade(db: sqlite3.Connection, version: int = 0, to: int = len(STEPS)) -> None:
    """Take a journal from a format version to a newer one in one transaction; 0 is an empty file."""
    db.create_function("key_hash", 2, key_hash, deterministic=True)
    db.create_function("short_digest", 1, short_digest, deterministic=True)
    db.executescript(f"BEGIN; {''.join(STEPS[version:to])} PRAGMA user_version = {to}; COMMIT;")


def columns_of(db: sqlite3.Connection) -> Columns:
    """Return the names of all tables and indexes, each with those of its columns."""
    query = "SELECT m.name, i.name FROM sqlite_master AS m, pragma_{}_info(m.name) AS i WHERE m.type = '{}'"
    found = [db.execute(query.format(kind, kind)).fetchall() for kind in ("table", "index")]
    return frozenset((name, str(column)) for rows in found for name, column in rows)


@cache
def known_columns(version: int) -> Columns:
    """Return the columns of a format, from 1."""
    with closing(sqlite3.connect(":memory:")) as db:
        upgrade(db, to=version)
        return columns_of(db)

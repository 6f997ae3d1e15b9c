"""What the service accepts and keeps, as the operator sets it; the original had only the length of the log."""

from __future__ import annotations

from pydantic import Field

from collector.config.value import Ours, Value


class Storage(Value):
    """The original's storage; of it, the length of each collector's log is still used."""

    type: str = "evidently:collector_storage:InMemoryStorage"
    max_log_events: int = Field(default=10, description="Entries that GET /{id}/logs gives; 0 or less: all of them.")


class Limits(Ours):
    """What the service takes; beyond it, requests are refused, before their body is read where that can be told."""

    max_body_bytes: int = Field(
        default=10_000_000, gt=0, description="Bytes of a JSON, NDJSON or CSV body, after decompression."
    )
    max_typed_body_bytes: int = Field(
        default=256_000_000, gt=0, description="Bytes of an Arrow or parquet body, after decompression."
    )
    max_rows: int = Field(default=1_000_000, gt=0, description="Rows in one request.")
    max_columns: int = Field(default=10_000, gt=0, description="Columns in one request, and in one batch.")
    body_timeout: float = Field(default=60, gt=0, description="Seconds in which a body must have arrived.")
    max_connections: int = Field(default=1_000, gt=0, description="Open connections; more are answered 503 and closed.")
    max_concurrent_bodies: int = Field(default=256, gt=0, description="Bodies that are read at the same time.")
    max_concurrent_body_bytes: int = Field(
        default=512_000_000, gt=0, description="Bytes of bodies that are in memory at the same time."
    )
    max_collector_bytes: int = Field(
        default=5_000_000_000,
        gt=0,
        description="Bytes of undelivered events of one collector, in the journal and in parquet.",
    )
    max_buffered_bytes: int = Field(
        default=20_000_000_000,
        gt=0,
        description="Bytes of undelivered events of all collectors, in the journal and in parquet.",
    )
    max_labels_bytes: int = Field(
        default=10_000_000_000,
        gt=0,
        description="Bytes of labels of one collector, and of delivered events that wait for theirs.",
    )


class Idempotency(Ours):
    """How long a request that comes again with its Idempotency-Key is known, for each collector by itself."""

    seconds: float = Field(
        default=86_400, gt=0, description="Seconds for which a key is remembered, at least; up to an eighth longer."
    )
    max_keys: int = Field(
        default=20_000_000,
        gt=0,
        description="How many keys of each collector are remembered, the newest; each takes up to 40 bytes on disk.",
    )


class Retention(Ours):
    """What is kept of each collector's delivered batches, rows and snapshots, before it is removed."""

    batches: int = Field(default=3, ge=0, description="How many delivered batches of each report are kept, the newest.")
    seconds: float | None = Field(
        default=None, gt=0, description="Seconds for which a delivered batch is kept; null: no limit."
    )
    max_bytes: int = Field(
        default=1_000_000_000, ge=0, description="Bytes of parquet of a collector's delivered batches that are kept."
    )
    snapshots: int = Field(
        default=1000,
        ge=1,
        description="How many past batches' results are kept for trends and pages, longer than their rows are "
        "(some 10 kB each).",
    )

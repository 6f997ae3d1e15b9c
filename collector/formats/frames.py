"""Frames: the rows of one POST, checked before they are accepted and decoded for good when they leave the journal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, groupby, starmap
from operator import itemgetter
from typing import TYPE_CHECKING, Literal

from collector.formats.bounded_memory import bounded_memory
from collector.formats.bounds import NO_BOUNDS, Bounds, Counted
from collector.formats.json_body import Columns, count_lines, count_rows, read_lines
from collector.formats.json_rows import read_together
from collector.formats.stored import StoredBody

if TYPE_CHECKING:
    import pyarrow as pa

Format = Literal["json", "ndjson", "csv", "arrow", "parquet"]

FORMATS: dict[str, Format] = {
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/x-jsonl": "ndjson",
    "application/jsonlines": "ndjson",
    "application/x-jsonlines": "ndjson",
    "text/csv": "csv",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
    "application/parquet": "parquet",
}
TYPED_FORMATS = frozenset({"arrow", "parquet"})
_JSON_COUNTERS: dict[str, Callable[..., Counted]] = {"json": count_rows, "ndjson": count_lines}


@dataclass(slots=True)
class Frame:
    """The rows of one POST as they came; ``names`` are those of its columns, as long as somebody asks for them."""

    format: Format
    body: bytes | StoredBody
    rows: int
    names: Collection[str] = field(default=(), compare=False)


@lru_cache(64)
def format_of(media_type: str) -> Format:
    """Return the format of a body by its Content-Type; JSON for none or any that we don't know."""
    return FORMATS.get(media_type.partition(";")[0].strip().lower(), "json")


def check_frame(format_: Format, body: bytes, bounds: Bounds = NO_BOUNDS) -> Frame:
    """Make sure that the body is a table and count its rows; raise BadBody, saying why not, or BodyTooLarge.

    What passes here decodes later: nothing is accepted that could not be evaluated.
    """
    counter = _JSON_COUNTERS.get(format_)
    return Frame(format_, body, *(_count_table(format_, body, bounds) if counter is None else counter(body, bounds)))


def check_body(format_: Format, body: bytes | StoredBody, bounds: Bounds) -> Counted:
    """Check a body, wherever it is, as check_frame does; count its rows and name its columns.

    One that isn't what it says may end the process: it is for a process that does nothing else.
    """
    from collector.formats.json_columns import count_plain_rows  # the daemon never needs what this imports

    if format_ in TYPED_FORMATS:
        with bounded_memory(bounds):
            if isinstance(body, StoredBody):
                return _count_mapped(format_, body, bounds)
            return _count_table(format_, body, bounds)
    body = body.read() if isinstance(body, StoredBody) else body
    counted = count_plain_rows(body, bounds) if format_ == "json" else None
    if counted is not None:
        return counted
    frame = check_frame(format_, body, bounds)
    return frame.rows, frame.names


def _count_mapped(format_: Format, body: StoredBody, bounds: Bounds) -> Counted:
    """Count the rows of a file that is mapped into memory, without a copy."""
    import pyarrow as pa

    with pa.memory_map(str(body.path)) as file:
        file.seek(body.start)
        return _count_table(format_, file.read_buffer(body.size), bounds)


def _count_table(format_: Format, body: bytes | pa.Buffer, bounds: Bounds) -> Counted:
    from collector.formats.typed_body import read_table  # the daemon doesn't need this import to start

    table = read_table(format_, body, bounds)
    return table.num_rows, table.column_names


def decode_frames(frames: Iterable[tuple[Format, bytes]]) -> pa.Table:
    """Make one table of frames, in their order.

    Columns are aligned by name, missing ones filled with nulls. What came in different types is kept apart, and
    marked with how it came; see ``apart`` and ``sources``.
    """
    from collector.formats.apart import append
    from collector.formats.json_tables import table_of
    from collector.formats.typed_body import read_table

    tables = []
    for is_json, runs in groupby(groupby(frames, key=itemgetter(0)), key=lambda run: run[0] in _JSON_COUNTERS):
        if is_json:
            tables.append(table_of(chain.from_iterable(starmap(_read_json, runs))))
        else:
            tables.extend(read_table(*frame) for _, run in runs for frame in run)
    return append(tables)


def _read_json(format_: Format, frames: Iterable[tuple[Format, bytes]]) -> Iterator[Columns]:
    bodies = map(itemgetter(1), frames)
    return read_together(bodies) if format_ == "json" else map(read_lines, bodies)

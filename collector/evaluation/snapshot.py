"""A snapshot's file: exactly the body that an Evidently service takes, of either generation."""

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from evidently._pydantic_compat import BaseModel, ValidationError
from evidently.core.serialization import SnapshotModel
from evidently.legacy.model.widget import BaseWidgetInfo
from evidently.legacy.suite.base_suite import Snapshot as LegacySnapshot
from evidently.legacy.utils import NumpyEncoder
from pandas.api.extensions import ExtensionArray

from collector.disk.files import write_whole
from collector.evaluation.fast.dump import MARK, Once, content_of
from collector.evaluation.prepared import Frames
from collector.generation import Generation
from collector.status import findings
from collector.workers.exchange import Job, Json

_STATUSES = {"SUCCESS": "passed", "FAIL": "failed", "WARNING": "warning", "ERROR": "error", "SKIPPED": "skipped"}


class _Encoder(NumpyEncoder):  # type: ignore[misc]  # Evidently ships no types
    """Evidently's encoder, extended to models, and to pandas 3's arrays of texts, times and nullable values."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.texts: dict[str, str] = {}

    def default(self, o: Any) -> Any:
        if isinstance(o, Once):
            self.texts[o.mark] = o.text(_written)
            return o.mark
        if isinstance(o, BaseModel):
            return content_of(o)
        return o.tolist() if isinstance(o, ExtensionArray) else super().default(o)


class _Outline(_Encoder):
    """The same without widgets, and with only two of many like numbers: enough to see whether Evidently can load it.

    Widgets are four fifths of a file, and Evidently loads them unchecked; numbers of one type can be loaded all or not
    at all.
    """

    def default(self, o: Any) -> Any:
        if isinstance(o, Once):
            return None
        content = super().default(o[:2] if _has_like_numbers(o) else o)
        return {**content, "params": {}} if isinstance(o, BaseWidgetInfo) else content


def _has_like_numbers(values: Any) -> bool:
    if not isinstance(values, pd.DataFrame | pd.Series | np.ndarray) or not values.ndim:
        return False
    kinds = values.dtypes if isinstance(values, pd.DataFrame) else [values.dtype]
    return all(isinstance(kind, np.dtype) and kind.kind in "iuf" for kind in kinds)


def encode(body: Json) -> bytes:
    """Return the file of a body. NaN and infinities are spelt as Evidently's own client spells them."""
    return _written(body).encode()


def _written(value: Any) -> str:
    encoder = _Encoder()
    text: str = encoder.encode(value)
    return MARK.sub(lambda found: encoder.texts[found[1]], text) if encoder.texts else text


def outline(body: Json) -> bytes:
    """Return as much of a body's file as it takes to tell whether Evidently can load it again."""
    return json.dumps(body, cls=_Outline).encode()


def refuse_unloadable(encoded: bytes, generation: Generation) -> None:
    """Raise ValueError for a snapshot that Evidently couldn't load again: its UI would then show no project at all."""
    kind = SnapshotModel if generation == "modern" else LegacySnapshot
    try:
        kind.parse_obj(json.loads(encoded))
    except (ValidationError, ValueError, TypeError, RecursionError, LookupError) as error:
        why = " ".join(str(error).split())[:300]
        raise ValueError(f"Evidently can't load the snapshot of this report again: {why}") from error


def timestamp_of(job: Job) -> datetime:
    """Return the end of the batch's window, as naive UTC.

    Evidently's services sort snapshots by their times, and Python can't compare a naive time (what Evidently itself
    makes) with a zoned one: a single zoned snapshot among naive ones breaks a project's dashboard.
    """
    return datetime.fromisoformat(job["sealed"]).astimezone(UTC).replace(tzinfo=None)


def metadata_of(job: Job, own: Json, frames: Frames) -> Json:
    """Return the report's own metadata and where the batch came from, as texts: services filter by those."""
    window = {"window_start": job["opened"], "window_end": job["sealed"]}
    drawn = frames.sample
    sample = {} if drawn is None else {"sampled_rows": str(drawn.rows), "sample_seed": str(drawn.seed)}
    origin = {
        "collector": job["collector"],
        "report": job.get("report", "main"),
        "batch_id": job["batch_id"],
        "rows": str(frames.rows),
    }
    if labels := job.get("labels"):
        names = ("rows", "labelled_rows", "closed_by")
        origin |= {name: str(told) for name, told in labels.items() if name in names}
    matched = {} if frames.matched_rows is None else {"matched_rows": str(frames.matched_rows)}
    # A service that filters by metadata takes every snapshot that matches. So the whole is marked too, by an empty
    # segment.
    return {**own, **origin, "segment": job.get("segment", ""), **matched, **sample, **window}


def tell_apart(body: Json, outcome: Mapping[str, Any]) -> None:
    """Give a snapshot the tags and metadata by which people tell it from others in a list."""
    body["tags"] = list(dict.fromkeys([*body["tags"], *findings.tags_of(outcome)]))
    body["metadata"] = body["metadata"] | findings.metadata_of(outcome)


def count_tests(statuses: Iterable[Any]) -> dict[str, int]:
    """Count test results by what became of them; nothing if there were no tests."""
    counts = Counter(_STATUSES[getattr(status, "value", status)] for status in statuses)
    return {name: counts[name] for name in _STATUSES.values()} if counts else {}


def strip_widgets(path: str) -> int:
    """Take the pictures out of a modern snapshot's file and keep every value: it shrinks to a few kB.

    Returns the file's new checksum.
    Raises ValueError for a legacy one, whose pictures are drawn from its values when it is shown.
    """
    body = json.loads(Path(path).read_bytes())
    if "suite" in body:
        raise ValueError("a legacy snapshot has no widgets to leave out: they are drawn from its values")
    for result in body["metric_results"].values():
        _strip(result)
    return _rewrite(path, SnapshotModel.parse_obj({**body, "widgets": [], "tests_widgets": []}).dict())


def link_datasets(path: str, ids: dict[str, str]) -> int:
    """Enter uploaded datasets ("current", "reference" to the ids they got) into a legacy snapshot's file.

    Returns the file's new checksum.
    """
    body = json.loads(Path(path).read_bytes())
    body["links"]["datasets"]["output"].update(ids)
    return _rewrite(path, body)


def _rewrite(path: str, body: Json) -> int:
    encoded = encode(body)
    write_whole(Path(path), encoded)
    return zlib.crc32(encoded)


def _strip(result: Any) -> None:
    """Empty ``widget`` in a result and in the results inside it."""
    if isinstance(result, dict):
        if "widget" in result and "display_name" in result:
            result["widget"] = []
        for inner in result.values():
            _strip(inner)

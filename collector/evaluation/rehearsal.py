"""Rehearsing a report over its own reference, before any batch has come: what fails there fails with each batch."""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from evidently.legacy.features.openai_feature import OpenAIFeature
from evidently.legacy.pipeline.column_mapping import ColumnMapping

from collector.evaluation.fitting import MAPPED, ROLES, TYPES, named_by_keys
from collector.evaluation.uncomputed import NotComputedError, Uncomputed, told_of
from collector.formats.private import Private, apply
from collector.workers.exchange import Job, Rehearsal

# Rows of a reference over which a report is tried: enough to show what fails, and computed in a second or two.
ROWS = 5_000
_ASKS = "it asks a provider of language models, which isn't done here"
# The function that connects to a provider, in every module of Evidently that imports it by name.
_CONNECT = "get_llm_wrapper"


@contextmanager
def staged(job: Job) -> Iterator[Job]:
    """Have a job take a sample of its reference for the batch and for the reference; no provider is asked meanwhile."""
    with tempfile.TemporaryDirectory() as directory, _asking_nobody():
        sample = str(Path(directory) / "reference.parquet")
        _write_sample(str(job["reference"]), sample, job.get("private"))
        on_sample: Job = {**job, "parts": [sample], "reference": sample}
        yield {
            **on_sample,
            "cache_reference": False,
            "sample": None,
            "where": {},
            "segments": None,
            "save_datasets": False,
        }


def verdict_of(failures: Sequence[Uncomputed], columns: Sequence[str], job: Job) -> Rehearsal:
    """Return what failed, which names in the config no column has, and what was left out because it asks a provider.

    Where something was left out, columns that the reference doesn't have may be those that it would have made.
    """
    left_out = [one for one in failures if _ASKS in one.reason]
    failed = [one for one in failures if one not in left_out and not (left_out and _lacks(one, columns))]
    titles = sorted({one.title for one in left_out})
    return {
        "failed": [*map(of_reference, told_of(map(str, failed))), *_unknown_names(job, columns)],
        "left_out": [f"{title} was not tried, as it asks a provider" for title in titles],
    }


def of_reference(sentence: str) -> str:
    """Turn a sentence on the batch into one on the reference, which stood in its place."""
    return sentence.replace("the batch", "the reference")


def _unknown_names(job: Job, columns: Sequence[str]) -> Iterator[str]:
    """Yield a message for each column that doesn't exist, and whose name Evidently would ignore without a word."""
    for field, names in (("data_definition", (*TYPES, *ROLES)), ("column_mapping", MAPPED)):
        said = job[field] or {}  # type: ignore[literal-required]  # mypy knows no names out of a tuple
        for name in names:
            told = said.get(name) or []
            if field == "column_mapping" and told == getattr(ColumnMapping(), name):
                continue  # a mapping that says nothing of this role is dumped so
            for column in [told] if isinstance(told, str) else told:
                if column not in columns and not name.endswith("descriptors"):
                    yield f"the reference has no column {column!r}, which {field}.{name} names"
    config = job["report_config"]
    if config.get("descriptors") or (job["column_mapping"] or {}).get("text_features"):
        return  # descriptors and text features make columns of their own
    for name, column in _of_columns(config):
        if column not in columns:
            yield f"the reference has no column {column!r}, which {name} names"


def _of_columns(config: Any) -> Iterator[tuple[str, str]]:
    """Yield the columns that a config names by keys, as in {"per_column_method": {"age": "psi"}}."""
    for key, item in config.items() if isinstance(config, dict) else enumerate(config):
        if columns := named_by_keys(key, item):
            yield from ((str(key), column) for column in columns)
        elif isinstance(item, dict | list):
            yield from _of_columns(item)


def _lacks(failure: Uncomputed, columns: Sequence[str]) -> bool:
    return "has no column" in failure.reason and failure.column not in columns


def _write_sample(path: str, target: str, private: Private | None) -> None:
    """Write a sample of a parquet file's rows, in their order; only a piece of the file is in memory at a time."""
    with pq.ParquetFile(path) as file:
        rows = file.metadata.num_rows
        chosen = np.sort(np.random.default_rng(0).choice(rows, min(rows, ROWS), replace=False))
        pieces, first = [], 0
        for batch in file.iter_batches():
            here = chosen[(chosen >= first) & (chosen < first + batch.num_rows)]
            pieces.append(batch.take(pa.array(here - first)))
            first += batch.num_rows
        pq.write_table(apply(pa.Table.from_batches(pieces, file.schema_arrow), private), target)


@contextmanager
def _asking_nobody() -> Iterator[None]:
    of_evidently = [module for name, module in sys.modules.items() if name.startswith("evidently.")]
    asking = [(module, _CONNECT) for module in of_evidently if hasattr(module, _CONNECT)]
    asking.append((OpenAIFeature, "generate_feature"))  # it makes its own client
    with ExitStack() as stack:
        for owner, name in asking:
            stack.enter_context(patch.object(owner, name, _refuse))
        yield


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise NotComputedError(_ASKS)

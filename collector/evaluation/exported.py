"""Exported values: the numbers of a report that a collector's config asks for, as series in /metrics.

A series is for ever, so that a client must not make one: columns are the reference's, or named in the config.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from collector.workers.exchange import Export, Value

MAX_SERIES = 200
MAX_LABEL = 100


def exported(values: Sequence[Value], export: Export, reference: Iterable[str], config: Any) -> list[Value]:
    """Return the values that are asked for, each under a name of its own; ``config`` is all that names columns."""
    if not export:
        return []
    known = {"", *reference, *_texts([config, export])}
    asked = [one for one in values if one["column"] in known and (export == "all" or _is_asked(one, export))]
    named = {(one["metric"], one["column"][:MAX_LABEL], one["label"][:MAX_LABEL]): one["value"] for one in asked}
    return [
        {"metric": metric, "column": column, "label": label, "value": value}
        for (metric, column, label), value in list(named.items())[:MAX_SERIES]
    ]


def _is_asked(value: Value, export: Sequence[str | Mapping[Any, str]]) -> bool:
    told = {"type": value["metric"], "column": value["column"], "label": value["label"]}
    asked = ({"type": one} if isinstance(one, str) else one for one in export)
    return any(all(told[name] == wanted for name, wanted in one.items()) for one in asked)


def _texts(config: Any) -> Iterator[str]:
    """Yield each text in a config, and each key."""
    if isinstance(config, str):
        yield config
    elif isinstance(config, dict):
        for key, inner in config.items():
            yield str(key)
            yield from _texts(inner)
    elif isinstance(config, list):
        for inner in config:
            yield from _texts(inner)

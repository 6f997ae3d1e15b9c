"""Streams: names for a collector's bodies in the journal: its events have its id, its labels "ID/labels".

No id has a "/" in it.
"""

from __future__ import annotations

from collector.config.labels import LABELS

_ENDING = f"/{LABELS}"


def labels_of(collector: str) -> str:
    """Return the stream of a collector's labels."""
    return f"{collector}{_ENDING}"


def is_labels(stream: str) -> bool:
    """Tell whether a stream is one of labels."""
    return stream.endswith(_ENDING)


def collector_of(stream: str) -> str:
    """Return whose stream it is."""
    return stream.removesuffix(_ENDING)

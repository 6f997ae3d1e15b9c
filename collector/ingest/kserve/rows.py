"""Rows: what became of a request, of a response and of feedback, as the journal keeps it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from collector.config.senders import REQUEST_ID
from collector.errors import BadBody, BodyTooLarge, NoLabels
from collector.formats.frames import check_frame
from collector.formats.json_body import are_finite, length
from collector.formats.private import private_columns
from collector.ingest.kserve.payloads import columns_of
from collector.store.records import Logged
from collector.store.streams import labels_of

if TYPE_CHECKING:
    from collector.config import CollectorConfig
    from collector.config.senders import KServe
    from collector.formats.bounds import Bounds
    from collector.formats.json_body import Columns
    from collector.formats.private import Private
    from collector.ingest.kserve.events import Event

# The beginning of a key of ours: no client's Idempotency-Key can begin so.
_MARK = "\n"
_REWARD = "reward"


@dataclass(frozen=True, slots=True)
class Reading:
    """How a collector's events are read; ``private`` is what is done to its columns."""

    config: CollectorConfig
    kserve: KServe
    bounds: Bounds
    private: Private | None

    def read(self, event: Event) -> Logged | None:
        """Return what is kept of an event; None if the config leaves it out.

        Raises BadBody, saying what can't be read; BodyTooLarge; NoLabels for feedback that nobody waits for.
        """
        if event.kind == "feedback":
            return self._labels(event)
        if self.kserve.pair not in {"all", event.kind}:
            return None
        wanted = self.kserve.features if event.kind == "request" else self.kserve.prediction
        columns = columns_of(event.payload, event.kind, wanted, self.bounds)
        if self.kserve.pair == "all" and event.kind == "response":
            return self._half(event, columns)
        columns = self._with_id(event, columns)
        return self._whole(event, columns) if self.kserve.pair != "all" else self._half(event, columns)

    def _with_id(self, event: Event, columns: Columns) -> Columns:
        rows, column = length(columns), self.config.timestamp_column
        if REQUEST_ID in columns:
            raise BadBody(
                f"the {event.kind} has a column '{REQUEST_ID}', where the collector puts the request's id; list "
                "the other columns in the config's input.kserve.features"
            )
        if rows * (len(event.request) + len(event.time)) > self.bounds.max_bytes:
            raise BodyTooLarge(f"{rows} rows with an id of {len(event.request)} characters in each are too many bytes")
        columns = {REQUEST_ID: [event.request] * rows, **columns}
        if column is not None and event.time and column not in columns:
            columns[column] = [event.time] * rows
        return columns

    def _half(self, event: Event, columns: Columns) -> Logged:
        pair = json.dumps([event.request, event.model])
        kept = self._kept(columns)
        key = f"{_MARK}{event.kind} {pair}"
        return Logged(self.config.id, key, *kept, pair=pair, is_request=event.kind == "request")

    def _whole(self, event: Event, columns: Columns) -> Logged:
        key = f"{_MARK}{event.kind} {json.dumps([event.request, event.model])}"
        return Logged(self.config.id, key, *self._kept(columns))

    def _labels(self, event: Event) -> Logged:
        """Read feedback: the truth, and the reward if the labels have a column for it."""
        labels = self.config.labels
        if labels is None:
            raise NoLabels(self.config.id)
        if labels.key != REQUEST_ID:
            raise BadBody(
                f"feedback has only the id of its request, but labels.key is '{labels.key}'; set it to '{REQUEST_ID}'"
            )
        feedback: Any = event.payload[0] if isinstance(event.payload[0], dict) else {}
        columns: Columns = {}
        if feedback.get("truth"):
            columns = columns_of((feedback["truth"], None), "truth", None, self.bounds)
            if set(columns).isdisjoint(labels.columns) and len(columns) <= len(labels.columns):
                columns = dict(zip(labels.columns, columns.values(), strict=False))
        if _REWARD in labels.columns and feedback.get(_REWARD) is not None:
            columns.setdefault(_REWARD, [feedback[_REWARD]])
        columns = {name: values for name, values in columns.items() if name in labels.columns}
        if length(columns) != 1:
            raise BadBody(
                f"the feedback has {length(columns)} rows of the labels ({', '.join(labels.columns)}); it needs one, "
                "in 'truth' or 'reward'"
            )
        kept = self._kept({REQUEST_ID: [event.request], **columns})
        return Logged(labels_of(self.config.id), f"{_MARK}feedback {event.id}", *kept)

    def _kept(self, columns: Columns) -> tuple[bytes, int, tuple[str, ...]]:
        """Return columns as JSON without private ones, the number of their rows, and their names."""
        if self.private is not None:
            columns = private_columns(columns, self.private)
        try:
            body = orjson.dumps(columns) if are_finite(columns) else json.dumps(columns).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise BadBody(f"a value in it can't be kept: {error}") from error
        self.bounds.check_bytes(len(body))
        frame = check_frame("json", body, self.bounds)  # raises for what couldn't be read again
        return body, frame.rows, tuple(columns)

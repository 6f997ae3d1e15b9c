"""Labels come in as events do, into a stream of their own: each row needs its key, and one of the columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.errors import BadBody, BufferFull, NoLabels
from collector.ingest.intake import Intake, Pending
from collector.store.streams import labels_of

if TYPE_CHECKING:
    from collector.config.labels import Labels
    from collector.errors import CollectorError
    from collector.formats.frames import Frame


class LabelsIntake(Intake):
    """Takes frames of labels in."""

    def gateway(self, collector_id: str) -> None:
        """Return nothing: labels are kept here, and one whose events are fetched takes none."""

    def admit(self, collector_id: str) -> None:
        """Raise UnknownCollector, NoLabels if it takes none, or BufferFull while too many wait already."""
        self._labels(collector_id)
        limit = self.limits.max_labels_bytes
        if self._journal.labels.kept_bytes(collector_id) >= limit:
            raise BufferFull(
                f"the collector's labels, and the events that wait for theirs, take the {limit} bytes of "
                "limits.max_labels_bytes; nothing was kept, try again later, or raise that limit"
            )

    def key_of(self, collector_id: str) -> str:
        """Name the column that each row needs a key in."""
        return self._labels(collector_id).key

    def order(self, collector_id: str, frame: Frame, key: str = "") -> Pending:
        """Order that a frame be kept, once if it comes again with its key, and don't wait for it.

        Raises UnknownCollector or NoLabels: its config may be another by now; BadBody if it has no label in any column.
        """
        columns = self._labels(collector_id).columns
        if frame.rows and set(columns).isdisjoint(frame.names):
            named = ", ".join(f"'{name}'" for name in columns)
            raise BadBody(f"the body has none of the columns of the collector's labels: {named}")
        frame.names = ()
        return self._order(labels_of(collector_id), frame, key)

    def count_refusal(self, collector_id: str, error: CollectorError) -> None:
        """Count labels that were refused."""
        is_known = collector_id in self._supervisor.config.collectors
        super().count_refusal(labels_of(collector_id) if is_known else collector_id, error)

    def _labels(self, collector_id: str) -> Labels:
        found = self._supervisor.pipeline(collector_id).config.labels
        if found is None:
            raise NoLabels(collector_id)
        return found

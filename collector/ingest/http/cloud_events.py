"""CloudEvents: how a request is known to carry some, before anything is loaded that reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collector.errors import BadBody

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Mapping

    from collector.ingest.http.head import Head
    from collector.ingest.http.problems import Answer
    from collector.ingest.http.receiving import Receiving

ONE, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
_FAMILY = "application/cloudevents"
PREFIX = "ce-"
# A request whose event is in its headers has at least one of these (CloudEvents' binding to HTTP, 3.1.3.1).
HEADERS = frozenset({"ce-id", "ce-source", "ce-specversion", "ce-type"})
_NOT_TAKEN = (
    "this is a CloudEvent, and '{}' takes none; to make events of the requests and responses that KServe or Seldon "
    'logs, write "input": {{"kserve": {{}}}} into its config; to send other events, send their rows as they are, '
    "without Ce- headers; nothing was kept"
)


def is_cloud_event(headers: Mapping[str, str]) -> bool:
    """Tell whether a request carries CloudEvents; the names of its headers are in small letters."""
    return not HEADERS.isdisjoint(headers) or media_type_of(headers).startswith(_FAMILY)


def media_type_of(headers: Mapping[str, str]) -> str:
    """Return the media type of a request's body."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


async def receive_cloud_events(  # noqa: PLR0913  (who receives, and a request)
    events: Receiving,
    labels: Receiving,
    collector_id: str,
    headers: Mapping[str, str],
    head: Head,
    chunks: AsyncIterable[bytes],
) -> Answer:
    """Keep the events of a request, if the collector takes such; answer once they are durable."""
    events.intake.admit(collector_id)
    config = events.intake.config(collector_id)
    if config.input is None:
        raise BadBody(_NOT_TAKEN.format(collector_id))
    from collector.ingest.kserve.receiving import receive_logged  # most services never need this import

    return await receive_logged(events, labels, config, config.input.kserve, headers, head, chunks)


def refuse_as_config(collector_id: str, headers: Mapping[str, str]) -> None:
    """Raise BadBody if a request that should bring a config brings a CloudEvent, saying where those go."""
    if is_cloud_event(headers):
        raise BadBody(f"this is a CloudEvent, and no config: send it to /{collector_id}/data; nothing was changed")

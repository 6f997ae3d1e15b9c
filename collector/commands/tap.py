"""``tap``: a collector's events as they come, as lines of JSON."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from collector.commands.remote import as_collectors_answer

if TYPE_CHECKING:
    from collector.client import CollectorClient

POLL_SECONDS = 0.5


def tap(client: CollectorClient, collector_id: str, rows: int, output: IO[str]) -> None:
    """Print a few events of each moment until Ctrl-C."""
    with suppress(KeyboardInterrupt, BrokenPipeError), as_collectors_answer():
        found = client.tap(collector_id)
        while True:
            found = client.tap(collector_id, found["next"], rows)
            output.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in found["rows"])
            output.flush()
            time.sleep(POLL_SECONDS)

"""``logs``: what became of a collector's batches, as a table that can go on with new ones."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from collector.commands.outlook import outlook
from collector.commands.remote import as_collectors_answer, choose_collector
from collector.status.findings import REPORT_FAILED, SNAPSHOT_FAILED, said_of, trend_words
from collector.wording import short_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

    from collector.client import CollectorClient

    Entry = dict[str, Any]

POLL_SECONDS = 1.0
_DID = {
    ("CreateReport", True): "evaluated",
    ("CreateReport", False): "failed",
    ("CheckReport", False): "warned",
    ("UploadReport", True): "delivered",
    ("UploadReport", False): "undelivered",
    ("MakeDashboard", False): "not shown",
    ("SkipEvents", False): "skipped",
    ("JoinLabels", False): "unlabelled",
}
_HEAD = f"{'time':<14}  {'batch':<9}  {'rows':>9}  {'':<11}  outcome"
_GAP = "… entries may be missing here: the service keeps the last few only (storage.max_log_events in its config)"


def show_logs(
    client: CollectorClient, collector_id: str, console: Console, *, is_followed: bool, is_json: bool
) -> None:
    """Print what became of the last batches, oldest first; and go on until Ctrl-C, if it is to be followed."""
    view = _JsonLines(console) if is_json else _Lines(console)
    with suppress(KeyboardInterrupt):
        for look, (entries, is_gap) in enumerate(_news(client, collector_id, is_followed=is_followed)):
            if is_gap:
                view.write_gap()
            with as_collectors_answer():
                view.write(entries)
            if not entries and not look:
                status = client.status()
                view.write_nothing(outlook(status, choose_collector(status, collector_id)))


def _news(client: CollectorClient, collector_id: str, *, is_followed: bool) -> Iterator[tuple[list[Entry], bool]]:
    """Return the new entries, oldest first, and whether others have come and gone unseen before them."""
    known: list[Entry] = []
    while True:
        entries = client.get_logs(collector_id)[::-1]
        new = [entry for entry in entries if entry not in known]
        yield new, bool(known) and len(new) == len(entries)
        if not is_followed:
            return
        known = entries
        time.sleep(POLL_SECONDS)


class _JsonLines:
    """Writes each entry as a line of JSON."""

    def __init__(self, console: Console) -> None:
        self._file = console.file

    def write_gap(self) -> None:
        """Write nothing: a program that reads JSON wants entries only."""

    def write_nothing(self, outlook: list[str]) -> None:
        """Write nothing."""

    def write(self, entries: list[Entry]) -> None:
        """Write entries."""
        self._file.writelines(json.dumps(entry) + "\n" for entry in entries)
        self._file.flush()


class _Lines:
    """Writes each entry as a line of a table, with its notes below unless the entry before had the same."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._notes: list[str] = []
        self._print(Text(_HEAD, style="dim"))

    def write_gap(self) -> None:
        """Say that entries may have come and gone."""
        self._print(Text(_GAP, style="magenta"))

    def write_nothing(self, outlook: list[str]) -> None:
        """Say that there are no entries, and what comes next."""
        for sentence in ["no batch was evaluated yet", *outlook]:
            self._print(Text(sentence))

    def write(self, entries: list[Entry]) -> None:
        """Write entries, and their notes."""
        for entry in entries:
            self._print(line_of(entry))
            if (notes := entry.get("notes", self._notes)) != self._notes:
                self._notes = notes
                for note in notes:
                    self._print(Text(f"{'':<14}  {note}", style="dim"))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


def line_of(entry: Entry) -> Text:
    """Make the line of an entry: when, which batch, how many rows, what was done, and what came of it."""
    is_good = entry["ok"]
    when = datetime.fromisoformat(entry["time"]).astimezone()
    batch = short_id(entry["batch_id"]) if entry.get("batch_id") else ""
    did = _DID.get((entry["type"], is_good), entry["type"])
    return Text.assemble(
        (f"{when:%m-%d %H:%M:%S}  ", "dim"),
        f"{batch:<9}  {entry.get('rows', 0):>9,}  ",
        (f"{did:<11}  ", "" if is_good else "bold red"),
        ", ".join(_outcome(entry)),
    )


def _outcome(entry: Entry) -> Iterable[str]:
    if entry["error"]:
        yield entry["error"].removeprefix(REPORT_FAILED).removeprefix(SNAPSHOT_FAILED)
    if entry["type"] != "CreateReport":  # the entry of the evaluation has told the rest
        return
    yield from said_of(entry)
    if trend := trend_words(entry.get("trend", ""), entry.get("trend_over", 0)):
        yield trend

"""What a collector does next: which rows wait for what, and what to type instead of waiting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from collector.commands.remote import as_collectors_answer
from collector.wording import counted, lasting


def outlook(status: dict[str, Any], collector: dict[str, Any]) -> list[str]:
    """Return a sentence on the batches that are being made, and one on the rows that no batch has yet."""
    with as_collectors_answer():
        return list(_sentences(collector, float(status["time"])))


def what_goes(collector: dict[str, Any]) -> str:
    """Say which events and batches would go with a collector."""
    with as_collectors_answer():
        going = [(collector["rows_waiting"], "waiting row"), (collector["sealed"], "sealed batch")]
        going += [(collector["outbox"], "undelivered snapshot"), (collector["failed"], "failed batch")]
    return ", ".join(counted(count, noun) for count, noun in going if count)


def _sentences(collector: dict[str, Any], now: float) -> Iterator[str]:
    if batches := collector["sealed"]:
        loads = "" if collector["snapshots"] else "; before the first, Evidently loads for some seconds"
        yield f"{counted(batches, 'batch')} being evaluated{loads}"
    rows, needed = collector["rows_waiting"], collector["rows_needed"]
    if needed and rows >= needed:
        yield f"{counted(rows, 'row')} {'is' if rows == 1 else 'are'} about to become a batch, or several"
    elif rows:
        yield f"{counted(rows, 'row')} {'waits' if rows == 1 else 'wait'}{_for_what(collector, now)}"
        yield f"'evidently-collector flush {collector['id']}' makes a batch of them now"


def _for_what(collector: dict[str, Any], now: float) -> str:
    """Say what the trigger waits for: more rows, a time, or both."""
    needed, due = collector["rows_needed"], collector["next_time"]
    awaited = [f"for {needed - collector['rows_waiting']:,} more"] if needed else []
    if due is not None:
        awaited.append(f"for the next batch, in {lasting(due - now)}" if due > now else "for a batch that is due")
    return f" {' or '.join(awaited)}" if awaited else ""

"""Clients: what a service pays to send its events, by our client and by the original's."""

from __future__ import annotations

from pathlib import Path

from collector.client import CollectorClient

from . import events, limits
from .bench import Bench
from .figures import Row, at_least, at_most
from .processes import Talking
from .services import Ours, Service

ROWS = 10_000
EVENTS = 500_000
_BURST = 50_000  # fewer than a buffer holds, so that none waits for room


def measure(bench: Bench) -> None:
    ours, original = bench.both()
    directory = bench.new_directory("clients")
    events.frame(ROWS).to_parquet(directory / "current.parquet")
    clients = [_start_client(bench, directory, service) for service in (ours, original)]
    row = Row("clients", "send_data, 10 000 x 20", "rows/s", at_least(20, "original"),
              "making the Arrow stream and appending it to a file")  # fmt: skip
    for _ in bench.each_round(row):
        mine = ROWS / clients[0].ask(do="time", times=20)
        theirs = ROWS / clients[1].ask(do="time", times=2)
        made = limits.seconds_each(lambda: events.arrow_body.__wrapped__(ROWS))
        row.add(mine, theirs, ROWS / (made + limits.appending(events.arrow_body(ROWS), bench.directory)))
        for service in (ours, original):
            service.reset()
    if hasattr(CollectorClient, "buffered"):
        _measure_buffered(bench, ours, clients[0])
    else:
        bench.console.print("[yellow]clients: CollectorClient has no buffered(), so it isn't measured")


def _start_client(bench: Bench, directory: Path, service: Service) -> Talking:
    script = str(Path(__file__).with_name("warm.py"))
    client = bench.start(Talking([script], directory, f"{service.name}.log", talks=True))
    client.ask(do="send_data", arguments=[service.name, str(service.http.base_url), "current.parquet"])
    return client


def _measure_buffered(bench: Bench, ours: Ours, client: Talking) -> None:
    each = Row("clients", "buffered, a call", "s", at_most(10e-6))
    rate = Row("clients", "buffered, end to end", "events/s", at_least(100_000))
    events_sent = EVENTS // 5 if bench.is_quick else EVENTS
    for _ in bench.each_round(each, rate):
        call, _ = _send_buffered(ours, client, _BURST)
        _, taken = _send_buffered(ours, client, events_sent)
        each.add(call)
        rate.add(events_sent / taken)


def _send_buffered(ours: Ours, client: Talking, count: int) -> tuple[float, float]:
    call, taken = client.ask(do="buffered", arguments=[str(ours.http.base_url), "current.parquet", count])
    ours.reset()
    return call, taken

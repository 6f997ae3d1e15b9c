"""Topics: what a service takes for each row that it reads from Kafka into its journal, and how long a takeover is."""

from __future__ import annotations

from .bench import Bench
from .figures import Row, at_most, spaced
from .processes import run_script

_LIMIT = "consume(500) alone, in the same process before"
_NOTE = "from mock brokers on the same two processors, which produce beside it"
_SESSION = 3.5


def measure(bench: Bench) -> None:
    rows = 40_000 if bench.is_quick else 200_000
    kinds = (
        ("rows", "a message a row", 8.6e-6),
        ("lists", "lists of 500 rows", 6e-6),
        ("arrow", "Arrow tables of 500 rows, which a worker process checks beside it", 6e-6),
    )
    for kind, told, most in kinds:
        used = Row("kafka", f"{told}, processor time for each row", "s", at_most(most), _LIMIT, _NOTE)
        speed = Row("kafka", told, "rows/s")
        for _ in bench.each_round(used, speed):
            found = run_script("read_topics.py", bench.new_directory("kafka"), kind, rows)
            used.add(found["cpu"], limit=found["cpu_of_consume"])
            speed.add(found["speed"])
    name = f"kill -9 of one of two services with {spaced(rows)} open rows"
    work = Row(
        "takeover", f"{name}, until all is at work at the other, beyond the session's {_SESSION} s", "s", at_most(1.0)
    )
    read = Row("takeover", f"{name}, until all are read again", "s", note="on Apache Kafka, one broker")
    for _ in bench.each_round(work, read):
        found = run_script("read_topics.py", bench.new_directory("kafka"), "takeover", rows, _SESSION)
        work.add(found["at_work"] - _SESSION)
        read.add(found["read"] - _SESSION)

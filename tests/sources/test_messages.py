from dataclasses import dataclass, field
from itertools import repeat

import pytest

from collector.formats.bounds import NO_BOUNDS, Bounds
from collector.formats.frames import check_frame
from collector.sources.messages import check_messages

NOW = 2000.0


@dataclass
class FakeMessage:
    data: bytes | None
    number: int = 0
    sent: int = 1_000_000
    more: list = field(default_factory=list)

    def topic(self):
        return "t"

    def partition(self):
        return 3

    def offset(self):
        return self.number

    def timestamp(self):
        return 1, self.sent

    def value(self):
        return self.data


def checked(*values, value_format="json", bounds=NO_BOUNDS):
    return check_messages([FakeMessage(value, 10 + n) for n, value in enumerate(values)], value_format, bounds, NOW)


def bodies(run, *sizes, value_format="json"):
    return [
        (one.first, one.frame.rows, one.frame.body) for one in run.frames(value_format, iter([*sizes, *[9e9] * 99]))
    ]


def test_objects_and_lists_of_objects_become_rows():
    run = checked(b'{"a": 1}', b' [{"a": 2}, {"b": 3}] ', b"[]", b"{}")
    assert bodies(run) == [(10, 3, b'[{"a": 1},{"a": 2}, {"b": 3}]')]
    assert (run.rows, run.next, run.names, run.rejected) == (3, 14, {"a", "b"}, [])
    assert check_frame("json", bodies(run)[0][2]).rows == 3


def test_frames_end_where_a_batch_does():
    run = checked(*[b'{"a":1}'] * 7)
    assert [(first, rows) for first, rows, _ in bodies(run, 2, 3)] == [(10, 2), (12, 3), (15, 2)]


def test_a_message_of_several_rows_is_never_parted():
    run = checked(b'[{"a":1},{"a":2}]', b'[{"a":3},{"a":4}]')
    assert [(first, rows) for first, rows, _ in bodies(run, 1)] == [(10, 2), (11, 2)]


def test_lines_become_rows():
    run = checked(b'{"a": 1}\n{"a": 2}\n', b'{"b": 3}', value_format="ndjson")
    assert bodies(run, value_format="ndjson") == [(10, 3, b'{"a": 1}\n{"a": 2}\n{"b": 3}')]
    assert run.names == {"a", "b"}


@pytest.mark.parametrize(
    "values",
    [
        (b'{"a": 1', b'"b": 2}'),
        (b'{"a": 1},{"b": 2}', b'{"c": 3', b'"d": 4}'),  # as many rows as messages, if they were joined
        (b"[", b"]"),
        (b"7", b"null"),
    ],
)
def test_each_message_is_sound_by_itself_or_none(values):
    run = checked(*values, b'{"z": 1}')
    assert [(first, body) for first, _, body in bodies(run)] == [(10 + len(values), b'[{"z": 1}]')]
    assert [one.message.number for one in run.rejected] == list(range(10, 10 + len(values)))
    assert run.next == 11 + len(values)


def test_numbers_that_json_has_not_are_taken_as_python_writes_them():
    run = checked(b'{"a": NaN}', b'[{"a": -Infinity}]')
    assert (run.rows, run.rejected) == (2, [])


def test_a_message_over_a_limit_is_named_and_the_others_are_taken():
    wide = b'{"a": 1, "b": 2, "c": 3}'
    run = checked(b'{"a": 1}', wide, b'{"b": 1}', bounds=Bounds(max_columns=2))
    assert [body for *_, body in bodies(run)] == [b'[{"a": 1},{"b": 1}]']
    assert [(one.message.number, one.reason) for one in run.rejected] == [(11, "too_large")]


def test_a_message_whose_value_is_gone_is_passed_over():
    run = checked(None, b'{"a": 1}', None)
    assert (run.rows, run.tombstones, run.next) == (1, 2, 13)


@pytest.mark.parametrize(("sent", "received"), [(1_000_000, 1000.0), (9_000_000, NOW), (0, NOW), (-1, NOW)])
def test_rows_came_when_they_were_sent_unless_the_senders_clock_is_ahead(sent, received):
    assert check_messages([FakeMessage(b'{"a":1}', sent=sent)], "json", NO_BOUNDS, NOW).received == received


def test_what_comes_after_an_end_is_left_out():
    run = checked(b'{"a":1}', b"bad", b'{"a":3}', b"bad")
    run.until(12)
    assert ([piece[0] for piece in run.pieces], [one.message.number for one in run.rejected]) == ([10], [11])
    assert run.next == 12
    assert next(run.frames("json", repeat(9e9))).first == 10

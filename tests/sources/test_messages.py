import json
from dataclasses import dataclass, field
from itertools import repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.formats import json_body, json_columns
from collector.formats.bounds import NO_BOUNDS, Bounds
from collector.formats.frames import check_frame, decode_frames
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
    run = checked(b'{"a": 1}', b' [{"a": 2}, {"b": 3}] ', b"[]")
    assert bodies(run) == [(10, 3, b'[{"a": 1},{"a": 2}, {"b": 3}]')]
    assert (run.rows, run.next, run.names, run.rejected) == (3, 13, {"a", "b"}, [])
    assert check_frame("json", bodies(run)[0][2]).rows == 3


@pytest.mark.parametrize("value_format", ["json", "ndjson", "arrow"])
def test_of_values_that_are_gone_alone_there_is_no_frame(value_format):
    """A compacted topic stopped its collector for good."""
    run = checked(None, None, value_format=value_format)
    assert (bodies(run, value_format=value_format), run.next) == ([], 12)


def test_frames_end_where_a_batch_does():
    run = checked(*[b'{"a":1}'] * 7)
    assert [(first, rows) for first, rows, _ in bodies(run, 2, 3)] == [(10, 2), (12, 3), (15, 2)]


def test_a_message_of_several_rows_is_never_parted():
    run = checked(b'[{"a":1},{"a":2}]', b'[{"a":3},{"a":4}]')
    assert [(first, rows) for first, rows, _ in bodies(run, 1)] == [(10, 2), (11, 2)]


def test_lines_become_rows():
    run = checked(b'{"a": 1}\n{"a": 2}\n', b'{"b": 3}', value_format="ndjson")
    assert bodies(run, value_format="ndjson") == [(10, 3, b'{"a": 1}\n{"a": 2}\n\n{"b": 3}')]
    assert run.names == {"a", "b"}


def test_spaces_around_a_message_are_no_part_of_it():
    run = checked(b' {"a": 1}\n', b'\t[{"a": 2}] ')
    assert bodies(run) == [(10, 2, b'[{"a": 1},{"a": 2}]')]


def test_an_object_without_names_is_no_row():
    run = checked(b"{}", b'{"a": 1}', b"")
    assert [(first, rows) for first, rows, _ in bodies(run)] == [(11, 1)]
    assert (run.next, run.rejected) == (13, [])


@pytest.mark.parametrize(
    ("value_format", "values"),
    [
        ("json", [b"[[1, 2]]", b'{"a": 1}']),  # a list of lists is a table, but not beside an object
        ("json", [b'{"specversion": "1"}', b'{"a": 1}']),
        ("ndjson", [b'[{"a": 1}, {"a": 2}]', b'{"b": 2}']),
        ("ndjson", [b'[{"a": 1}]', b'[{"a": 2}]']),
        ("ndjson", [b'{"a": 1}', b'[{"a": 2}]', b"{}\n{}"]),
        ("json", [b"{%s}" % b",".join(b'"%d-%d": 1' % (row, n) for n in range(20)) for row in range(25)]),
        ("json", [b'{"a": {"b": 1}}', b'{"a": 2}', b'{"a": [3]}']),
        ("json", [b'{"a": "12:30", "b": "\\"c\\":"}', b'[{"a": NaN}]']),
    ],
    ids=["lists", "envelopes", "a list of lines", "two of them", "no names", "no shared column", "nested", "colons"],
)
def test_what_is_sound_alone_is_in_a_frame_that_can_be_read(monkeypatch, value_format, values):
    """Frames that hold what is sound alone, and not together, could be read by nobody: all their rows would be lost."""
    for module in (json_body, json_columns):
        monkeypatch.setattr(module, "MAX_CELLS", 10_000)  # of those that share no column, the table would have more
    run = checked(*values, value_format=value_format)
    table = decode_frames([(value_format, body) for _, _, body in bodies(run, value_format=value_format)])
    assert (table.num_rows, run.rejected) == (run.rows, [])
    alone = [checked(value, value_format=value_format).names for value in values]
    assert set(table.column_names) == run.names == set().union(*alone)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
RECORDS = st.dictionaries(st.sampled_from(["a", "b", ":", "specversion"]), VALUES, max_size=3)


SPACES = st.text(" \n\t\r", max_size=2)


@settings(deadline=None)
@given(
    st.sampled_from(["json", "ndjson"]),
    st.lists(st.tuples(SPACES, RECORDS | st.lists(RECORDS, max_size=3) | VALUES, SPACES), min_size=1, max_size=5),
    st.data(),
)
def test_a_message_is_taken_if_it_is_sound_alone_and_every_frame_of_it_can_be_read(value_format, values, data):
    texts = [bytearray(f"{before}{json.dumps(value)}{after}".encode()) for before, value, after in values]
    for text in data.draw(st.lists(st.sampled_from(texts), max_size=2)):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    run = checked(*map(bytes, texts), value_format=value_format)
    alone = [checked(bytes(text), value_format=value_format) for text in texts]
    assert run.rows == sum(one.rows for one in alone)
    assert len(run.rejected) == sum(len(one.rejected) for one in alone)
    assert run.names == set().union(*(one.names for one in alone))
    frames = bodies(run, *data.draw(st.lists(st.integers(1, 3), max_size=3)), value_format=value_format)
    for _, rows, body in frames:
        assert decode_frames([(value_format, body)]).num_rows == rows
    assert sum(rows for _, rows, _ in frames) == run.rows


@pytest.mark.parametrize(
    ("values", "sound"),
    [
        ([b'{"a": 1', b'"b": 2}'], []),
        ([b'{"a": 1},{"b": 2', b'"c": 3}'], []),
        ([b'{"a": 1},{"b": 2}', b'{"c": "}', b'{", "d": 2}'], []),
        ([b'{"a": 1},', b'{"b": 2}'], [11]),
        ([b'{"a": 1} ', b'{"b": "{"}', b'{"c": "}"}'], [10, 11, 12]),
    ],
)
def test_what_is_sound_beside_others_only_is_rejected(values, sound):
    """The first ones are, together, as many sound objects as there are messages."""
    run = checked(*values)
    assert [offset for offset, *_ in run.pieces] == sound
    assert len(run.rejected) == len(values) - len(sound)


@pytest.mark.parametrize("value", [b'{"a": ' + b"[" * 100_000, b'{"\xff": 1}', b'{"a": "\xff"}', b'{"a": 1e999}'])
def test_a_message_that_means_harm_is_rejected_and_no_more(value):
    run = checked(b'{"a": 1}', value)
    assert ([one.message.number for one in run.rejected], run.rows) == ([11], 1)


def test_what_comes_behind_an_end_is_parted_from_what_comes_before():
    run = checked(b'{"a":1}', b"bad", b'{"a":3}')
    rest = run.until(11)
    assert ([piece[0] for piece in run.pieces], run.next, run.rejected) == ([10], 11, [])
    assert ([piece[0] for piece in rest.pieces], rest.next, len(rest.rejected)) == ([12], 13, 1)
    assert run.until(11) is None


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
    assert [body for *_, body in bodies(run)] == [b'[{"a": 1}]', b'[{"b": 1}]']
    assert [(one.message.number, one.reason) for one in run.rejected] == [(11, "too_large")]


def test_a_message_whose_value_is_gone_is_passed_over():
    run = checked(None, b'{"a": 1}', None)
    assert (run.rows, run.next) == (1, 13)


@pytest.mark.parametrize(("sent", "received"), [(1_000_000, 1000.0), (9_000_000, NOW), (0, NOW), (-1, NOW)])
def test_rows_came_when_they_were_sent_unless_the_senders_clock_is_ahead(sent, received):
    assert check_messages([FakeMessage(b'{"a":1}', sent=sent)], "json", NO_BOUNDS, NOW).received == received


def test_what_comes_after_an_end_is_left_out():
    run = checked(b'{"a":1}', b"bad", b'{"a":3}', b"bad")
    run.until(12)
    assert ([piece[0] for piece in run.pieces], [one.message.number for one in run.rejected]) == ([10], [11])
    assert run.next == 12
    assert next(run.frames("json", repeat(9e9))).first == 10

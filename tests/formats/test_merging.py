"""Every pair of types, and any three, in one part or in several, in any order: the same table."""

from itertools import permutations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import BODIES, arrow_columns

from collector.evaluation.part_files import read_parts, read_pieces
from collector.formats.apart import append
from collector.formats.frames import check_frame, decode_frames
from collector.formats.merging import Merging, merged_type
from collector.store.parts import write

TABLES = {name: decode_frames([body]) for name, body in BODIES.items()}


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Read a batch of parts, each made of these frames; return its table, and what is said of its columns."""
    directory = tmp_path_factory.mktemp("parts")

    def read(*parts):
        paths = [directory / f"{number}.parquet" for number in range(len(parts))]
        for path, names in zip(paths, parts, strict=True):
            write(decode_frames(BODIES[name] for name in names), path)
        table, merging = read_parts(list(map(str, paths)))
        pieces, other = read_pieces(list(map(str, paths)))
        pieced = pa.concat_tables(pieces).unify_dictionaries()
        return _told(table, merging), _told(pieced, other)

    return read


def _merged(*parts):
    """Return what becomes of tables that are appended to each other in memory, as parts are."""
    tables = [append(TABLES[name] for name in names) for names in parts]
    merging = Merging(table.schema for table in tables)
    return _told(pa.concat_tables(map(merging.merge, tables)).unify_dictionaries(), merging)


def _told(table, merging):
    if merging.failed:  # it is left out
        return None, [], merging.notes, merging.failed
    return table.schema.field("c"), _values(table["c"]), merging.notes, merging.failed


def _values(column):
    """Return values that can be compared: NaN equals NaN, and times that Python can't hold are their counts."""
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.int64() if column.type.bit_width == 64 else pa.int32())
    return list(map(repr, column.to_pylist()))


def _missing(values):
    return sum(value in {"None", "nan"} for value in values)


@pytest.mark.parametrize("name", BODIES)
def test_each_kind_is_accepted_and_alone_stays_what_it_is(name, read):
    format_, body = BODIES[name]
    assert check_frame(format_, body).rows == TABLES[name].num_rows
    whole, pieces = read([name])
    assert whole == pieces
    assert whole[1:] == _merged([name])[1:] or pa.types.is_temporal(TABLES[name]["c"].type)  # parquet has no seconds


@pytest.mark.parametrize("first", BODIES)
def test_any_two_types_give_the_same_column_in_one_part_and_in_two_and_in_either_order(first):
    for second in list(BODIES)[list(BODIES).index(first) :]:
        field, values, *said = together = _merged([first, second])
        assert _merged([first], [second]) == together, second
        rows = TABLES[first].num_rows
        turned = _merged([second, first])
        assert (turned[0], turned[2:]) == (field, tuple(said)), second
        assert sorted(turned[1]) == sorted(values)
        assert turned[1] == values[rows:] + values[:rows]
        alone = [_merged([name]) for name in (first, second)]
        if not any(failed for *_, failed in [together, *alone]):
            assert _missing(values) == sum(_missing(some) for _, some, *_ in alone), "a value is lost"


@pytest.mark.parametrize("name", ["far date", "far time", "far duration"])
def test_a_column_with_a_time_that_pandas_cannot_hold_fails_by_name_and_nothing_else_does(name, read):
    *_, notes, failed = read([name])[0]
    assert list(failed) == ["c"]
    assert notes == [f"Column 'c' failed and is left out: {failed['c']}."]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(sorted(BODIES)), min_size=2, max_size=5), st.data())
def test_any_types_give_the_same_table_wherever_a_part_ends(read, names, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, len(names) - 1))))
    parts = [names[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
    together, _ = read(names)
    assert read(*parts) == (together, together)


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from(sorted(BODIES)), min_size=1, max_size=3), min_size=1, max_size=3))
def test_tables_that_were_appended_append_as_their_frames_do(groups):
    again = append(append(TABLES[name] for name in names) for names in groups)
    merging = Merging([again.schema])
    assert _told(merging.merge(again).unify_dictionaries(), merging) == _merged(
        [name for names in groups for name in names]
    )


@settings(deadline=None)
@given(st.lists(st.sampled_from([column.type for _, column in arrow_columns()]), min_size=1, max_size=4))
def test_the_type_of_several_is_one_and_their_order_does_not_matter(kinds):
    assert len({merged_type(some) for some in permutations(kinds)}) == 1
    assert merged_type([*kinds, *kinds]) == merged_type(kinds)

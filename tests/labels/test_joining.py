"""Joining: which rows have which label, as a dict has it, and what becomes of columns that both have."""

import random
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from collector.errors import FilesDamaged, KeysSpoiled
from collector.evaluation.part_files import read_parts
from collector.labels import numbers


def rows(joined):
    if not joined.parts:
        return []
    table, _ = read_parts([part.path for part in joined.parts])
    assert table.num_rows == sum(part.rows for part in joined.parts)
    return table.to_pylist()


def spelled(key, chance):
    return chance.choice([key, str(key), float(key), f"{key}.0"])


@pytest.mark.parametrize("on_duplicate", ["last", "first", "drop"])
@pytest.mark.parametrize("bits", [64, 3])
def test_a_join_is_what_a_dict_says_also_where_numbers_of_keys_collide(parts, monkeypatch, on_duplicate, bits):
    """With 3 bits nearly all keys have the number of another; then the second half of their numbers decides."""
    mixed = numbers._mixed  # noqa: SLF001  (it can't be made to collide otherwise)

    def short(found):
        return mixed(found) & np.uint64(2**bits - 1)

    def key_numbers(table, keying):
        monkeypatch.setattr(numbers, "_mixed", mixed if keying.seed > 2**62 else short)
        return real(table, keying)

    real = numbers.key_numbers
    for module in ("indexing", "joining"):
        monkeypatch.setattr(f"collector.labels.{module}.key_numbers", key_numbers)
    chance = random.Random(f"{on_duplicate} {bits}")
    for turn in range(12):
        keys = chance.randint(1, 40)
        events = [
            [{"id": spelled(chance.randint(0, keys), chance), "n": 1000 * part + n} for n in range(20)]
            for part in range(2)
        ]
        labels = [
            [{"id": spelled(chance.randint(0, keys), chance), "label": n % 3} for n in range(10)] for _ in range(3)
        ]
        joined = parts.join(parts.batch(*events), parts.labels(*labels), on_duplicate)
        assert {one["n"]: one["label"] for one in rows(joined)} == expected(events, labels, on_duplicate), turn


def expected(events, labels, on_duplicate):
    of_keys = {}
    for one in (one for part in labels for one in part):
        of_keys.setdefault(plain(one["id"]), []).append(one["label"])
    chosen = {
        key: found[0 if on_duplicate == "first" else -1]
        for key, found in of_keys.items()
        if on_duplicate != "drop" or len(set(found)) == 1
    }
    return {one["n"]: chosen[plain(one["id"])] for part in events for one in part if plain(one["id"]) in chosen}


def plain(key):
    return int(float(key))


def test_a_label_fills_what_is_missing_and_wins_over_what_is_there(parts):
    batch = parts.batch([{"id": 1, "label": None}, {"id": 2, "label": "mine"}, {"id": 3, "label": "mine"}])
    joined = parts.join(batch, parts.labels([{"id": 1, "label": "a"}, {"id": 2, "label": "b"}]))
    assert [(one["id"], one["label"]) for one in rows(joined)] == [(1, "a"), (2, "b")]


def test_of_several_columns_each_is_filled_by_itself(parts):
    batch = parts.batch([{"id": 1, "label": 5, "cost": 7}])
    labels = parts.labels([{"id": 1, "label": 6, "cost": None}])
    assert rows(parts.join(batch, labels, columns=("label", "cost"))) == [{"id": 1, "label": 6, "cost": 7}]


def test_labels_of_other_types_than_the_events_become_one_column_with_them(parts):
    batch = parts.batch([{"id": "1", "label": 5, "cost": 1}, {"id": 2, "label": 4, "cost": 2}])
    labels = parts.labels([{"id": 1, "label": "six"}, {"id": 2, "cost": 3}])
    joined = rows(parts.join(batch, labels, columns=("label", "cost")))
    assert joined == [{"id": "1", "label": "six", "cost": 1}, {"id": "2", "label": "4", "cost": 3}]


def test_a_last_label_of_null_withdraws_the_label(parts):
    batch, labels = parts.batch([{"id": 1}, {"id": 2}]), [[{"id": 1, "label": 1}, {"id": 2, "label": 1}]]
    joined = parts.join(batch, parts.labels(*labels, [{"id": 1, "label": None}]))
    assert [one["id"] for one in rows(joined)] == [2]


def test_a_key_that_stands_twice_in_a_batch_gives_its_label_to_both_rows(parts):
    joined = parts.join(parts.batch([{"id": 1, "n": 1}, {"id": 1, "n": 2}]), parts.labels([{"id": 1, "label": 9}]))
    assert [(one["n"], one["label"]) for one in rows(joined)] == [(1, 9), (2, 9)]


def test_what_gave_way_and_what_is_disputed_is_counted(parts):
    batch = parts.batch([{"id": 1}, {"id": 2}])
    labels = parts.labels(
        [{"id": 1, "label": 1}, {"id": 2, "label": 1}], [{"id": 1, "label": 1.0}, {"id": 2, "label": 0}]
    )
    joined = parts.join(batch, labels, "drop")
    assert (joined.replaced, joined.disputed) == (2, 1)
    assert [one["id"] for one in rows(joined)] == [1]


@pytest.mark.parametrize("values", [[None, 1], [[1], [2]], ["a", None], [{"a": 1}, {"a": 2}], [1.5, 2]], ids=repr)
def test_labels_of_a_key_are_disputed_if_they_differ_and_not_if_they_are_the_same(parts, values):
    batch = parts.batch([{"id": number} for number in range(4)])
    one, other = values
    labels = parts.labels(
        [{"id": number, "label": one} for number in range(3)] + [{"id": 3, "label": other}],
        [{"id": 0, "label": one}, {"id": 1, "label": other}, {"id": 3, "label": other}, {"id": 0, "label": one}],
    )
    joined = parts.join(batch, labels, "drop")
    assert (joined.replaced, joined.disputed) == (4, 1)


def test_a_batch_without_the_key_and_labels_for_others_join_nothing(parts):
    assert parts.join(parts.batch([{"n": 1}]), parts.labels([{"id": 1, "label": 1}])).parts == []
    assert parts.join(parts.batch([{"id": 2}]), parts.labels([{"id": 1, "label": 1}])).parts == []


def test_a_joined_part_is_no_part_of_events_to_who_finds_it(parts):
    """Its rows are in the parts of their batch; a journal that is made anew must not take them for others."""
    joined = parts.join(parts.batch([{"id": 1}]), parts.labels([{"id": 1, "label": 1}]))
    assert b"collector.origin" not in pq.read_metadata(joined.parts[0].path).metadata


def test_columns_whose_types_differ_between_parts_of_a_batch_are_joined_as_they_are(parts):
    batch = parts.batch([{"id": 1, "x": 1}], [{"id": "2", "x": "one"}, {"id": 3}])
    joined = rows(parts.join(batch, parts.labels([{"id": key, "label": key} for key in (1, 2, 3)])))
    assert [(one["id"], one["x"], one["label"]) for one in joined] == [("1", "1", 1), ("2", "one", 2), ("3", None, 3)]


def test_damaged_parts_and_spoiled_keys_are_told_apart(parts):
    batch, labels = parts.batch([{"id": 1}]), parts.labels([{"id": 1, "label": 1}])
    with Path(f"{batch.keys}.rows").open("r+b") as file:
        file.seek(17)
        file.write(b"x")
    with pytest.raises(KeysSpoiled):
        parts.join(batch, labels)
    batch = parts.batch([{"id": 1}])
    with Path(batch.parts[0]).open("r+b") as file:
        file.write(b"x" * 20)
    with pytest.raises(FilesDamaged) as raised:
        parts.join(batch, labels)
    assert raised.value.paths == (batch.parts[0],)

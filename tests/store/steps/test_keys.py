import pytest

from collector.errors import KeyReused
from collector.store.steps import keys


def test_keys_that_are_a_day_old_are_no_longer_known(db):
    day = keys.KEPT_KEYS_SECONDS
    assert not keys.is_key_known(db, "main", "old", "d", 0.0)
    assert not keys.is_key_known(db, "main", "young", "d", 1.0)
    assert not keys.is_key_known(db, "main", "new", "d", day + 1.0)
    assert keys.is_key_known(db, "main", "young", "d", day + 1.0)
    assert keys.count_excess_keys(db, day + 1.0) == 1
    assert not keys.is_key_known(db, "main", "old", "other", day + 1.0)
    assert keys.count_excess_keys(db, day + 1.0) == 0
    with pytest.raises(KeyReused):
        keys.is_key_known(db, "main", "new", "other", day + 1.0)


def test_keys_beyond_the_newest_are_too_many_and_the_oldest_go(db, monkeypatch):
    monkeypatch.setattr(keys, "KEPT_KEYS", 3)
    for number in (5, 4, 3, 2, 1):
        keys.is_key_known(db, "main", f"key {number}", "d", float(number))
    assert keys.count_excess_keys(db, 5.0) == 2
    keys.delete_oldest_keys(db, 2)
    assert db.execute("SELECT key FROM idempotency ORDER BY at").fetchall() == [("key 3",), ("key 4",), ("key 5",)]

import hashlib

import pytest

from collector.config import Idempotency
from collector.errors import KeyReused
from collector.store.steps import keys

SECRET = b"secret"
DAY = 86_400.0


def keep(db, text, now, collector="main", kept=None, digest="0d"):
    """Keep a key unless it is known; return whether it was."""
    kept = kept or Idempotency()
    key = keys.key_of(SECRET, text, digest)
    is_known = keys.is_key_known(db, collector, key, now - kept.seconds)
    if not is_known:
        keys.keep_key(db, collector, key, kept, now)
    return is_known


def known(db, texts, now, collector="main", kept=None):
    since = now - (kept or Idempotency()).seconds
    return [text for text in texts if keys.is_key_known(db, collector, keys.key_of(SECRET, text, "0d"), since)]


def swept(db):
    """Remove all that was dropped; return how many keys are left."""
    while keys.sweep_keys(db):
        pass
    return db.execute("SELECT COUNT(*) FROM idempotency_key").fetchone()[0]


def test_a_key_is_known_for_a_day_to_its_collector_alone(db):
    assert not keep(db, "key", 0.0)
    assert keep(db, "key", DAY)
    assert not keep(db, "key", DAY, collector="other")
    assert not keep(db, "key", DAY + 1)


def test_a_key_with_another_body_is_refused(db):
    keep(db, "key", 0.0)
    with pytest.raises(KeyReused, match="'key' came before with another body"):
        keep(db, "key", 1.0, digest="d1")


def test_a_key_is_known_at_most_an_eighth_longer_than_it_is_kept(db):
    """Keys that came within an eighth of the time go together."""
    keep(db, "first", 0.0)
    keep(db, "second", DAY / 8 - 1)
    keep(db, "third", DAY / 8)
    assert known(db, ["first", "second", "third"], DAY * 9 / 8 - 1) == ["first", "second", "third"]
    assert known(db, ["first", "second", "third"], DAY * 9 / 8) == ["third"]


def test_the_newest_keys_of_a_collector_are_known_whatever_another_sends(db):
    """Today's fault: one busy collector had a quiet one's keys forgotten after 39 seconds."""
    kept = Idempotency(max_keys=80)
    keep(db, "quiet", 0.0, collector="other", kept=kept)
    texts = [str(number) for number in range(300)]
    for number, text in enumerate(texts):
        keep(db, text, float(number), kept=kept)
        left = known(db, texts[: number + 1], float(number), kept=kept)
        assert left == texts[number + 1 - len(left) : number + 1]
        assert min(number + 1, 71) <= len(left) <= 80
    assert known(db, ["quiet"], 300.0, "other", kept) == ["quiet"]
    assert swept(db) <= 81


@pytest.mark.parametrize("max_keys", [1, 3, 8, 9, 100])
def test_there_are_never_more_keys_than_may_be(db, max_keys):
    kept = Idempotency(max_keys=max_keys)
    for number in range(3 * max_keys):
        keep(db, str(number), float(number), kept=kept)
        sums = db.execute("SELECT SUM(keys) FROM idempotency_slice WHERE collector = 'main'").fetchone()
        assert sums <= (max_keys,)
        assert keep(db, str(number), float(number), kept=kept)
    assert swept(db) <= max_keys


def test_the_age_of_the_oldest_key_that_went_early_is_told(db):
    kept = Idempotency(max_keys=8)
    ages = [
        keys.keep_key(db, "main", keys.key_of(SECRET, str(number), "0d"), kept, 10.0 * number) for number in range(10)
    ]
    assert ages == [0.0] * 8 + [80.0, 80.0]


def test_what_is_too_old_is_let_go_of_and_removed_a_few_at_a_time(db, monkeypatch):
    monkeypatch.setattr(keys, "SWEPT_KEYS", 3)
    for number in range(7):
        keep(db, str(number), 0.0)
    keep(db, "young", DAY)
    keys.forget_old_keys(db, Idempotency(), DAY + 1)
    left = []
    while keys.sweep_keys(db):
        left.append(db.execute("SELECT COUNT(*) FROM idempotency_key").fetchone()[0])
    assert left == [5, 2, 1]
    assert known(db, ["young"], DAY + 1) == ["young"]


def test_a_lower_limit_holds_for_the_keys_that_are_there(db):
    for number in range(100):
        keep(db, str(number), float(number))
    kept = Idempotency(max_keys=10)
    keep(db, "next", 100.0, kept=kept)
    assert known(db, ["99", "next"], 100.0, kept=kept) == ["next"]  # 0 to 99 are one slice, which is over it


def test_a_key_is_a_keyed_hash_of_128_bits():
    """Without its own key, one could look for two keys of one hash, the second of which would lose its events."""
    one, other = keys.key_of(b"one", "key", "0d"), keys.key_of(b"other", "key", "0d")
    assert one.hash != other.hash
    assert one.hash == hashlib.blake2b(b"key", digest_size=16, key=b"one").digest()


def test_a_key_takes_at_most_40_bytes_of_the_disk(db):
    count = 50_000
    for number in range(count):
        keys.keep_key(db, "main", keys.key_of(SECRET, str(number), f"{number * 85_899:08x}"), Idempotency(), 0.0)
    pages = db.execute("SELECT COUNT(*) FROM dbstat WHERE name LIKE 'idempotency%'").fetchone()[0]
    assert pages * 4096 / count < 40

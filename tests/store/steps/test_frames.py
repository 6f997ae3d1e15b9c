from disks import insert_frames

from collector.store.steps import frames, parts


def test_what_waits_is_told_by_collector(db):
    insert_frames(db, 2, 3)
    insert_frames(db, 7, collector="other", start=500.0)
    assert frames.count_frames(db) == [("main", None, 2, 5, 5), ("other", None, 1, 7, 7)]
    assert parts.count_parts(db) == []

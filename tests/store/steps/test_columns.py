from collector.store.records import NewColumns
from collector.store.steps.columns import keep_columns, read_columns


def test_names_are_read_as_they_were_kept_but_for_those_before_the_oldest_cut(db):
    keep_columns(db, "main", NewColumns(0, 0, b"old name"))
    keep_columns(db, "main", NewColumns(3, 2, b"in cut 3"))
    keep_columns(db, "other", NewColumns(0, 0, b"anothers"))
    keep_columns(db, "main", NewColumns(4, 2, b"in cut 4"))
    assert read_columns(db) == {
        "main": NewColumns(4, 3, b"in cut 3in cut 4"),
        "other": NewColumns(0, 0, b"anothers"),
    }

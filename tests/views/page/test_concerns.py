from collector.views.page.concerns import Concern, grouped

DOWN = "http://ui:8000 can't be reached"


def test_what_is_the_same_with_many_is_told_once_since_it_began():
    same = [
        Concern("undelivered", f"model-{at}", f"{at} snapshots undelivered", DOWN, since=100.0 - at) for at in range(9)
    ]
    [group] = grouped(same)
    assert (len(group.collectors), group.since, group.first.collector) == (9, 92.0, "model-8")


def test_what_has_other_reasons_is_told_apart():
    assert len(grouped([Concern("undelivered", "a", "1", DOWN), Concern("undelivered", "b", "1", "refused")])) == 2
    assert (
        len(grouped([Concern("tests", "a", "1 of 2 tests failed"), Concern("tests", "b", "1 of 2 tests failed")])) == 2
    )


def test_the_worst_comes_first_and_of_these_the_oldest():
    mixed = [
        Concern("drift", "a", "", since=1.0),
        Concern("tests", "a", "", since=9.0),
        Concern("tests", "b", "", since=5.0),
        Concern("disk", "", ""),
    ]
    assert [(one.first.kind, one.since) for one in grouped(mixed)] == [
        ("disk", None),
        ("tests", 5.0),
        ("tests", 9.0),
        ("drift", 1.0),
    ]

from collector.views.history import SAMPLES, History

from .statuses import collector, later, service


def history(*rows, seconds=1.0):
    """Make the history of a collector that had accepted so many rows at successive times."""
    made, status = History(), service(collector())
    for number, accepted in enumerate(rows):
        made.note(later(status, number * seconds, main=accepted))
    return made


def test_a_rate_takes_two_statuses():
    assert history(7).rate("main") is None
    assert history(7, 10).rate("main") == 3


def test_a_rate_is_of_the_last_seconds():
    """Of 3 s: what came before them doesn't count."""
    assert history(0, 900, 910, 920, 930).rate("main") == 10


def test_statuses_that_come_quickly_are_one_sample():
    quick = history(*range(0, 90, 10), seconds=0.25)  # 2 s, 40 rows in each
    assert quick.bars("main", 4) == "  ██"
    assert quick.rate("main") == 40


def test_bars_are_of_the_height_of_the_most():
    assert history(0, 70, 140, 140, 175).bars("main", 5) == " ██▁▅"  # 70, 70, 0, 35


def test_no_rows_are_the_lowest_bars():
    assert history(5, 5, 5).bars("main", 2) == "▁▁"


def test_it_remembers_no_more_than_a_wide_terminal_shows():
    assert len(history(*range(100)).bars("main", 0)) == SAMPLES - 1


def test_a_service_that_was_started_anew_counts_from_nothing():
    assert history(500, 600, 0, 0).rate("main") == 0
    assert history(500, 600, 0).bars("main", 2) == "█▁"


def test_a_collector_that_is_new_begins_with_none():
    made, status = History(), service(collector())
    made.note(service())
    made.note(later(status, 1, main=50))
    assert made.rate("main") == 0


def test_a_clock_that_is_set_back_begins_a_new_history():
    made, status = History(), service(collector())
    made.note(later(status, 100, main=5))
    made.note(later(status, 0, main=6))
    assert made.rate("main") is None
    made.note(later(status, 1, main=8))
    assert made.rate("main") == 2

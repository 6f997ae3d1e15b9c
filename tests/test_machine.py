import itertools

import machine


def test_a_block_is_measured_by_the_worse_of_the_moments_about_it(monkeypatch):
    monkeypatch.setattr(machine, "slowness", iter([2.0, 4.0]).__next__)
    monkeypatch.setattr(machine.time, "monotonic", itertools.count(0, 8).__next__)
    with machine.Stopwatch() as stopwatch:
        pass
    assert stopwatch.seconds == 2


def test_a_try_is_repeated_until_one_is_quick_enough_and_three_times_at_most():
    assert machine.quickest(iter([5, 2, 1]).__next__, 3) == 2
    assert machine.quickest(iter([5, 4, 6, 1]).__next__, 3) == 4


def test_no_machine_is_quicker_than_a_quiet_one():
    assert machine.slowness() >= 1

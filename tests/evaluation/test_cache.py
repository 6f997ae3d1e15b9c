import resource

import pandas as pd
import pytest

from collector.evaluation.cache import Warm, size_of_frame

FRAME = pd.DataFrame({"a": range(1000)})
SIZE = int(FRAME.memory_usage(deep=True).sum())


@pytest.fixture
def made():
    return []


def getter(warm, made):
    return lambda key: warm.get(key, lambda: made.append(key) or FRAME.copy(), size_of_frame)


def test_what_was_made_is_made_once(made):
    get = getter(Warm(10 * SIZE), made)
    assert get("a") is get("a")
    assert made == ["a"]


def test_what_was_not_used_for_longest_goes_when_all_is_too_large(made):
    get = getter(Warm(2 * SIZE), made)
    for key in "abacab":
        get(key)
    assert made == list("abcb")


def test_what_alone_is_too_large_is_not_kept(made):
    get = getter(Warm(SIZE - 1), made)
    assert len(get("a")) == len(get("a")) == 1000
    assert made == ["a", "a"]


def test_what_alone_is_too_large_drops_nothing_else(made):
    warm = Warm(2 * SIZE)
    get = getter(warm, made)
    get("a")
    warm.get("b", lambda: pd.DataFrame({"a": range(3000)}), size_of_frame)
    get("a")
    assert made == ["a"]


def test_no_more_than_a_share_of_what_the_process_may_take_is_kept(made, monkeypatch):
    get = getter(Warm(), made)
    get("a"), get("a")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (4 * SIZE - 4, 4 * SIZE - 4))
    get("b"), get("b")
    assert made == ["a", "b", "b"]

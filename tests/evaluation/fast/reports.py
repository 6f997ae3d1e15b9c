"""Reports as text, to compare what shortcuts give with Evidently's own, and frames by which they may differ."""

import re
from datetime import datetime

import numpy as np
import pandas as pd
from evidently import Dataset, Report
from evidently.legacy.report import Report as LegacyReport
from evidently.legacy.test_suite import TestSuite as LegacySuite

from collector.evaluation import snapshot
from collector.evaluation.fast.taken import shortcuts_taken

AT = datetime(2026, 3, 1)  # noqa: DTZ001  (Evidently's own are naive)
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def modern(metrics, current, reference, definition=None, **options):
    """Return what runs a modern report over two frames, and dumps it."""

    def run():
        sides = (
            None if side is None else Dataset.from_pandas(side.copy(), definition) for side in (current, reference)
        )
        return Report(metrics(), **options).run(*sides, timestamp=AT).dump_dict()

    run.is_modern = True
    return run


def legacy(make, current, reference, mapping=None):
    """Return what runs a legacy report or suite over two frames, and dumps it."""

    def run():
        made = make()
        frames = {"current_data": current.copy(), "reference_data": None if reference is None else reference.copy()}
        made.run(**frames, column_mapping=mapping, timestamp=AT)
        if isinstance(made, LegacyReport | LegacySuite):
            made._inner_suite.raise_for_error()  # noqa: SLF001
        return made.to_snapshot().dict()

    run.is_modern = False
    return run


def text_of(run):
    """Return a report's whole text, or what it raised, with ids that are drawn by chance named by their order."""
    try:
        text = snapshot.encode(run()).decode()
    except Exception as error:  # noqa: BLE001  # whatever Evidently raises is to be raised
        return f"{type(error).__name__}: {error}"
    names = {}
    return UUID.sub(lambda found: names.setdefault(found[0], f"id {len(names)}"), text)


def assert_same(run, times=1):
    """Compare a report with and without shortcuts; more than once, as the first one may be what the next rests on."""
    direct = text_of(run)
    for _ in range(times):
        notes = []
        with shortcuts_taken(notes, is_modern=run.is_modern):
            ours = text_of(run)
        assert notes == []
        if ours != direct:
            at = next((i for i, (one, other) in enumerate(zip(direct, ours, strict=False)) if one != other), 0)
            around = slice(max(0, at - 200), at + 200)
            raise AssertionError(f"{direct[around]}\n\nis with shortcuts\n\n{ours[around]}")
    return direct


def mixed(rows, seed, shift=0.0):
    """Columns of each type that a frame of ours may have."""
    rng, one = np.random.default_rng(seed), np.arange(rows)
    return pd.DataFrame(
        {
            "float": rng.normal(shift, 1, rows),
            "skewed": rng.exponential(1 + shift, rows) ** 3,
            "int": rng.integers(0, 1000, rows),
            "few": rng.integers(0, 4, rows),
            "cat": rng.choice(list("abcde"), rows),
            "category": pd.Categorical(rng.choice(["x", "y", "z"], rows)),
            "bool": rng.random(rows) < 0.4,
            "date": pd.Timestamp("2026-01-01") + pd.to_timedelta(one, "h"),
            "constant": 3.5,
        }
    )


def with_holes(frame, seed, share=0.1):
    """Return a frame in which values of each column are missing."""
    rng = np.random.default_rng(seed)
    holed = {name: column.astype(object) if column.dtype == bool else column for name, column in frame.items()}
    return pd.DataFrame({name: column.where(rng.random(len(frame)) > share) for name, column in holed.items()})


def _infinite(rows, where):
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"a": rng.normal(0, 1, rows), "b": rng.normal(0, 1, rows), "c": rng.choice(["x", "y"], rows)})
    if where:
        frame.loc[rng.integers(0, rows, max(1, rows // 20)), "a"] = np.inf
        frame.loc[0, "b"] = -np.inf
    return frame


def _named(rows, seed):
    rng = np.random.default_rng(seed)
    names = ["a.b", "數 \u2028", "<b>", '"q"\\', "title", "per", "index", "mean", "0", "{0}"]
    return pd.DataFrame({name: rng.normal(number, 1, rows) for number, name in enumerate(names)})


def _extreme(rows, seed):
    rng = np.random.default_rng(seed)
    zeros = np.where(np.arange(rows) % 2 == 0, 0.0, -0.0)
    return pd.DataFrame({"zeros": zeros, "large": rng.normal(1e15, 1e9, rows), "tiny": rng.normal(0, 1e-300, rows)})


def _alike(rows):
    one = np.random.default_rng(7).normal(0, 1, rows)
    return pd.DataFrame({"a": one, "b": one, "c": one + (np.arange(rows) % 50 == 0), "d": "k", "e": "k"})


def _labels(*labels):
    return pd.DataFrame({"c": pd.Categorical(list("ab") * 30, categories=labels), "v": np.arange(60) / 7})


def _words(rows, seed):
    return [f"some words {number} of a text {number * seed * 7919 % 1000}" for number in range(rows)]


def odd_pairs(rows):
    """Return pairs of frames, a batch and its reference, by what is odd about them."""
    rng = np.random.default_rng(rows)
    numbers = pd.DataFrame({"a": rng.normal(0, 1, rows), "b": rng.normal(0, 1, rows)})
    ids = pd.DataFrame({"id": np.arange(rows) * 7 + 10**12, "n": np.arange(rows)})
    later = mixed(rows, 2).set_index("date")
    return {
        "mixed": (mixed(rows, 1, 0.3), mixed(rows + 9, 2)),
        "holes": (with_holes(mixed(rows, 1, 0.3), 3), with_holes(mixed(rows, 2), 4)),
        "holes in the batch": (with_holes(mixed(rows, 1), 3, 0.6), mixed(rows, 2)),
        "itself": (mixed(rows, 1), mixed(rows, 1)),
        "infinite batch": (_infinite(rows, where=True), _infinite(rows, where=False)),
        "infinite reference": (_infinite(rows, where=False), _infinite(rows, where=True)),
        "infinite both": (_infinite(rows, where=True), _infinite(rows, where=True)),
        "names": (_named(rows, 1), _named(rows, 2)),
        "extreme": (_extreme(rows, 1), _extreme(rows, 2)),
        "alike": (_alike(rows), _alike(rows)),
        "other labels": (_labels("a", "b", "z"), _labels("b", "a", "q")),
        "order of labels": (_labels("b", "a"), _labels("a", "b")),
        "nothing": (numbers.assign(a=np.nan), numbers),
        "constants": (numbers.assign(a=1.0, b=2, c="k"), numbers.assign(a=1.0, b=3, c="k")),
        "text": (numbers.assign(t=_words(rows, 1)), numbers.assign(t=_words(rows, 2))),
        "ids": (ids, ids.iloc[::-1].reset_index(drop=True)),
        "numbers as text": (numbers.round(1).astype(str), numbers.round(1).astype(str)),
        "one row": (mixed(1, 1), mixed(rows, 2)),
        "of one row": (mixed(rows, 1), mixed(1, 2)),
        "index of times": (later, later),
        "index that begins late": (mixed(rows, 1).iloc[5:], mixed(rows, 2).iloc[7:]),
        "names that are numbers": (numbers.set_axis([0, 1], axis=1), numbers.set_axis([0, 1], axis=1)),
        "float32": (numbers.astype("float32"), numbers.astype("float32")),
    }

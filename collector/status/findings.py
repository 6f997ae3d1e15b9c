"""Findings in words: the same for the log, the status, the page, alerts and the list of an Evidently UI."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from collector.wording import counted, listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collector.workers.exchange import DriftOf, Findings, NotComputed, TestOf, Value

# Errors stand behind these words, as in the original's log.
REPORT_FAILED = "Error running report: "
SNAPSHOT_FAILED = "Error saving snapshot: "
# How many of a kind are named; the rest is counted.
MOST = 5
_MOST_NAMES = 20  # columns that are named without their scores
_BAD_TESTS = ("failed", "error")
# The condition that Evidently writes behind the name of a test. Names may have colons, too.
_CONDITION = re.compile(
    r": ((?:Less|Greater|Equal|Not equal|Value in list|Value not in list) .*|drift|[gl]te?|(?:not_)?eq|is_in|not_in)\Z",
    re.DOTALL,
)


def findings_of(outcome: Mapping[str, Any]) -> Findings:
    """Return the findings in what came of a batch; older versions kept none."""
    found: Mapping[str, Any] = outcome.get("findings", {})
    return {
        "drift": found.get("drift", []),
        "failed_tests": found.get("failed_tests", []),
        "not_computed": found.get("not_computed", []),
        "values": found.get("values", []),
    }


def has_drift(outcome: Mapping[str, Any]) -> bool:
    """Tell whether the whole has drifted, by Evidently's own word; where it has none for that, whether a column has."""
    word = outcome.get("dataset_drift")
    return bool(word) if word is not None else bool(drifted_columns(findings_of(outcome)))


def is_bad(outcome: Mapping[str, Any]) -> bool:
    """Tell whether a person should look at what came of a batch."""
    return bool(bad_tests(outcome.get("tests") or {}) or outcome.get("failed_metrics")) or has_drift(outcome)


def said_of(outcome: Mapping[str, Any], most: int = MOST) -> list[str]:
    """Say what came of a batch: "2 of 9 columns drifted (age 0.31 > 0.1, plan 0.2 > 0.1)", "3 of 14 tests failed (…)".

    Main numbers are said where no drift was asked for.
    """
    found, tests = findings_of(outcome), outcome.get("tests") or {}
    bad, failed = bad_tests(tests), outcome.get("failed_metrics", 0)
    drifted, columns = drift_counts(outcome)
    said = []
    if columns:
        said.append(_with(drift_count_words(outcome), drift_words(found, most, drifted)))
    if failed:
        said.append(_with(f"{failed} could not be computed", uncomputed_words(found, most, failed)))
    if tests:
        said.append(_with(tests_words(tests), failed_test_words(found, most, bad) if bad else ""))
    if found["values"] and not columns:
        said.append(value_words(found, most))
    return said


def drift_counts(outcome: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many columns drifted, and of how many; 0 of 0 if no drift was asked for."""
    if outcome.get("drifted_columns") is not None:
        return outcome["drifted_columns"], outcome.get("columns") or 0
    found = findings_of(outcome)
    return len(drifted_columns(found)), len({one["column"] for one in found["drift"]})


def drift_count_words(outcome: Mapping[str, Any]) -> str:
    """Count the columns that drifted: "2 of 9 columns drifted"; empty if no drift was asked for."""
    drifted, columns = drift_counts(outcome)
    return f"{drifted} of {counted(columns, 'column')} drifted" if columns else ""


def trend_words(trend: str, over: int) -> str:
    """Say whether a snapshot is worse than those before it, or better; nothing if it is as they are."""
    return f"{trend} than the last {over}" if trend in ("worse", "better") else ""


def tags_of(outcome: Mapping[str, Any]) -> list[str]:
    """Return the tags by which snapshots are told apart in a list of them."""
    tests = outcome.get("tests") or {}
    tags = ["drift"] if has_drift(outcome) else []
    return tags + ([f"tests-{'failed' if bad_tests(tests) else 'passed'}"] if tests else [])


def metadata_of(outcome: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata that names findings: "age, income" for drift, "3 of 14 failed" for tests."""
    drifted, tests = (
        listed(drifted_columns(findings_of(outcome)), _MOST_NAMES),
        verdict_words(outcome.get("tests") or {}),
    )
    return {name: said for name, said in (("drifted", drifted), ("tests", tests)) if said}


def drifted_columns(findings: Findings) -> list[str]:
    """Name the columns that drifted, the worst first, each once though several methods may say so."""
    return list(dict.fromkeys(one["column"] for one in findings["drift"] if one["is_drifted"]))


def first_findings(outcome: Mapping[str, Any], most: int) -> Findings:
    """Return the first few findings, and only columns that drifted, for places with little room."""
    found = findings_of(outcome)
    return {
        "drift": [one for one in found["drift"] if one["is_drifted"]][:most],
        "failed_tests": found["failed_tests"][:most],
        "not_computed": found["not_computed"][:most],
        "values": found["values"][:most],
    }


def drift_words(findings: Findings, most: int = MOST, total: int = 0) -> str:
    """Say which columns drifted, with score and threshold: "age 0.31 > 0.1, income 0.2 > 0.1, and 3 more".

    ``total`` is how many there are where the findings have the first few only.
    """
    drifted = [one for one in findings["drift"] if one["is_drifted"]]
    return listed([drift_word(one) for one in drifted], most, total)


def drift_word(one: DriftOf) -> str:
    """Say how a column's score stands to its threshold: a p-value drifts below it, a distance above."""
    score, threshold = one["score"], one["threshold"]
    sign = ">" if score > threshold else "<" if score < threshold else "="
    short = number(score)
    told = f"{score:.6g}" if short == number(threshold) and sign != "=" else short
    return f"{one['column']} {told} {sign} {number(threshold)}"


def failed_test_words(findings: Findings, most: int = MOST, total: int = 0) -> str:
    """Say which tests failed or are errors, with their values: "Minimal value of 'age' -3, and 2 more".

    Several of one number are told apart by their conditions: "Minimal value of 'age' -3 (Greater 0.000)".
    """
    bad = [test for test in findings["failed_tests"] if test["status"] in _BAD_TESTS]
    words = [failed_test_word(test) for test in bad]
    alike = Counter(words)
    told = [word + _condition(test) if alike[word] > 1 else word for word, test in zip(words, bad, strict=True)]
    return listed(told, most, total)


def _condition(test: TestOf) -> str:
    found = _CONDITION.search(test["name"])
    return f" ({found[1]})" if found else ""


def failed_test_word(test: TestOf) -> str:
    """Name a test without its condition, with its column if the name lacks it, and its value."""
    name = _CONDITION.sub("", test["name"])
    of = f" of {test['column']}" if test["column"] and test["column"] not in name else ""
    value = "error" if test["status"] == "error" else "" if test["value"] is None else number(test["value"])
    return f"{name}{of} {value}".rstrip()


def value_words(findings: Findings, most: int = MOST) -> str:
    """Say the first values, which are those of all rows: "Accuracy 0.54, Precision 0.58, and 12 more"."""
    return listed([value_word(value) for value in findings["values"]], most)


def value_word(value: Value) -> str:
    """Name a number by its metric, its label and its column."""
    label = f" {value['label']}" if value["label"] else ""
    column = f" of {value['column']}" if value["column"] else ""
    return f"{value['metric']}{label}{column} {number(value['value'])}"


def uncomputed_words(findings: Findings, most: int = MOST, total: int = 0) -> str:
    """Name what could not be computed: "ValueDrift of age, F1Score"."""
    return listed([uncomputed_word(one) for one in findings["not_computed"]], most, total)


def uncomputed_word(one: NotComputed) -> str:
    """Name what could not be computed, with its column."""
    return f"{one['metric']} of {one['column']}" if one["column"] else one["metric"]


def verdict_words(tests: Mapping[str, int]) -> str:
    """Count the tests that failed or are errors: "3 of 14 failed"; empty without tests."""
    total = sum(tests.values())
    return f"{bad_tests(tests)} of {total} failed" if total else ""


def tests_words(tests: Mapping[str, int]) -> str:
    """Count tests in a sentence: "3 of 14 tests failed", "14 tests passed"."""
    bad, total = bad_tests(tests), sum(tests.values())
    return f"{bad} of {counted(total, 'test')} failed" if bad else f"{counted(total, 'test')} passed"


def bad_tests(tests: Mapping[str, int]) -> int:
    """Count the tests that failed or are errors."""
    return sum(tests.get(name, 0) for name in _BAD_TESTS)


def _with(said: str, words: str) -> str:
    return f"{said} ({words})" if words else said


def number(value: float) -> str:
    """Write a number with three digits, more if it is large: 300, 0.0234, 12346, 1.83e-21."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.0f}" if 999.5 <= abs(value) < 1e15 else f"{value:.3g}"

"""Findings in words: the same for the log, the status, the page, alerts and the list of an Evidently UI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from collector.workers.exchange import DriftOf, Findings, NotComputed, TestOf, Value

# By default, so many are named before the rest is counted.
MOST = 5
_BAD_TESTS = ("failed", "error")


def findings_of(outcome: Mapping[str, Any]) -> Findings:
    """Return the findings in what came of a batch; older versions kept none."""
    found: Mapping[str, Any] = outcome.get("findings", {})
    return {
        "drift": found.get("drift", []),
        "failed_tests": found.get("failed_tests", []),
        "not_computed": found.get("not_computed", []),
        "values": found.get("values", []),
    }


def drifted_columns(findings: Findings) -> list[str]:
    """Name the columns that drifted, the worst first, each once though several methods may say so."""
    return list(dict.fromkeys(one["column"] for one in findings["drift"] if one["is_drifted"]))


def first_findings(outcome: Mapping[str, Any], most: int) -> Findings:
    """Return what is told of the findings where there is little room: the first few, and columns that drifted only."""
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
    """Say which tests failed or are errors, with their values: "Minimal value of 'age' -3, and 2 more"."""
    bad = [test for test in findings["failed_tests"] if test["status"] in _BAD_TESTS]
    return listed([failed_test_word(test) for test in bad], most, total)


def failed_test_word(test: TestOf) -> str:
    """Name a test without its condition, with its column if the name lacks it, and its value."""
    name = test["name"].partition(": ")[0]
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


def uncomputed_words(findings: Findings, most: int = MOST) -> str:
    """Name what could not be computed: "ValueDrift of age, F1Score"."""
    return listed([uncomputed_word(one) for one in findings["not_computed"]], most)


def uncomputed_word(one: NotComputed) -> str:
    """Name what could not be computed, with its column."""
    return f"{one['metric']} of {one['column']}" if one["column"] else one["metric"]


def verdict_words(tests: Mapping[str, int]) -> str:
    """Count the tests that failed or are errors: "3 of 14 failed"; empty without tests."""
    total = sum(tests.values())
    return f"{bad_tests(tests)} of {total} failed" if total else ""


def bad_tests(tests: Mapping[str, int]) -> int:
    """Count the tests that failed or are errors."""
    return sum(tests.get(name, 0) for name in _BAD_TESTS)


def listed(words: Sequence[str], most: int = MOST, total: int = 0) -> str:
    """List the first few, and count the rest."""
    more = max(len(words), total) - min(len(words), most)
    return ", ".join(words) if more <= 0 else f"{', '.join(words[:most])}, and {more} more"


def number(value: float) -> str:
    """Write a number with three digits, more if it is large: 300, 0.0234, 12346, 1.83e-21."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.0f}" if 999.5 <= abs(value) < 1e15 else f"{value:.3g}"

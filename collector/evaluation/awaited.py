"""A reference that isn't there yet: the parts of a report that need one are left out, and don't count as failed."""

from dataclasses import replace

from collector.evaluation.result import Evaluated
from collector.wording import listed


def without_awaited(done: Evaluated, notes: list[str], why: str) -> Evaluated:
    """Return an outcome without the failures of parts that wait for a reference; a note names those parts.

    Evidently says so in the reason, in several ways.
    """
    awaited = [one for one in done.failures if _wants_reference(one.reason)]
    found = done.findings
    errors = [one for one in found["failed_tests"] if one["status"] == "error" and _wants_reference(one["said"])]
    left = f"; without it: {listed([one.title for one in awaited])}" if awaited else ""
    notes.append(f"{why[0].upper()}{why[1:]}{left}.")
    tests = dict(done.tests)
    if errors:
        tests["error"] -= len(errors)
        tests["skipped"] += len(errors)
    return replace(
        done,
        failures=[one for one in done.failures if one not in awaited],
        tests=tests,
        findings={
            **found,
            "failed_tests": [one for one in found["failed_tests"] if one not in errors],
            "not_computed": [one for one in found["not_computed"] if not _wants_reference(one["reason"])],
        },
    )


def _wants_reference(reason: str) -> bool:
    return "reference" in reason.lower()

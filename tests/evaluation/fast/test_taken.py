"""Whole snapshots with shortcuts, compared as text with Evidently's own."""

import pytest
from evidently.legacy import metric_preset, test_preset
from evidently.legacy.report import Report as LegacyReport
from evidently.legacy.test_suite import TestSuite as LegacySuite
from evidently.presets import DataDriftPreset, DataSummaryPreset

from collector.evaluation.fast.taken import shortcuts_taken

from ..conftest import LEGACY_DRIFT, MODERN_DRIFT
from .reports import assert_same, legacy, mixed, modern, odd_pairs

pytestmark = pytest.mark.filterwarnings("ignore")
ROWS = 60
PAIRS = odd_pairs(ROWS)
# Wide, and much like another of them.
WIDE = ("holes in the batch", "itself", "index of times", "index that begins late", "of one row")


def of(pair):
    """Return what runs both presets over a pair; text's drift, which takes 10 s, is compared in test_drift."""
    presets = [DataSummaryPreset] if pair == "text" else [DataDriftPreset, DataSummaryPreset]
    return modern(lambda: [preset() for preset in presets], *PAIRS[pair])


@pytest.mark.parametrize(
    "pair", [pytest.param(pair, marks=pytest.mark.thorough) if pair in WIDE else pair for pair in PAIRS]
)
def test_an_odd_frames_snapshot_is_evidentlys_to_the_letter(pair):
    assert_same(of(pair))


def test_so_is_the_second_of_the_same_frames():
    assert_same(of("holes"), times=2)


def test_a_batch_of_some_size_is_evidentlys_to_the_letter():
    """Beyond 1 000 rows Evidently takes other tests of drift."""
    presets = (DataDriftPreset, DataSummaryPreset)
    assert_same(modern(lambda: [preset() for preset in presets], mixed(1_500, 1, 0.2), mixed(1_200, 2)))


def test_a_batch_without_a_reference_is_evidentlys_to_the_letter():
    assert_same(modern(lambda: [DataSummaryPreset()], mixed(ROWS, 1), None))


@pytest.mark.parametrize("preset", ["DataDriftPreset", "DataQualityPreset"])
@pytest.mark.parametrize("pair", ["mixed", "holes", "infinite both", "names", "one row"])
def test_a_legacy_report_is_evidentlys_to_the_letter(pair, preset):
    assert_same(legacy(lambda: LegacyReport([getattr(metric_preset, preset)()]), *PAIRS[pair]))


@pytest.mark.parametrize("preset", ["DataStabilityTestPreset", "DataDriftTestPreset"])
def test_a_legacy_suite_is_evidentlys_to_the_letter(preset):
    assert_same(legacy(lambda: LegacySuite([getattr(test_preset, preset)()]), *PAIRS["mixed"]))


@pytest.mark.parametrize("config", [MODERN_DRIFT, LEGACY_DRIFT])
def test_a_job_says_whether_shortcuts_are_taken(config, evaluate, iris, monkeypatch):
    taken, told = [], {}
    monkeypatch.setattr(
        "collector.evaluation.worker.shortcuts_taken",
        lambda *of, **given: taken.append(given) or shortcuts_taken(*of, **given),
    )
    for said in ({}, {"fast_reports": False}, {"reuse_drift": False}):
        outcome = evaluate(config, iris[:100], iris[50:], **said)
        told[str(said)] = {key: outcome[key] for key in ("drift_share", "drifted_columns", "columns", "notes")}
        assert taken == [{"is_modern": config is MODERN_DRIFT}]
    assert all(one == told["{}"] for one in told.values())

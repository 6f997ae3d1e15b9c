from evidently.metrics import RowCount

from collector.evaluation.reader import Reader
from collector.evaluation.report import read_legacy, read_modern


def test_a_modern_config_is_built_with_its_defaults():
    reader = Reader()
    report = read_modern({"metrics": ["RowCount"]}, reader)
    assert (report.metrics, report.descriptors, report.options) == ([RowCount()], [], [])
    assert (report.metadata, report.tags, report.include_tests, reader.problems) == ({}, [], False, [])


def test_a_legacy_config_needs_its_options():
    reader = Reader(legacy=True)
    read_legacy({"metrics": [], "tests": ["TestNumberOfRows"]}, reader)
    assert reader.problems == [{"path": ["report_config", "options"], "message": "field required"}]


def test_fields_that_evidently_would_ignore_are_problems():
    for read, reader in ((read_modern, Reader()), (read_legacy, Reader(legacy=True))):
        read({"options": [] if read is read_modern else {}, "metric": []}, reader)
        assert [one["path"] for one in reader.problems] == [["report_config", "metric"]]


def test_what_is_of_a_wrong_type_is_named_with_its_place():
    reader = Reader()
    read_modern({"tags": "x", "include_tests": "maybe", "metadata": 7, "options": 5}, reader)
    assert {one["path"][1] for one in reader.problems} == {"tags", "include_tests", "metadata", "options"}

import json
from importlib.metadata import version

from collector.config.schema import NAMES_FILE
from collector.evaluation.exports import exports


def test_the_file_of_names_knows_all_that_evidently_exports():
    """If this fails, Evidently has more names now: the head of collector/evaluation/exports.py says what to type."""
    known, found = json.loads(NAMES_FILE.read_bytes()), exports()
    for kind in found.keys() - {"evidently"}:
        assert found[kind].keys() <= known[kind].keys()
    assert known == found or known["evidently"] != version("evidently")


def test_names_that_no_report_can_have_are_left_out():
    found = exports()
    assert "Reference" not in found["metrics"]
    assert "RecsysTestPreset" not in found["legacy_tests"]

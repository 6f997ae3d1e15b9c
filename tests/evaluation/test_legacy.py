import pandas as pd
import pytest

from collector.evaluation import legacy
from collector.evaluation.prepared import Frames
from collector.evaluation.reader import Reader
from collector.evaluation.report import read_legacy

pytestmark = pytest.mark.filterwarnings("ignore")
FRAME = pd.DataFrame({"n": range(40), "t": ["a", "b"] * 20})
REPORT = {"metrics": ["DatasetMissingValuesMetric"], "tests": [], "options": {}}
SUITE = {"metrics": [], "tests": ["TestNumberOfRows"], "options": {}}


@pytest.fixture
def run(make_job):
    def evaluated(config, reference=FRAME, **others):
        job = make_job(config, FRAME, **others)
        built = read_legacy(config, Reader(legacy=True))
        return legacy.run(built, Frames(FRAME, reference, [], len(FRAME)), None, job)

    return evaluated


@pytest.mark.parametrize(("config", "kind", "tests"), [(REPORT, "Report", 0), (SUITE, "TestSuite", 1)])
def test_with_tests_it_is_a_suite(run, config, kind, tests):
    done = run(config)
    assert (done.kind, sum(done.tests.values()), done.failures) == (kind, tests, [])
    assert done.report_id == str(done.body["id"])


def test_a_snapshot_says_where_its_batch_came_from(run):
    metadata = run(REPORT).body["metadata"]
    assert (metadata["collector"], metadata["rows"]) == ("main", "40")


@pytest.mark.parametrize(("reference", "roles"), [(FRAME, ["current", "reference"]), (None, ["current"])])
def test_datasets_are_described_if_they_are_to_be_saved(run, reference, roles):
    assert [one.role for one in run(REPORT, reference, save_datasets=True).uploads] == roles

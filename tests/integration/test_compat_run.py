"""Config files that the original collector saved: they load as they are, and make snapshots."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine

from collector.config import CollectorServiceConfig

from .conftest import UNREHEARSED, Daemon

CONFIGS = Path(__file__).parents[1] / "compat" / "configs"
FILES = sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.glob("*/*.json"))
WITH_COLLECTORS = [name for name in FILES if "empty" not in name]


@pytest.fixture(scope="module")
def wine():
    """Give real rows under the names that the files know: a float, an integer, and a category."""
    bunch = load_wine(as_frame=True)
    columns = {
        "f": bunch.data["alcohol"],
        "i": bunch.data["proline"].astype(int),
        "c": bunch.target_names[bunch.target],
    }
    return pd.DataFrame(columns).sample(frac=1, random_state=0, ignore_index=True)


@pytest.fixture(scope="module")
def daemon(wine, tmp_path_factory):
    """Run all files at once: each one's collector as it was saved, but for its key and where its snapshots go."""
    directory = tmp_path_factory.mktemp("compat") / "service"
    collectors = {}
    for name in WITH_COLLECTORS:
        [saved] = json.loads((CONFIGS / name).read_text())["collectors"].values()
        collectors[name.replace("/", " ")] = saved | {"api_url": "workspace"}
    made = Daemon(
        directory, {"collectors": collectors, "autosave": True, "evaluation_workers": 1}, evaluates=UNREHEARSED
    )
    wine.head(89).to_parquet(directory / "reference.parquet")
    try:
        yield made.start()
        made.stop()
    finally:
        made.close()


def test_there_are_files():
    """Nine were recorded."""
    assert len(FILES) == 9


@pytest.mark.parametrize("name", FILES)
def test_a_file_loads_and_keeps_what_its_user_set(name, tmp_path):
    saved = json.loads((CONFIGS / name).read_text())
    config = CollectorServiceConfig.load(CONFIGS / name)
    config.save(tmp_path / "config.json")
    again = json.loads((tmp_path / "config.json").read_text())
    for key, collector in saved["collectors"].items():
        assert again["collectors"][key] == collector | {"id": key}
    assert {name: value for name, value in again.items() if name != "collectors"} == {
        name: value for name, value in saved.items() if name != "collectors"
    }


@pytest.mark.parametrize("name", WITH_COLLECTORS)
def test_a_file_makes_a_snapshot(daemon, wine, name):
    collector = name.replace("/", " ")
    daemon.client.send_data(collector, wine.tail(89))
    daemon.client.flush(collector)
    [entry] = daemon.wait_for_logs(collector, 1)
    assert entry["rows"] == 89
    if "drift" in name or "datasets" in name:
        assert (entry.get("drift_share"), entry.get("columns")) == (0, 3)  # both halves of shuffled rows
    if "testsuite" in name:
        kinds = json.loads((CONFIGS / name).read_text())["collectors"]["main"]["report_config"]["tests"]
        assert sum(entry["tests"].values()) == len(kinds)
        assert entry["tests"]["error"] == 0
    [snapshot] = daemon.snapshots(collector)
    assert snapshot["metadata"]["rows"] == "89"
    [path] = daemon.directory.glob(f"workspace/*/snapshots/{snapshot['id']}.json")
    assert path.parts[-3] == "834ec9a0-ee58-4e64-816b-c593b0b6c45c"  # what the files say


@pytest.mark.slow  # each file makes a snapshot above; a saved one runs in test_seed.py, this UI in test_workspaces.py
def test_a_file_runs_as_it_is_but_for_its_address(make_daemon, legacy_ui, wine):
    """The original's documented file flow, which made no snapshot there: ``save``, ``--config-path``, send 100 rows."""
    text = (CONFIGS / "0.6.7" / "report_drift_rowscount.json").read_text()
    project = legacy_ui.make_project("the file's")
    daemon = make_daemon(None, "--config-path", "mine.json")
    text = text.replace("http://127.0.0.1:8000", legacy_ui.url).replace("834ec9a0-ee58-4e64-816b-c593b0b6c45c", project)
    text = text.replace('"api_secret": null', f'"api_secret": "{legacy_ui.secret}"')
    (daemon.directory / "mine.json").write_text(text)
    reference = wine.head(78)
    reference.to_parquet(daemon.directory / "reference.parquet")
    daemon.start()
    for rows in np.array_split(np.arange(78, 178), 4):
        daemon.client.send_data("main", wine.iloc[rows])
    [entry] = daemon.wait_for_logs("main", 1)
    [listed] = legacy_ui.list_snapshots(project)
    assert (entry["rows"], listed["metadata"]["rows"]) == (100, "100")
    assert listed["id"] == entry["report_id"]
    daemon.stop()

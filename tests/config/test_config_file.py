"""Config files as people type them, read, edited by hand and saved over."""

import json
import os

import pytest

from collector.config import CollectorServiceConfig
from collector.config.config_file import ConfigFile
from collector.errors import ConfigConflict, ConfigError

COLLECTOR = {
    "trigger": {"type": "RowsCountTrigger", "rows_count": 5},
    "report_config": {"metrics": ["DataDriftPreset"]},
    "project_name": "p",
}
TYPED = """{"autosave": true,
    "collectors": {
        "a": {"trigger": {"type": "IntervalTrigger", "interval": "60"},
              "report_config": {"metrics": ["DataDriftPreset"]},   "project_name": "p"}
    },
    "limits": {"max_rows": 10}}
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(TYPED, encoding="utf-8")
    return path


def with_another(config, key="b"):
    collectors = CollectorServiceConfig.parse({"collectors": {key: COLLECTOR}}).collectors
    return config.with_collector(collectors[key])


def test_a_file_that_is_not_there_is_made(tmp_path):
    made = ConfigFile.open_or_make(tmp_path / "new.json")
    assert made.config == CollectorServiceConfig()
    assert made.body == (tmp_path / "new.json").read_bytes()
    with pytest.raises(FileNotFoundError):
        ConfigFile.open(tmp_path / "none.json")


def test_what_is_wrong_is_told_with_its_place(path):
    path.write_text(TYPED.replace('"60"', "-1"))
    with pytest.raises(ConfigError, match=r"config.json: collectors.a.trigger.interval \(line 3, column 66\): must be"):
        ConfigFile.open(path)


def test_a_secret_that_the_environment_lacks_is_told_with_its_place(path, monkeypatch):
    monkeypatch.delenv("LACKING", raising=False)
    path.write_text(TYPED.replace('"p"', '"p", "api_secret": "${LACKING}"'))
    with pytest.raises(
        ConfigError, match=r"collectors.a.api_secret \(line 4, column \d+\): the environment of the service has no"
    ):
        ConfigFile.open(path)


def test_what_alerts_take_of_the_environment_and_it_lacks_is_told_with_its_place(path, monkeypatch):
    monkeypatch.delenv("LACKING", raising=False)
    rule = '"alerts": [{"when": "disk", "to": ["https://host/${LACKING}"]}], "limits"'
    path.write_text(TYPED.replace('"limits"', rule))
    with pytest.raises(
        ConfigError, match=r"alerts.0.to.0 \(line 6, column \d+\): the environment of the service has no variable LACK"
    ):
        ConfigFile.open(path)


def test_a_saved_change_leaves_all_else_as_it_was_typed(path):
    file = ConfigFile.open(path)
    file.save(with_another(file.config))
    text = path.read_text(encoding="utf-8")
    assert text.startswith(TYPED[: TYPED.index("\n    },")])
    assert text.endswith(TYPED[TYPED.index('"limits"') :])
    assert ConfigFile.open(path).config == file.config == with_another(ConfigFile.open(path).config)
    file.save(file.config.without_collector("b"))
    assert path.read_text(encoding="utf-8") == TYPED


def test_only_collectors_are_saved(path):
    """What else differs from the file, as what needs a restart, is the operator's."""
    file = ConfigFile.open(path)
    file.save(with_another(file.config).model_copy(update={"data_dir": "elsewhere"}))
    assert (file.config.data_dir, list(file.config.collectors)) == ("collector_data", ["a", "b"])
    assert "elsewhere" not in path.read_text()


def test_an_edit_is_not_saved_over(path):
    file = ConfigFile.open(path)
    path.write_text(TYPED + "\n")
    with pytest.raises(ConfigConflict, match="was just edited"):
        file.save(with_another(file.config))
    assert path.read_text() == TYPED + "\n"
    file.hold(file.read(), file.parse(file.read()))
    file.save(with_another(file.config))
    assert list(json.loads(path.read_text())["collectors"]) == ["a", "b"]


def test_a_file_that_is_gone_is_an_error_to_read_and_is_made_anew_by_a_change(path):
    file = ConfigFile.open(path)
    path.unlink()
    with pytest.raises(ConfigError, match="is gone"):
        file.read()
    file.save(with_another(file.config))
    assert ConfigFile.open(path).config == with_another(file.config)
    assert ConfigFile.open(path).config.limits.max_rows == 10


def test_a_pipe_in_the_files_place_is_not_waited_for(path):
    """Nobody may ever write to it, and a thread that reads it can't be stopped."""
    file = ConfigFile.open(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="is no regular file"):
        file.read()
    with pytest.raises(ConfigConflict):
        file.save(file.config)


@pytest.mark.parametrize("own_id", ["", '"id": "a", '], ids=["without", "with an id of its own"])
def test_a_collector_that_is_renamed_stays_where_it_stands_as_it_was_typed(path, own_id):
    path.write_text(TYPED.replace('"a": {', f'"a": {{{own_id}'), encoding="utf-8")
    file = ConfigFile.open(path)
    collectors = {"c": file.config.collectors["a"].model_copy(update={"id": "c"})}
    before = path.read_text(encoding="utf-8")
    file.save(file.config.model_copy(update={"collectors": collectors}), ("a", "c"))
    changed = before.replace('"a": {', '"c": {').replace('"id": "a"', '"id": "c"')
    assert path.read_text(encoding="utf-8") == changed
    assert ConfigFile.open(path).config == file.config


def test_of_those_that_follow_a_renamed_collector_nothing_else_is_written(path):
    follower = json.dumps(COLLECTOR | {"events_from": "a", "api_url": "typed"})
    path.write_text(TYPED.replace('"collectors": {', f'"collectors": {{"b": {follower},'), encoding="utf-8")
    file = ConfigFile.open(path)
    before, known = path.read_text(encoding="utf-8"), file.config.collectors
    renamed = {"b": known["b"].model_copy(update={"events_from": "c"}), "c": known["a"].model_copy(update={"id": "c"})}
    file.save(file.config.model_copy(update={"collectors": renamed}), ("a", "c"))
    changed = before.replace('"a": {', '"c": {').replace('"events_from": "a"', '"events_from": "c"')
    assert path.read_text(encoding="utf-8") == changed
    assert ConfigFile.open(path).config == file.config

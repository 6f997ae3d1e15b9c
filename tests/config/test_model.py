import json
from pathlib import Path

import pytest
from fakes import collector_config

from collector.config import (
    CONFIG_PATH,
    Alert,
    CollectorConfig,
    CollectorServiceConfig,
    Idempotency,
    Labels,
    Limits,
    Retention,
    Sample,
    Storage,
)
from collector.config.masking import MASK
from collector.config.model import MAX_ID_LENGTH, RESERVED_IDS, check_id
from collector.config.private import PrivateColumns
from collector.config.rows import Condition, Segments
from collector.errors import ConfigError

COMPAT = Path(__file__).parent.parent / "compat" / "configs"
FILES = sorted(COMPAT.glob("*/*.json"))
SOUND = collector_config().model_dump()


def _named(path):
    return f"{path.parent.name}/{path.stem}"


def _problem(data, kind=CollectorConfig):
    with pytest.raises(ConfigError) as caught:
        kind.parse(data)
    return str(caught.value)


def _service(tmp_path, **collectors):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"collectors": collectors}))
    return CollectorServiceConfig.load(path)


def test_a_file_may_name_its_schema_for_editors_and_means_the_same(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"$schema": "x.json", "autosave": False}), encoding="utf-8")
    assert CollectorServiceConfig.load(path) == CollectorServiceConfig(autosave=False)
    assert "$schema" in CollectorServiceConfig.model_json_schema()["properties"]
    assert "unknown field" in _problem({"$shema": "x.json"}, CollectorServiceConfig)


# What the original saved


def test_the_recorded_files_are_all_there():
    assert len(FILES) == 9  # seven of 0.6.7 and two of 0.7-legacy


@pytest.mark.parametrize("path", FILES, ids=_named)
def test_a_file_of_the_original_comes_back_as_it_was_but_for_its_ids(path, tmp_path):
    """The original wrote ``"id": ""``; the key is the id."""
    saved = tmp_path / "saved.json"
    CollectorServiceConfig.load(path).save(saved)
    expected = json.loads(path.read_text())
    for key, collector in expected["collectors"].items():
        collector["id"] = key
    assert json.loads(saved.read_text()) == expected


@pytest.mark.parametrize("path", FILES, ids=_named)
def test_what_was_saved_loads_equal(path, tmp_path):
    config = CollectorServiceConfig.load(path)
    config.save(tmp_path / "saved.json")
    assert CollectorServiceConfig.load(tmp_path / "saved.json") == config


@pytest.mark.parametrize("path", [path for path in FILES if "empty" not in path.name], ids=_named)
def test_what_the_original_saved_is_a_legacy_report(path):
    collectors = CollectorServiceConfig.load(path).collectors.values()
    assert {config.report_config.generation for config in collectors} == {"legacy"}


def test_a_file_with_infinity_comes_back_as_it_was(tmp_path):
    report = {"metrics": [{"type": "MinValue", "column": "a", "tests": [{"gt": float("-inf")}]}]}
    config = _service(tmp_path, main=SOUND | {"report_config": report})
    config.save(tmp_path / "saved.json")
    assert CollectorServiceConfig.load(tmp_path / "saved.json").collectors["main"].report_config.model_dump() == report


# Fields


def test_the_defaults_are_the_originals():
    """Its default config file is configs/0.6.7/default_empty.json."""
    assert CollectorServiceConfig().model_dump() == json.loads((COMPAT / "0.6.7" / "default_empty.json").read_text())
    assert CONFIG_PATH == "collector_config.json"


@pytest.mark.parametrize(
    "changes",
    [
        {"data_dir": "/var/lib/collector"},
        {"durability": "power"},
        {"spill_rows": 10, "spill_bytes": 1000},
        {"evaluation_timeout": 5.0, "evaluation_workers": 1},
        {"fast_reports": False},
        {"retention": {"seconds": 3600.0}},
        {"idempotency": {"max_keys": 1000}},
        {"limits": {"max_body_bytes": 5, "max_typed_body_bytes": 6, "body_timeout": 7.0}},
    ],
)
def test_new_fields_are_written_when_they_are_set(changes):
    old = CollectorServiceConfig().model_dump()
    assert CollectorServiceConfig.parse(changes).model_dump() == old | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"data_definition": {"numerical_columns": ["a"]}},
        {"column_mapping": {"target": "y"}},
        {"project_name": "p"},
        {"sample": {"rows": 10}},
        {"cast": "none"},
        {"reuse_drift": False},
        {"timestamp_column": "ts"},
        {"labels": {"key": "id", "columns": ("y",), "wait": 60.0, "report_config": {"metrics": ["RowCount"]}}},
        {"dashboard": True},
        {"dashboard": False},
        {"dashboard": {"columns_max": 5}},
    ],
)
def test_new_fields_of_a_collector_are_written_when_they_are_set(changes):
    assert not changes.keys() & SOUND.keys()
    project = {"project_id": None} if "project_name" in changes else {}
    assert CollectorConfig.parse(SOUND | changes | project).model_dump() == SOUND | changes | project


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("yes", 'dashboard: must be true, false, or an object, as {"columns_max": 12}, not a string'),
        (1, 'dashboard: must be true, false, or an object, as {"columns_max": 12}, not a number'),
        ({"columns": 5}, "dashboard.columns: unknown field; did you mean 'columns_max'?"),
        ({"columns_max": -1}, "dashboard.columns_max: must be greater than or equal to 0"),
    ],
    ids=["text", "number", "name", "negative"],
)
def test_a_dashboard_that_is_none_says_what_one_is(written, told):
    with pytest.raises(ConfigError) as caught:
        CollectorConfig.parse(SOUND | {"dashboard": written})
    assert str(caught.value) == told


LEGACY = {"metrics": [], "tests": [{"type": "evidently:test:X"}], "options": {}, "metadata": {}, "tags": []}
CLOUD = "https://app.evidently.cloud"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"dashboard": True}, None),
        ({"dashboard": False}, 'its config says "dashboard": false'),
        ({"dashboard": {"columns_max": 0}}, 'its config says "dashboard": false'),
        ({"api_url": "workspace"}, None),
        ({"api_url": CLOUD}, 'it delivers to Evidently Cloud, where its config must say "dashboard": true'),
        ({"api_url": CLOUD, "dashboard": {"columns_max": 3}}, None),
        ({"report_config": LEGACY, "dashboard": True}, "its report is a legacy one"),
    ],
    ids=["default", "true", "false", "zero", "directory", "cloud", "cloud-asked", "legacy"],
)
def test_a_collector_says_why_it_gets_no_dashboard(changes, why):
    modern = {"report_config": {"metrics": ["RowCount"]}}
    found = CollectorConfig.parse(SOUND | modern | changes).why_no_dashboard()
    assert (found or "").startswith(why or "")
    assert (found is None) == (why is None)


def test_a_dashboard_of_a_legacy_report_is_told_as_unused():
    collectors = {"old": SOUND | {"report_config": LEGACY, "dashboard": True}}
    assert CollectorServiceConfig.parse({"collectors": collectors}).unused() == ["collectors.old.dashboard"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"project_id": None}, "project_id: field required (or project_name)"),
        ({"project_name": "p"}, "project_name: give project_id or project_name, not both"),
        ({"project_id": None, "project_name": ""}, "project_name: "),
        ({"project_id": None, "project_name": "p" * 10_000_000}, "project_name: "),
        ({"project_id": "../../users"}, "project_id: isn't the id of a project"),
        ({"project_id": ".."}, "project_id: isn't the id of a project"),
        ({"project_id": "a?b=c"}, "project_id: isn't the id of a project"),
        ({"project_id": "a\r\nb"}, "project_id: isn't the id of a project"),
        ({"reference_path": "a\0b"}, "reference_path: has a NUL character in it"),
        ({"reference_path": "s3://key:secret@bucket/a.parquet"}, "reference_path: has keys in it"),
        ({"reference_path": "gs://token@bucket/a.parquet"}, "reference_path: has keys in it"),
        ({"additional_data": {"current_train_data": "a\0b"}}, "additional_data: has a NUL character in it"),
        ({"reference_path": "x/" * 5000}, "reference_path: "),
        ({"api_url": ""}, "api_url: "),
        ({"api_url": "a\0b"}, "api_url: has a NUL character in it"),
        ({"api_url": "http://["}, "api_url: isn't an address"),
        ({"api_url": "http://me:hunter2@[::1"}, "api_url: isn't an address"),
        ({"data_definition": {str(number): 1 for number in range(20_000)}}, "data_definition: "),
        ({"api_secret": ""}, "api_secret: is empty"),
        ({"cache_reference": "maybe"}, "cache_reference: "),
        ({"sample": 10}, "sample: must be an object, not a number"),
        ({"sample": {"rows": 0}}, "sample.rows: must be greater than 0"),
        ({"sample": {}}, "sample.rows: field required"),
        ({"refrence_path": "x"}, "refrence_path: unknown field; did you mean 'reference_path'?"),
        ({"trigger": {}}, "trigger: needs a 'type': one of IntervalTrigger, RowsCountTrigger"),
        ({"trigger": None}, "trigger: must be an object, not null"),
        ({"trigger": "IntervalTrigger"}, "trigger: must be an object, not a string"),
        ({"trigger": {"type": "RowCountTrigger"}}, "trigger: unknown trigger 'RowCountTrigger'; did you mean 'RowsCou"),
        ({"trigger": {"type": "os.path"}}, "trigger: unknown trigger 'os.path'"),
    ],
)
def test_a_wrong_field_of_a_collector_is_refused_with_its_path(changes, told):
    assert _problem(SOUND | changes).startswith(told)


@pytest.mark.parametrize("missing", ["trigger", "report_config", "project_id"])
def test_what_the_original_required_is_required(missing):
    data = {key: value for key, value in SOUND.items() if key != missing}
    assert _problem(data).startswith(f"{missing}: field required")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"limits": {"max_bdy_bytes": 1}}, "limits.max_bdy_bytes: unknown field; did you mean 'max_body_bytes'?"),
        ({"limits": {"body_timeout": 0}}, "limits.body_timeout: must be greater than 0"),
        ({"spill_rows": 0}, "spill_rows: "),
        ({"spill_bytes": 1.5}, "spill_bytes: "),
        ({"evaluation_workers": 65}, "evaluation_workers: "),
        ({"durability": "none"}, "durability: must be 'process' or 'power'"),
        ({"data_dir": ""}, "data_dir: "),
        ({"collectors": []}, "collectors: must be an object, not a list"),
    ],
)
def test_a_wrong_field_of_the_service_is_refused_with_its_path(changes, told):
    assert _problem(changes, CollectorServiceConfig).startswith(told)


def test_angle_brackets_around_the_url_are_no_part_of_it():
    assert CollectorConfig.parse(SOUND | {"api_url": "<http://localhost:8000>"}).api_url == "http://localhost:8000"


def test_numbers_are_taken_for_texts_as_the_original_took_them():
    config = CollectorConfig.parse(SOUND | {"project_id": 5, "api_url": 6, "cache_reference": "yes"})
    assert (config.project_id, config.api_url, config.cache_reference) == ("5", "6", True)


# Ids


@pytest.mark.parametrize(
    "collector_id", ["main", "with space", "модель", "a.b", "x" * MAX_ID_LENGTH, "Livez", "%", "?#", "--"]
)
def test_an_id_may_be_almost_anything(collector_id):
    assert check_id(collector_id) == collector_id


@pytest.mark.parametrize(
    "collector_id",
    ["", "x" * (MAX_ID_LENGTH + 1), "a/b", "..", "a..b", ".", "\0nul", "a\nb", "\x7f", "\ud800", *sorted(RESERVED_IDS)],
)
def test_an_id_that_can_be_no_part_of_a_path_is_refused(collector_id):
    with pytest.raises(ValueError, match="id"):
        check_id(collector_id)


def test_the_key_is_the_id_whatever_id_says(tmp_path):
    assert _service(tmp_path, main=SOUND | {"id": "other"}).collectors["main"].id == "main"


def test_a_bad_key_is_refused_with_its_path():
    assert _problem({"collectors": {"a/b": SOUND}}, CollectorServiceConfig).startswith("collectors.a/b: ")


# Secrets


def test_a_secret_is_shown_nowhere():
    config = collector_config(api_secret="hunter2")
    service = CollectorServiceConfig(collectors={"main": config})
    for shown in (repr(config), str(config), repr(service), str(service), json.dumps(config.masked())):
        assert "hunter2" not in shown
    assert config.masked() == config.model_dump() | {"api_secret": MASK}


# Where things are


@pytest.mark.parametrize(("path", "file"), [(None, None), ("a.parquet", "/base/a.parquet"), ("/a", "/a")])
def test_a_relative_reference_starts_at_the_configs_directory(path, file):
    assert collector_config(reference_path=path).reference_file(Path("/base")) == (file and Path(file))


# The service's config as a value


def test_collectors_are_added_replaced_and_taken_out_of_a_copy():
    empty = CollectorServiceConfig(autosave=False)
    one = empty.with_collector(collector_config("a"))
    changed = collector_config("a", api_secret="x")
    assert (empty.collectors, list(one.collectors), one.autosave) == ({}, ["a"], False)
    assert one.with_collector(changed).collectors == {"a": changed}
    assert one.without_collector("a") == empty
    assert one.without_collector("b") == one


def test_what_the_original_used_and_we_do_not_is_named():
    used = {"type": "IntervalTrigger", "interval": 1, "last_triggered": 5}
    config = CollectorServiceConfig.parse({"check_interval": 2, "collectors": {"a": SOUND | {"trigger": used}}})
    assert config.unused() == ["check_interval", "collectors.a.trigger.last_triggered"]
    assert CollectorServiceConfig.parse({"collectors": {"a": SOUND}}).unused() == []


# The JSON Schema


def _fields():
    schema = CollectorServiceConfig.model_json_schema()
    for name, definition in {"CollectorServiceConfig": schema, **schema["$defs"]}.items():
        for field, place in definition.get("properties", {}).items():
            if field != "type":  # a tag: it names what its definition describes
                yield f"{name}.{field}", place


@pytest.mark.parametrize(("name", "place"), [pytest.param(*field, id=field[0]) for field in _fields()])
def test_each_field_of_the_schema_has_a_description(name, place):
    assert place.get("description", "").endswith(".")


def test_the_schema_knows_every_part():
    assert {name.partition(".")[0] for name, _ in _fields()} == {
        "CollectorServiceConfig",
        "CollectorConfig",
        "ReportConfig",
        "IntervalTrigger",
        "RowsCountTrigger",
        "RowsCountOrIntervalTrigger",
        "CronTrigger",
        "EventTimeTrigger",
        Alert.__name__,
        "Kafka",
        "FromKafka",
        "Input",
        "KServe",
        Storage.__name__,
        Limits.__name__,
        Idempotency.__name__,
        Retention.__name__,
        Sample.__name__,
        PrivateColumns.__name__,
        Labels.__name__,
        Condition.__name__,
        Segments.__name__,
        "ReferenceFrom",
    }


# What a client may name


@pytest.mark.parametrize(
    ("named", "field"),
    [
        ({"reference_path": "/etc/passwd"}, ("reference_path",)),
        ({"reference_path": "../reference.parquet"}, ("reference_path",)),
        ({"reference_path": "s3://bucket/reference.parquet"}, ("reference_path",)),
        ({"reference_path": "file:///etc/passwd"}, ("reference_path",)),
        ({"reference_path": "elsewhere/reference.parquet"}, ("reference_path",)),  # a symbolic link to the outside
        ({"api_url": "/srv/workspace"}, ("api_url",)),
        ({"api_url": "file:///srv/workspace"}, ("api_url",)),
        ({"api_url": "data/parts"}, ("api_url",)),
        ({"additional_data": {"current_train_data": "/etc/passwd"}}, ("additional_data", "current_train_data")),
    ],
)
def test_a_client_names_no_path_outside_the_configs_directory(tmp_path, named, field):
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "elsewhere").symlink_to(tmp_path)
    config = collector_config(api_url="workspace").model_copy(update=named)
    places = (tmp_path / "base", tmp_path / "base" / "data")
    assert config.outside(*places) == []
    assert [problem.path for problem in config.model_copy(update={"is_posted": True}).outside(*places)] == [field]


def test_a_reference_in_a_store_is_no_file_of_this_machine():
    config = collector_config(reference_path="s3://bucket/a.parquet")
    assert (config.remote_reference, config.reference_file(Path("/base"))) == ("s3://bucket/a.parquet", None)
    copied = config.compared_with(Path("/data/a.parquet"), cache_reference=False)
    assert (copied.remote_reference, copied.reference_file(Path("/base"))) == (None, Path("/data/a.parquet"))
    assert not copied.cache_reference


@pytest.mark.parametrize("reference", ["reference.parquet", "sub/reference.parquet", "data/references/a.parquet"])
def test_a_client_may_name_paths_inside(tmp_path, reference):
    config = collector_config(is_posted=True, reference_path=reference, api_url="workspace")
    assert config.outside(tmp_path, tmp_path / "data") == []


def test_a_password_in_an_address_and_a_providers_key_are_shown_masked():
    report = {"metrics": ["RowCount"], "options": [{"type": "openai", "api_key": "sk-hunter2"}]}
    shown = collector_config(api_url="http://me:hunter3@host:8000/ui", report_config=report).masked()
    assert "hunter" not in json.dumps(shown)
    assert shown["api_url"] == f"http://me:{MASK}@host:8000/ui"


def test_a_trigger_by_event_time_needs_the_column_that_tells_it():
    trigger = {"trigger": {"type": "EventTimeTrigger", "period": "1d"}}
    with pytest.raises(ConfigError) as refused:
        CollectorConfig.parse(SOUND | trigger)
    [problem] = refused.value.problems
    assert (problem.path, "needs the times of events" in problem.message) == (("timestamp_column",), True)
    assert CollectorConfig.parse(SOUND | trigger | {"timestamp_column": "ts"}).trigger.period == 86_400

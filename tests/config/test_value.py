import json
import stat
from typing import Any, ClassVar

import pytest
from fakes import collector_config
from pydantic import Field, ValidationError

from collector.config import CollectorConfig, CollectorServiceConfig
from collector.config.value import Value, at_fields, problems_of
from collector.errors import MAX_PROBLEMS, ConfigError

SOUND = collector_config().model_dump()


class _Inner(Value):
    always_written: ClassVar[frozenset[str]] = frozenset({"size"})

    size: int = Field(default=1, gt=0)
    limit: int = 10


class _Outer(Value):
    always_written: ClassVar[frozenset[str]] = frozenset({"text", "anything"})

    text: str = ""
    inner: _Inner = _Inner()
    names: list[str] = Field(default=[])
    anything: dict[str, Any] = Field(default={})


def _problems(kind, data):
    with pytest.raises(ConfigError) as caught:
        kind.parse(data)
    return [(problem.key, problem.message) for problem in caught.value.problems]


def test_a_value_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        _Outer().text = "other"


def test_new_fields_are_written_only_when_they_differ_from_their_default():
    assert _Outer().model_dump() == {"text": "", "anything": {}}
    assert _Outer(inner=_Inner(size=2), names=["a"]).model_dump() == {
        "text": "",
        "anything": {},
        "inner": {"size": 2},
        "names": ["a"],
    }


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        ({"txet": 1}, [("txet", "unknown field; did you mean 'text'?")]),
        ({"inner": {"siz": 1}}, [("inner.siz", "unknown field; did you mean 'size'?")]),
        ({"inner": {"zzz": 1}}, [("inner.zzz", "unknown field; known here: size, limit")]),
        ({"inner": {"size": 0}}, [("inner.size", "must be greater than 0")]),
        ({"inner": 5}, [("inner", "must be an object, not a number")]),
        ({"names": ["a", None]}, [("names.1", "must be a valid string")]),
        ([], [("", "must be an object, not a list")]),
        ("x", [("", "must be an object, not a string")]),
        (None, [("", "must be an object, not null")]),
        (True, [("", "must be an object, not a boolean")]),
    ],
)
def test_each_problem_has_its_path_and_what_was_meant(data, problems):
    assert _problems(_Outer, data) == problems


def test_all_problems_are_told_at_once():
    assert [key for key, _ in _problems(_Outer, {"inner": {"size": "x"}, "names": 1, "b": 2})] == [
        "inner.size",
        "names",
        "b",
    ]


def test_no_more_problems_are_told_than_anyone_reads():
    keys = [key for key, _ in _problems(_Outer, {f"name {number}": 1 for number in range(1000)})]
    assert (len(keys), keys[-1]) == (MAX_PROBLEMS, f"name {MAX_PROBLEMS - 1}")


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"report_config": {"metrics": [None]}}, "report_config.metrics.0"),
        ({"report_config": {"metrics": ["X"], "options": 5}}, "report_config.options"),
        ({"trigger": {"type": "RowsCountTrigger", "rows_cuont": 5}}, "trigger.rows_cuont"),
        (
            {"trigger": {"type": "RowsCountOrIntervalTrigger", "rows_count_trigger": {}, "interval_trigger": 5}},
            "trigger.interval_trigger",
        ),
    ],
)
def test_a_path_holds_only_what_stands_in_the_json(changes, key):
    """Neither the tags nor the names of a union's members are a part of it."""
    assert {problem for problem, _ in _problems(CollectorConfig, SOUND | changes)} == {key}


@pytest.mark.parametrize("collector_id", ["main", "evidently:main", "[key]"])
def test_a_path_holds_the_collectors_id_whatever_it_looks_like(collector_id):
    problems = _problems(CollectorServiceConfig, {"collectors": {collector_id: SOUND | {"trigger": 1}}})
    assert [key for key, _ in problems] == [f"collectors.{collector_id}.trigger"]


def test_an_unknown_field_of_a_trigger_is_explained_by_that_triggers_fields():
    data = SOUND | {"trigger": {"type": "RowsCountTrigger", "interval": 30}}
    assert _problems(CollectorConfig, data) == [("trigger.interval", "unknown field; known here: type, rows_count")]


def test_a_validator_may_speak_of_several_fields():
    details = {"type": at_fields("are needed", "a", "b"), "loc": ("x",), "input": {}}
    error = ValidationError.from_exception_data("Outer", [details])
    assert [str(problem) for problem in problems_of(error, _Outer)] == ["x.a: are needed", "x.b: are needed"]


def test_a_value_is_saved_for_its_owner_only_and_loads_equal(tmp_path):
    path = tmp_path / "value.json"
    value = _Outer(text="м", anything={"x": [1, None, float("inf")]})
    value.save(path)
    assert _Outer.load(path) == value
    assert "м" in path.read_text(encoding="utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_loaded_can_be_saved(tmp_path):
    """A lone surrogate passes Python's JSON parser and fits into no file: it is refused when it comes."""
    path = tmp_path / "value.json"
    path.write_text('{"anything": {"x": "\\ud800"}}')
    try:
        value = _Outer.load(path)
    except ConfigError:
        return
    value.save(path)


def test_problems_of_a_file_name_it(tmp_path):
    path = tmp_path / "value.json"
    path.write_text(json.dumps({"inner": {"size": 0}}))
    with pytest.raises(ConfigError) as caught:
        _Outer.load(path)
    assert str(caught.value) == f"{path}: inner.size (line 1, column 20): must be greater than 0"


@pytest.mark.parametrize("data", [{"api_secret": "hunter2"}, SOUND | {"api_secret": ["hunter2"]}])
def test_a_refusal_tells_no_secret_nor_does_its_cause(data):
    """Python prints the causes of an error that nobody catches."""
    with pytest.raises(ConfigError) as caught:
        CollectorConfig.parse(data)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in str(caught.value.__cause__)

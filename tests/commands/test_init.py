"""``init``: what it asks, and what it writes."""

import io
import json
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from collector.commands.init import Given, ask_in_terminal, init, take_default
from collector.config import CollectorServiceConfig
from collector.config.schema import file_schema
from collector.errors import CommandError, ConfigError

ROWS = "id,age,plan,churned,predicted\n" + "".join(
    f"{number},{number * 7 % 60 + 18},{['basic', 'pro'][number % 2]},{number % 3 % 2},{number % 2}\n"
    for number in range(40)
)


class Person:
    """Answers questions by their first words, and takes the default for others; what was asked is kept."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    def __call__(self, question, default, check):
        self.asked.append(question)
        said = next((answer for words, answer in self.answers.items() if words in question), default)
        return check(said)


@pytest.fixture
def reference(tmp_path):
    path = tmp_path / "customers.csv"
    path.write_text(ROWS, encoding="utf-8")
    return path


@pytest.fixture
def run(tmp_path):
    """Run it; give what it said, and the collector that it wrote."""

    def run(ask=take_default, name="collector_config.json", *, may_overwrite=False, **given):
        console = Console(file=io.StringIO(), width=100)
        path = tmp_path / name
        init(Given(**given), path, console, ask, may_overwrite=may_overwrite)
        written = json.loads(path.read_text(encoding="utf-8"))
        [(collector_id, collector)] = written["collectors"].items()
        return console.file.getvalue(), collector_id, collector

    return run


def test_a_reference_alone_is_enough(run, reference, tmp_path):
    said, collector_id, collector = run(reference=str(reference))
    assert collector_id == "customers"
    assert collector["trigger"] == {"type": "RowsCountTrigger", "rows_count": 500}
    assert collector["report_config"]["metrics"] == ["DataDriftPreset"]
    assert (collector["reference_path"], collector["api_url"]) == ("customers.parquet", "workspace")
    assert collector["data_definition"]["categorical_columns"] == ["plan", "churned", "predicted"]
    assert (tmp_path / "customers.parquet").exists()
    assert "evidently-collector send FILE --id customers" in said


@pytest.mark.parametrize(("answer", "column"), [("y", "seen"), ("n", None)])
def test_a_column_of_times_is_offered_as_that_of_the_events_and_the_past_with_it(run, tmp_path, answer, column):
    rows = "".join(f"{number % 60},2024-03-{number % 28 + 1:02}T{number % 24:02}:00:00Z\n" for number in range(100))
    (tmp_path / "timed.csv").write_text("age,seen\n" + rows, encoding="utf-8")
    said, _, collector = run(Person(happened=answer), reference=str(tmp_path / "timed.csv"))
    assert collector.get("timestamp_column") == column
    assert ("evidently-collector backfill timed FILES --time seen" in said) == (column is not None)


def test_what_is_written_loads_and_names_its_schema(run, reference, tmp_path):
    run(reference=str(reference), name="mine.json")
    config = CollectorServiceConfig.load(tmp_path / "mine.json")
    assert config.collectors["customers"].workspace_kind == "directory"
    assert json.loads((tmp_path / "mine.json").read_bytes())["$schema"] == "mine.schema.json"
    assert json.loads((tmp_path / "mine.schema.json").read_bytes()) == file_schema()


def test_the_fields_that_people_change_are_written_out_whatever_they_are(run, tmp_path):
    run()
    written = json.loads((tmp_path / "collector_config.json").read_bytes())
    assert {"autosave", "data_dir", "durability", "evaluation_timeout", "evaluation_workers"} <= written.keys()
    default = CollectorServiceConfig().model_copy(update={"collectors": {}})
    loaded = CollectorServiceConfig.load(tmp_path / "collector_config.json")
    assert loaded.model_copy(update={"collectors": {}, "storage": default.storage}) == default


def test_without_a_reference_what_needs_none_is_computed(run):
    _, collector_id, collector = run()
    assert (collector_id, collector["report_config"]["metrics"]) == ("main", ["DataSummaryPreset"])
    assert "reference_path" not in collector
    assert "data_definition" not in collector


def test_options_are_not_asked_for(run, reference):
    person = Person()
    _, collector_id, collector = run(
        person,
        reference=str(reference),
        target="churned",
        prediction="predicted",
        id="churn",
        trigger="every:1h",
        presets=["DataDriftPreset", "ClassificationPreset"],
        workspace="http://localhost:8000",
        project="018f0000-0000-7000-8000-00000000000a",
    )
    assert person.asked == []
    assert collector_id == "churn"
    assert collector["project_id"] == "018f0000-0000-7000-8000-00000000000a"
    assert collector["trigger"]["interval"] == 3600


def test_answers_make_the_config(run, reference):
    answers = {"Reference": str(reference), "Id of": "churn", "When": "rows:50", "Where": "w", "The project": "Churn"}
    person = Person(**answers)
    _, collector_id, collector = run(person)
    assert len(person.asked) == 6  # and what to compute
    assert (collector_id, collector["api_url"], collector["project_name"]) == ("churn", "w", "Churn")
    assert collector["trigger"]["rows_count"] == 50


def test_a_true_value_that_events_carry_makes_a_preset_of_quality(run, tmp_path):
    (tmp_path / "r.csv").write_text(ROWS.replace("churned", "target"), encoding="utf-8")
    asked = Person(**{"looks like the true value": "y"})
    _, _, collector = run(asked, reference=str(tmp_path / "r.csv"))
    assert collector["report_config"]["metrics"] == ["DataDriftPreset", "ClassificationPreset"]
    assert collector["data_definition"]["classification"][0]["target"] == "target"


def test_texts_are_kept_out_of_the_drift(run, tmp_path):
    lines = [f'{number},"a long enough text, number {number}"\n' for number in range(30)]
    (tmp_path / "r.csv").write_text("age,review\n" + "".join(lines), encoding="utf-8")
    _, _, collector = run(reference=str(tmp_path / "r.csv"))
    assert collector["data_definition"]["text_columns"] == ["review"]
    assert collector["report_config"]["metrics"] == [{"type": "DataDriftPreset", "columns": ["age"]}]


def test_a_file_that_is_there_is_not_overwritten_unless_that_is_said(run, reference, tmp_path):
    path = tmp_path / "collector_config.json"
    for kept in (path, tmp_path / "collector_config.schema.json", tmp_path / "customers.parquet"):
        kept.write_bytes(b"{}")
        with pytest.raises(CommandError, match=rf"{kept.name} would be overwritten"):
            run(reference=str(reference))
        assert kept.read_bytes() == b"{}"
        kept.unlink()
    path.write_bytes(b"{}")
    assert run(Person(Overwrite="y"), reference=str(reference))[1] == "customers"
    assert run(reference=str(reference), may_overwrite=True)[1] == "customers"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"reference": "no.csv"}, "there is no file"),
        ({"target": "chrned"}, "has no column 'chrned'"),
        ({"id": "a/b"}, "an id has no '/'"),
        ({"trigger": "daily"}, "'daily' isn't a trigger"),
        ({"presets": ["Drift"]}, "'Drift' isn't a preset that init knows"),
        ({"workspace": ""}, "can't be empty"),
        ({"workspace": "ftp://there"}, "isn't the address of a service"),
    ],
)
def test_what_can_not_be_is_refused_and_nothing_is_written(run, reference, tmp_path, given, says):
    with pytest.raises(CommandError, match=says):
        run(**{"reference": str(reference)} | given)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["customers.csv"]


def test_a_cron_line_that_is_none_is_refused_by_the_config(run):
    with pytest.raises(ConfigError, match="isn't a cron line"):
        run(trigger="cron:61 * * * *")


def test_in_a_terminal_a_question_comes_again_until_its_answer_can_be_taken():
    app = typer.Typer()

    def check(answer):
        if answer not in {"1", "2"}:
            raise CommandError("it is 1 or 2", "say one")
        return int(answer)

    @app.command()
    def ask():
        typer.echo(f"got {ask_in_terminal('Which', '3', check) + 1}")

    output = CliRunner().invoke(app, input="\nx\n 2\n").output  # the default, 3, can't be taken either
    assert output.count("Error: it is 1 or 2; say one") == 2
    assert output.endswith("got 3\n")


def test_a_rows_trigger_is_tried_on_a_reference_that_has_rows_enough(run, reference, monkeypatch):
    tried = []
    monkeypatch.setattr(
        "collector.commands.init.advice_on_size", lambda config, rows, _: tried.append((config.id, rows)) or ["told"]
    )
    assert "\ntold\n" in run(reference=str(reference), trigger="rows:20")[0]
    for trigger in ("rows:21", "every:1h"):
        assert "told" not in run(reference=str(reference), trigger=trigger, may_overwrite=True)[0]
    assert tried == [("customers", 20)]


def test_what_comes_next_ends_with_where_to_look(run, reference):
    assert "\nlook   evidently ui --workspace" in run(reference=str(reference))[0]
    said = run(reference=str(reference), workspace="http://localhost:8000", may_overwrite=True)[0]
    assert said.endswith("look   http://localhost:8000   the snapshots\n")


def test_a_column_that_looks_like_the_target_is_named_with_what_to_type(run, reference):
    assert "'churned' is left out" not in run(reference=str(reference))[0]
    reference.write_text(ROWS.replace("churned", "label", 1), encoding="utf-8")
    said = run(reference=str(reference), may_overwrite=True)[0]
    assert "'label' is left out, as true values mostly come later (else: --target label)" in said


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_of_what_comes_next_is_wider_than_the_terminal(reference, tmp_path, monkeypatch, width):
    monkeypatch.chdir(tmp_path)
    console = Console(file=io.StringIO(), width=width)
    init(Given(reference=reference.name), Path("collector_config.json"), console, take_default)
    steps = console.file.getvalue().partition("\nwrote")[2].splitlines()
    assert len(steps) >= 4
    assert max(len(line) for line in steps) <= width


def test_the_title_of_a_narrow_table_stays_on_its_line(reference, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reference.write_text("a\n1\n2\n", encoding="utf-8")
    console = Console(file=io.StringIO(), width=80)
    init(Given(reference=reference.name), Path("collector_config.json"), console, take_default)
    assert "customers.csv: 2 rows, 1 column" in console.file.getvalue().splitlines()

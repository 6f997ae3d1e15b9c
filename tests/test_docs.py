"""The docs against the code: each setting, route, option and file that they name is there, and none is left out."""

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from collector import cli
from collector.config import Alert, CollectorConfig, CollectorServiceConfig, Idempotency, Limits, Retention, Storage
from collector.config.alerts import LASTING, OF_BATCHES
from collector.config.kafka import FromKafka, Kafka
from collector.config.senders import KServe
from collector.ingest.http.app import Handlers, make_app
from collector.ingest.http.draining import Draining

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "configs").glob("*.md")}
SETTINGS = GUIDES["settings.md"]
DOCUMENTS = [ROOT / "README.md", *ROOT.glob("*/*.md")]
MAX_LINES = 100
# Said by other words where the original's users look for them.
UNUSED = {"type", "id", "collectors"}


def test_the_readme_is_read_in_a_few_minutes():
    assert len(README.splitlines()) <= MAX_LINES


def test_every_guide_stands_in_the_list_of_guides():
    for directory in ("configs", "examples"):
        guides = {path.name for path in (ROOT / directory).glob("*.md")} - {"README.md"}
        listed = (ROOT / directory / "README.md").read_text(encoding="utf-8")
        assert [name for name in guides if f"({name})" not in listed] == []


def test_every_setting_of_a_collector_stands_in_the_settings():
    missing = [name for name in CollectorConfig.model_fields if name not in UNUSED and f"`{name}`" not in SETTINGS]
    assert missing == []


def test_every_setting_of_the_service_stands_with_its_default_in_its_table():
    parts = {"": CollectorServiceConfig, "storage.": Storage, "limits.": Limits}
    parts |= {"idempotency.": Idempotency, "retention.": Retention}
    settings = {
        prefix + name: as_told(field.get_default(call_default_factory=True))
        for prefix, model in parts.items()
        for name, field in model.model_fields.items()
        if name not in {"type", "collectors", "check_interval", "storage", "limits", "idempotency", "retention"}
    }
    assert dict(re.findall(r"^\| `([a-z_.]+)` \| ([^|]+) \|", section("Of the service"), re.MULTILINE)) == settings


def test_every_field_of_an_alert_and_each_of_its_conditions_stands_in_their_tables():
    told = GUIDES["alerts.md"]
    fields = {field.alias or name: field.description for name, field in Alert.model_fields.items()}
    assert dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|", told, re.MULTILINE)) == fields
    assert set(re.findall(r"^\| `(\w+)` \| when ", told, re.MULTILINE)) == {*OF_BATCHES, *LASTING}


def test_every_field_of_kafka_stands_in_its_guide():
    told = re.findall(r"^\| `(\w+)` \| ", GUIDES["kafka.md"], re.MULTILINE)
    assert told == [*Kafka.model_fields, *FromKafka.model_fields]


def test_every_field_of_kserve_stands_with_its_default_in_its_guide():
    told = re.findall(r"^\| `(\w+)` \| .* \| ([^|]+) \|$", GUIDES["kserve.md"], re.MULTILINE)
    assert [name for name, _ in told] == list(KServe.model_fields)
    assert dict(told)["pair"] == f'`"{KServe().pair}"`'
    assert dict(told)["wait"] == f"`{KServe().wait:g}`"


def section(title):
    return SETTINGS.partition(f"## {title}")[2].partition("\n## ")[0]


def as_told(value):
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{int(value):,}".replace(",", " ")
    return "none" if value in (None, ()) else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def test_every_route_stands_in_the_http_api_and_none_other():
    app = make_app(Handlers(None, None, None, None, Draining(), None, None, None, None))
    there = {
        (method, rule.rule.replace("<collector_id>", "{id}"))
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert set(re.findall(r"`(GET|POST|DELETE) (/[^`]*)`", GUIDES["http_api.md"])) == there


def test_every_option_and_command_stands_in_the_settings():
    command = get_command(cli.app)
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    missing = [name for name in {*options, *command.commands} - {"--version"} if name not in section("Of the command")]
    assert missing == []


def test_every_file_that_a_document_links_to_is_there():
    for document in DOCUMENTS:
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", document.read_text(encoding="utf-8")):
            path = document.parent / target if target else document
            assert path.exists(), f"{document.name}: {target}"
            if anchor and path.suffix == ".md":
                assert anchor in anchors(path), f"{document.name}: {target}#{anchor}"


def anchors(path):
    """Return what GitHub calls the headings of a document."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS])
def test_every_command_that_a_document_shows_is_one(path):
    blocks = re.findall(r"```bash\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    for line in "\n".join(blocks).splitlines():
        found = re.match(r"(?:sudo )?evidently[- ]collector\b(.*)", line.partition("  #")[0])
        if found:
            arguments = shlex.split(found[1].partition("|")[0])
            done = CliRunner().invoke(cli.app, [*arguments, "--help"])  # reads all options, and carries nothing out
            assert done.exit_code == 0, f"{line}: {done.output}"


SHOWN = [
    pytest.param(block, id=f"{path.name}-{at}")
    for path in DOCUMENTS
    for at, block in enumerate(re.findall(r"```json\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL))
]
WHOLE = {"trigger": {"type": "RowsCountTrigger"}, "report_config": {"metrics": ["RowCount"]}, "project_name": "Main"}


@pytest.mark.parametrize("block", SHOWN)
def test_every_piece_of_a_config_that_a_document_shows_is_taken(block, tmp_path):
    fields = json.loads((block if block.startswith("{") else f"{{{block}}}").replace(", …}", "}"))
    if "metrics" in fields:
        fields = {"report_config": fields}
    if not fields.keys() & {"collectors", "alerts"}:
        fields = {"collectors": {"main": fields}}
    fields["collectors"] = {name: WHOLE | one for name, one in fields.get("collectors", {}).items()}
    (tmp_path / "config.json").write_text(json.dumps(fields), encoding="utf-8")
    assert CollectorServiceConfig.load(tmp_path / "config.json").collectors.keys() == fields["collectors"].keys()


def test_every_promise_that_faults_are_made_against_names_its_test():
    tests = (ROOT / "tests" / "integration" / "faults").glob("test_*.py")
    proofs = {path.name for path in tests if "\nPROMISE = " in path.read_text(encoding="utf-8")}
    proven = re.findall(r"\(\.\./tests/integration/faults/(\w+\.py)\)", GUIDES["promises.md"])
    assert proofs - set(proven) == set()
    assert len(proofs) > 5


def test_the_curl_line_is_that_of_evidentlys_own_docs():
    body = '{"column1": {"0": 7.0, "1": 5.0}, "column2": {"0": "a", "1": "b"}}'
    line = f"curl -d '{body}' -H 'Content-Type: application/json' http://localhost:8001/default/data"
    assert line in README


@pytest.mark.parametrize("name", ["quickstart.json", "cloud.json", "every_field.json"])
def test_each_config_that_ships_loads(name):
    assert CollectorServiceConfig.load(ROOT / "configs" / name).collectors


def test_every_field_has_every_field():
    written = json.loads((ROOT / "configs" / "every_field.json").read_text(encoding="utf-8"))
    of_collectors = {name for collector in written["collectors"].values() for name in collector}
    assert set(written) == set(CollectorServiceConfig.model_fields)
    assert of_collectors == set(CollectorConfig.model_fields)
    assert {name for alert in written["alerts"] for name in alert} == {
        field.alias or name for name, field in Alert.model_fields.items()
    }
    assert set(written["kafka"]) == set(Kafka.model_fields)
    assert {name for one in written["collectors"].values() for name in one.get("kafka", {})} == {
        *FromKafka.model_fields
    }
    assert set(written["limits"]) == set(Limits.model_fields)
    assert set(written["retention"]) == set(Retention.model_fields)

"""The docs against the code: each setting, route, option and file that they name is there, and none is left out."""

import json
import re
from pathlib import Path

import pytest
from typer.main import get_command

from collector import cli
from collector.config import CollectorConfig, CollectorServiceConfig, Limits, Retention, Storage
from collector.daemon import make_app
from collector.ingest.draining import Draining

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# Said by other words where the original's users look for them.
UNUSED = {"type", "id", "collectors"}


@pytest.mark.parametrize("model", [CollectorServiceConfig, CollectorConfig, Limits, Retention, Storage])
def test_every_setting_stands_in_the_readme(model):
    missing = [name for name in model.model_fields if name not in UNUSED and not re.search(rf"\b{name}\b", README)]
    assert missing == []


def test_every_default_in_the_readme_is_the_codes():
    told = re.findall(r"`([a-z_.]+)` \(`?\"?([\w ]+?)\"?`?(?: s)?[);:]", README)
    service = CollectorServiceConfig()
    checked = 0
    for name, text in told:
        value = service
        for part in name.split("."):
            value = getattr(value, part, None)
        if value is not None:
            assert str(value).lower().removesuffix(".0") == text.replace(" ", "").lower(), name
            checked += 1
    assert checked >= 8


def test_every_route_stands_in_the_readme_and_none_other():
    app = make_app(intake=None, draining=Draining(), scrape=None)
    there = {
        (method, rule.rule.replace("<collector_id>", "{id}"))
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert set(re.findall(r"`(GET|POST|DELETE) (/[^`]*)`", README.partition("## Configuration")[0])) == there


def test_every_option_and_command_stands_in_the_readme():
    command = get_command(cli.app)
    options = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    missing = [name for name in {*options, *command.commands} - {"--version"} if name not in README]
    assert missing == []


def test_every_file_that_a_document_links_to_is_there():
    for document in [ROOT / "README.md", *ROOT.glob("*/README.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_promise_that_faults_are_made_against_names_its_test_in_the_readme():
    tests = (ROOT / "tests" / "integration" / "faults").glob("test_*.py")
    proofs = {path.name for path in tests if "\nPROMISE = " in path.read_text(encoding="utf-8")}
    table = README.partition("## What is promised")[2].partition("\n## ")[0]
    assert proofs - set(re.findall(r"\(tests/integration/faults/(\w+\.py)\)", table)) == set()
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
    assert set(written["limits"]) == set(Limits.model_fields)
    assert set(written["retention"]) == set(Retention.model_fields)

import json

import pytest
from fakes import collector_config

from collector.config import CollectorServiceConfig
from collector.views.page.config_lines import config_lines, ui_address

SERVICE = CollectorServiceConfig()


def lines_of(config, text):
    line, fields = config_lines(config, text)
    return line, {field.name: field.line for field in fields}


def test_each_field_has_its_line():
    config = collector_config("b", reference_path="reference.parquet")
    service = SERVICE.with_collector(collector_config("a")).with_collector(config)
    text = service.to_text()
    line, fields = lines_of(config, text)
    rows = text.splitlines()
    assert '"b": {' in rows[line - 1]
    assert '"reference_path": "reference.parquet"' in rows[fields["reference_path"] - 1]
    assert rows[fields["project_id"] - 1].startswith('      "project_id"')
    assert fields["project_id"] > line


def test_a_file_in_one_line_has_one_line():
    config = collector_config("b")
    written = {"collectors": {"a": collector_config("a").model_dump(), "b": config.model_dump()}}
    line, fields = lines_of(config, json.dumps(written))
    assert (line, set(fields.values())) == (1, {1})


def test_what_is_not_in_the_file_has_no_line():
    assert lines_of(collector_config(), "{}") == (0, dict.fromkeys(lines_of(collector_config(), "{}")[1], 0))


def test_a_field_that_is_not_written_is_shown_if_it_says_something():
    written = {"collectors": {"main": {"trigger": {"type": "RowsCountTrigger", "rows_count": 5}}}}
    _, fields = lines_of(collector_config(), json.dumps(written, indent=1))
    assert fields["trigger"] == 4
    assert fields["api_url"] == 0
    assert "reference_path" not in fields


def test_secrets_are_masked():
    config = collector_config(api_secret="let-me-in", api_url="https://me:pass@ui:8000")
    _, fields = config_lines(config, SERVICE.with_collector(config).to_text())
    shown = " ".join(field.value for field in fields)
    assert "let-me-in" not in shown
    assert ":pass@" not in shown


@pytest.mark.parametrize(
    ("config", "service", "address"),
    [
        ({"api_url": "http://ui:8000/"}, {}, "http://ui:8000/projects/018f0000-0000-7000-8000-00000000000a"),
        ({"api_url": "workspace"}, {}, ""),
        (
            {"api_url": "workspace"},
            {"ui_url": "https://ui"},
            "https://ui/projects/018f0000-0000-7000-8000-00000000000a",
        ),
        ({"api_url": "http://ui:8000", "project_id": None, "project_name": "churn"}, {}, "http://ui:8000"),
        ({"api_url": "javascript://x/%0aalert(1)"}, {}, ""),
    ],
)
def test_the_project_is_found_in_the_ui(config, service, address):
    assert ui_address(collector_config(**config), CollectorServiceConfig.parse(service)) == address

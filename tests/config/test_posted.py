"""What a client that posts a config may say in it."""

import pytest
from fakes import collector_config

from collector.config import CollectorConfig
from collector.config.masking import MASK
from collector.config.posted import as_meant
from collector.errors import ConfigError

KEY = {"type": "OpenAIKey", "api_key": "sk-operator", "api_url": "http://proxy.internal/v1"}
REPORT = {"metrics": ["RowCount"], "options": [KEY]}


def keys_told(config, known=None):
    with pytest.raises(ConfigError) as caught:
        as_meant(config, known)
    return [problem.key for problem in caught.value.problems]


def posted_back(known, **changed):
    """Return a config that a client was shown, with what it changes in it."""
    return CollectorConfig.parse(known.masked() | changed)


def test_a_client_names_no_address_of_a_provider():
    """The operator's OPENAI_API_KEY was sent to it."""
    report = {"metrics": ["RowCount"], "options": [{"type": "OpenAIKey", "api_url": "127.0.0.1:9/v1"}]}
    assert keys_told(collector_config(report_config=report)) == ["report_config.options.0.api_url"]


def test_a_client_may_use_a_key_of_its_own_with_the_providers_own_address():
    report = {"metrics": ["RowCount"], "options": [{"type": "OpenAIKey", "api_key": "sk-own"}]}
    config = as_meant(collector_config(report_config=report), None)
    assert (config.report_config.options, config.is_posted) == (report["options"], True)


@pytest.mark.parametrize(
    ("report", "key"),
    [
        ({"metrics": [{"type": "ValueDrift", "column": "s3://bucket/a"}]}, "report_config.metrics.0.column"),
        ({"descriptors": [{"type": "HuggingFace", "model": "file:///etc"}]}, "report_config.descriptors.0.model"),
        ({"options": [{"deep": {"er": ["http://127.0.0.1"]}}]}, "report_config.options.0.deep.er.0"),
        ({"options": [{"base_url": "127.0.0.1"}]}, "report_config.options.0.base_url"),
        ({"descriptors": [{"model": "simplecache::s3://a"}]}, "report_config.descriptors.0.model"),
    ],
)
def test_a_client_names_nothing_with_a_scheme_in_a_report(report, key):
    assert keys_told(collector_config(report_config=report)) == [key]


@pytest.mark.parametrize(
    ("named", "key"),
    [
        ({"api_url": "file:///base/workspace"}, "api_url"),
        ({"api_url": "file:workspace"}, "api_url"),
        ({"api_url": "s3://bucket"}, "api_url"),
        ({"reference_path": "s3://bucket/reference.parquet"}, "reference_path"),
        ({"reference_path": "file:reference.parquet"}, "reference_path"),
        ({"reference_path": "file:///etc/reference.parquet"}, "reference_path"),
        ({"reference_path": "gs://bucket/reference.parquet"}, "reference_path"),
        ({"additional_data": {"train": "s3://bucket/train"}}, "additional_data.train"),
        ({"data_definition": {"id_column": "s3://bucket/a"}}, "data_definition.id_column"),
        ({"column_mapping": {"target": "FILE:///etc/passwd"}}, "column_mapping.target"),
    ],
)
def test_a_client_names_no_place_with_a_scheme(named, key):
    assert keys_told(collector_config(**named)) == [key]


def test_texts_that_nothing_opens_may_hold_addresses():
    report = {"metrics": ["RowCount"], "metadata": {"run": "https://ci.example/7"}, "tags": ["https://git.example"]}
    assert as_meant(collector_config(report_config=report, api_url="http://ui:8000"), None).is_posted


def test_a_key_that_comes_back_masked_stays_though_the_report_is_changed():
    known = collector_config(report_config=REPORT)
    report = posted_back(known).report_config.model_dump() | {"metrics": ["ColumnCount"]}
    config = as_meant(posted_back(known, report_config=report), known)
    assert (config.report_config.options, config.report_config.metrics) == ([KEY], ["ColumnCount"])
    assert config.is_posted


def test_what_comes_back_as_it_was_shown_changes_nothing():
    known = collector_config(report_config=REPORT, api_url="http://me:pass@host:8000", api_secret="s")
    assert as_meant(posted_back(known), known) == known


@pytest.mark.parametrize("changed", [{"api_url": "http://evil/v1"}, {"type": "MistralOptions"}, {"limits": {"rpm": 1}}])
def test_a_masked_key_is_not_sent_elsewhere(changed):
    """Where what stands beside it was changed, the key may have been meant for another provider."""
    known = collector_config(report_config=REPORT)
    option = {**KEY, "api_key": MASK} | changed
    told = keys_told(posted_back(known, report_config={"metrics": ["RowCount"], "options": [option]}), known)
    assert "report_config.options.0.api_key" in told


def test_a_mask_that_hides_nothing_is_told():
    report = {"metrics": ["RowCount"], "options": [{"type": "OpenAIKey", "api_key": MASK}]}
    assert keys_told(collector_config(report_config=report)) == ["report_config.options.0.api_key"]


def test_another_trigger_alone_leaves_the_config_the_operators():
    known = collector_config(report_config=REPORT)
    changed = posted_back(known, trigger={"type": "RowsCountTrigger", "rows_count": 7})
    assert not as_meant(changed, known).is_posted


def test_all_that_a_client_may_not_say_is_told_at_once():
    config = collector_config(api_url="s3://a", api_secret=MASK, report_config={"options": [{"api_url": "a"}]})
    assert keys_told(config) == ["api_secret", "api_url", "report_config.options.0.api_url"]


def test_a_client_names_no_topics_but_those_that_the_operator_wrote():
    """They would be read with the operator's rights, and their events sent where the client says."""
    operators, clients = (collector_config(kafka={"topics": [name]}) for name in ("predictions", "payroll"))
    assert keys_told(clients) == keys_told(clients, operators) == keys_told(clients, collector_config()) == ["kafka"]
    assert as_meant(operators, operators).kafka == operators.kafka

"""Rules for alerts as an operator writes them."""

import pytest

from collector.config import Alert, CollectorServiceConfig
from collector.config import alerts as module
from collector.config.alerts import address_key, problems_of, shown_address, without_address
from collector.errors import ConfigError

HOOK = "https://hooks.example/T000/B000/token"


def rule(when="drift", **fields):
    return Alert.parse({"when": when, "to": [HOOK]} | fields)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"to": []}, "to: names nobody"),
        ({"to": ["hooks.example"]}, "to.0: isn't an address"),
        ({"to": ["https://a b"]}, "to.0: has spaces"),
        ({"when": "disks"}, "when: must be 'tests_failed'"),
        ({"form": 3}, "form: unknown field; did you mean 'for'"),
        ({"for": "15m"}, "for: is a duration"),
        ({"when": "undelivered", "after": 2}, "after: counts batches"),
        ({"when": "no_events"}, "for: field required: write how long"),
        ({"when": "no_events", "for": "soon"}, "for: isn't a duration"),
        ({"when": "disk", "collectors": ["a"]}, "collectors: the disk belongs to the whole service"),
        ({"when": "batch_failed", "columns": ["a"]}, "columns: is for drift only"),
        ({"repeat": 0}, "repeat: must be greater than 0"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_field_and_without_the_address(fields, says):
    with pytest.raises(ConfigError, match=f"^{says}") as caught:
        rule(**fields)
    assert "token" not in str(caught.value)


def test_an_unknown_field_is_told_with_its_place_in_the_whole_config():
    with pytest.raises(ConfigError, match=r"alerts.0.collector: unknown field; did you mean 'collectors'"):
        CollectorServiceConfig.parse({"alerts": [{"when": "drift", "to": [HOOK], "collector": ["a"]}]})


def test_rules_are_written_as_they_are_read():
    config = CollectorServiceConfig(alerts=(rule(after=2, columns=["a"]), rule("no_events", **{"for": "15m"})))
    assert CollectorServiceConfig.parse_text(config.to_text().encode()) == config
    assert config.model_dump()["alerts"][1] == {"when": "no_events", "to": (HOOK,), "for": 900.0}


@pytest.mark.parametrize(
    ("when", "patterns", "collector_id", "is_about"),
    [
        ("drift", ["churn*"], "churn-eu", True),
        ("drift", ["churn*"], "Churn-eu", False),
        ("drift", ["a", "b"], "b", True),
        ("drift", ["a[1]"], "a[1]", True),
        ("drift", ["a"], "a~task2", True),  # a task of it
        ("drift", ["a"], "ab~task2", False),
        ("drift", ["*"], "", False),
        ("disk", None, "", True),
        ("disk", None, "churn", False),
    ],
)
def test_patterns_say_which_collectors_it_is_about(when, patterns, collector_id, is_about):
    fields = {} if patterns is None else {"collectors": patterns}
    assert rule(when, **fields).is_about(collector_id) is is_about


def test_a_rule_that_says_something_else_has_another_key():
    keys = [rule().key, rule(after=2).key, rule(to=[HOOK, HOOK + "2"]).key, rule(collectors=["a"]).key]
    assert len(set(keys)) == len(keys)
    assert rule(repeat="1h", resolved=False).key == rule().key


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (HOOK, "https://hooks.example/********"),
        ("https://user:password@host:9093", "https://host:9093/********"),
        ("http://localhost:9093/", "http://localhost:9093"),
        ("http://host?token=a", "http://host/********"),
        ("http://[host/token", "http:///********"),
        ("slack://TokenA/TokenB", "slack://********"),
        ("${HOOK}", "${HOOK}"),
        ("token", "********"),
    ],
)
def test_of_an_address_no_token_is_shown(address, shown):
    assert shown_address(address) == shown


@pytest.mark.parametrize(
    ("address", "said", "told"),
    [
        (HOOK, "no /T000/B000/token at hooks.example", "no /T000/B000/******** at hooks.example"),
        ("https://user:password@host", "user 'user' or 'password' at host", "user 'user' or '********' at host"),
        ("https://host/hook?token=se%2Fcret%20token", "bad hook: se/cret token", "bad hook: ********"),
        ("mailto://me:password@mail.example", "mail.example: bad password", "********: bad ********"),
    ],
)
def test_what_others_say_is_told_without_tokens(address, said, told):
    assert without_address(said, address) == told


def test_neither_a_printed_rule_nor_its_key_has_the_address():
    assert "token" not in repr(rule()) + rule().key + address_key(HOOK)


def test_what_the_environment_lacks_is_told_without_what_it_has(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    monkeypatch.setenv("HOST", "hooks.example/token")
    monkeypatch.setenv("BAD", "token")
    rules = (
        rule(to=["https://${HOST}", "slack://${LACKING_TOKEN}", "slack://token", "${BAD}", "https:///token"]),
        rule("tests_failed"),
        rule("tests_failed", repeat="1h"),
    )
    problems = {problem.key: problem.message for problem in problems_of(rules)}
    assert list(problems) == ["alerts.0.to.1", "alerts.0.to.2", "alerts.0.to.3", "alerts.0.to.4", "alerts.2"]
    assert "no variable LACKING_TOKEN" in problems["alerts.0.to.1"]
    assert problems["alerts.0.to.2"] == "'slack' takes an extra: pip install 'evidently-collector[alerts]'"
    assert problems["alerts.2"] == "repeats alerts.1; take one of them out"
    assert "token" not in "".join(problems.values())

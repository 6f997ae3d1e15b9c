"""Addresses are checked without sending anything to them."""

from worlds import collector

from collector.alerts.checking import doubts, find_problems
from collector.config import CollectorServiceConfig

from .receivers import HOOK, rule


async def test_only_what_goes_by_apprise_is_asked_of_apprise(monkeypatch):
    asked = []
    monkeypatch.setattr("collector.alerts.by_apprise.problem_of", lambda address: asked.append(address) or "is none")
    monkeypatch.setenv("SLACK", "slack://token")
    config = CollectorServiceConfig(alerts=(rule("drift", HOOK), rule("disk", HOOK, "${SLACK}")))
    assert [(problem.key, problem.message) for problem in await find_problems(config)] == [("alerts.1.to.1", "is none")]
    assert asked == ["slack://token"]


def test_a_rule_that_is_about_nobody_is_told():
    rules = (rule("drift", HOOK, collectors=["chrun*"]), rule("drift", HOOK, collectors=["churn*"]), rule("disk", HOOK))
    config = CollectorServiceConfig(collectors={"churn": collector("churn")}, alerts=rules)
    assert list(doubts(config)) == ["alerts.0 matches no collector: it has chrun*"]


def test_a_chat_that_does_not_understand_our_body_is_told(monkeypatch):
    monkeypatch.setenv("SLACK", "https://hooks.slack.com/services/token")
    config = CollectorServiceConfig(alerts=(rule("disk", HOOK, "${SLACK}", "slack://token"),))
    [doubt] = doubts(config)
    assert doubt.startswith(
        "alerts.0.to.1: this chat's own hooks don't understand Alertmanager's body; write it as slack:/"
    )

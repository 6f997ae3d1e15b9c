"""Addresses are checked without sending anything to them."""

from worlds import collector

from collector.alerts.checking import find_problems, unmatched
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
    assert unmatched(config) == ["alerts.0 is about no collector that there is; it says chrun*"]

"""Who may follow whom."""

import pytest
from fakes import collector_config

from collector.config import CollectorServiceConfig
from collector.config.config_file import ConfigFile
from collector.config.following import followers_of, following_problems
from collector.errors import ConfigError


def collectors(**leaders):
    """Make collectors, each with the id of whom it follows, or None."""
    return {key: collector_config(key, events_from=leader) for key, leader in leaders.items()}


def test_followers_stand_under_whom_they_follow():
    found = followers_of(collectors(hourly="main", main=None, daily="main", other=None))
    assert {leader: [one.id for one in followers] for leader, followers in found.items()} == {
        "main": ["hourly", "daily"]
    }


@pytest.mark.parametrize(
    ("leaders", "said"),
    [
        ({"main": None, "a": "main", "b": "main"}, []),
        ({"main": None, "a": "mian"}, ["collectors.a.events_from: there is no collector 'mian'; did you mean 'main'?"]),
        ({"a": "b"}, ["collectors.a.events_from: there is no collector 'b'; add it too"]),
        (
            {"a": "a"},
            ["collectors.a.events_from: a collector can't get its own events; name another, or leave it out"],
        ),
        (
            {"main": None, "a": "main", "b": "a"},
            ["collectors.b.events_from: 'a' gets its own events from 'main'; name a collector that events are sent to"],
        ),
        (
            {"a": "b", "b": "a"},
            [
                "collectors.a.events_from: 'b' gets its own events from 'a'; name a collector that events are sent to",
                "collectors.b.events_from: 'a' gets its own events from 'b'; name a collector that events are sent to",
            ],
        ),
    ],
    ids=["sound", "nearly known", "unknown", "itself", "chain", "circle"],
)
def test_chains_and_circles_are_refused(leaders, said):
    assert [str(problem) for problem in following_problems(collectors(**leaders))] == said


def test_a_file_with_a_chain_is_refused_with_its_place(tmp_path):
    path = tmp_path / "config.json"
    CollectorServiceConfig(collectors=collectors(main=None, a="main", b="a")).save(path)
    with pytest.raises(ConfigError, match=r"collectors.b.events_from \(line \d+, column \d+\): 'a' gets its own"):
        ConfigFile.open(path)


def test_what_to_do_when_full_means_nothing_without_following():
    config = CollectorServiceConfig(collectors={"a": collector_config("a", when_full="skip")})
    assert config.unused() == ["collectors.a.when_full"]

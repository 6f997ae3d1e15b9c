"""Following: a collector with ``events_from`` gets the events of another, its leader, and none of its own."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from collector.errors import Problem
from collector.wording import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collector.config.model import CollectorConfig


def followers_of(collectors: Mapping[str, CollectorConfig]) -> dict[str, tuple[CollectorConfig, ...]]:
    """Return the followers of each collector that has some, by its id."""
    found: defaultdict[str, tuple[CollectorConfig, ...]] = defaultdict(tuple)
    for config in collectors.values():
        if config.events_from is not None:
            found[config.events_from] += (config,)
    return dict(found)


def following_problems(collectors: Mapping[str, CollectorConfig]) -> list[Problem]:
    """Return what is wrong with followers: the leader is missing, is the follower itself, or follows another."""
    found = []
    for key, config in collectors.items():
        if config.events_from is not None and (message := _problem_of(key, config.events_from, collectors)):
            found.append(Problem(("collectors", key, "events_from"), message))
        for field in ("columns", "input"):
            if config.events_from is not None and getattr(config, field) is not None:
                message = f"write this into the config of '{config.events_from}', which accepts and keeps these events"
                found.append(Problem(("collectors", key, field), message))
        leader = collectors.get(config.events_from or "")
        if leader is not None and leader.columns is not None:
            asked = config.asks_for_hidden(leader.columns, f"`columns` of '{config.events_from}'")
            found += [Problem(("collectors", key, field), message) for field, message in asked]
    return found


def _problem_of(key: str, leader: str, collectors: Mapping[str, CollectorConfig]) -> str:
    if leader not in collectors:
        others = [one for one, config in collectors.items() if one != key and config.events_from is None]
        return f"there is no collector '{leader}'; " + (did_you_mean(leader, others) if others else "add it too")
    if leader == key:
        return "a collector can't get its own events; name another, or leave it out"
    if (further := collectors[leader].events_from) is not None:
        return f"'{leader}' gets its own events from '{further}'; name a collector that events are sent to"
    if collectors[leader].kafka is not None:
        return f"'{leader}' takes its events from Kafka, which can't be followed; name one that events are sent to"
    return ""

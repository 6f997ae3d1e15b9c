import json

import pytest
from worlds import collector

from collector.sources.chain import Committed
from collector.sources.owners import LACKING_SECONDS, Owners, begun_in, digest_of
from collector.sources.ownership import Ownership
from collector.status.counts import GroupCounts

from .fakes import to_commit


@pytest.fixture
def ownership():
    return Ownership("tasks", 4, {}, to_commit, GroupCounts())


def owners(ownership, **told):
    """Return what is known if the slot of "main" was committed so."""
    made = Owners()
    made.note([(ownership.slot_of("main"), Committed(0, json.dumps({"i": "other"} | told) if told else ""))])
    return made


def test_what_is_no_commit_of_ours_tells_of_no_collector():
    assert begun_in('{"c": {"a": "", "b": "1f"}}') == {"a", "b"}
    assert (begun_in("no JSON"), begun_in("[]"), begun_in("")) == (set(), set(), set())


def test_a_config_has_another_digest_once_it_is_another_and_secrets_do_not_count():
    whole = collector(kafka={"topics": ["t"]}, api_secret="one")
    assert digest_of(whole) == digest_of(collector(kafka={"topics": ["t"]}, api_secret="two"))
    assert digest_of(whole) != digest_of(collector(kafka={"topics": ["t"]}, api_secret="one", save_datasets=True))


def test_services_are_counted_by_the_slots_that_they_have():
    known = Owners()
    known.note((slot, Committed(0, json.dumps({"i": id_}))) for slot, id_ in enumerate("aabc"))
    assert [known.count_services(slots) for slots in ((0, 1), (1, 2, 3), (7,), ())] == [1, 3, 0, 0]


async def test_another_config_at_the_service_that_has_the_collector_is_told(ownership):
    known = owners(ownership, c={"main": "1f"}, u="http://b:8001")
    assert known.mismatch("main", "1f", ownership) == ""
    assert known.mismatch("main", "2f", ownership) == (
        "its config at http://b:8001, where it is at work, differs from the config here"
    )


async def test_nothing_is_told_by_the_service_that_has_it(ownership):
    known = owners(ownership, c={"main": "1f"})
    ownership.grants.give([ownership.slot_of("main")])
    assert known.mismatch("main", "2f", ownership) == ""


@pytest.mark.parametrize("told", [{}, {"c": {"main": ""}}, {"c": {}}, {"c": {"main": "1f"}, "i": "mine"}])
async def test_a_collector_that_is_nowhere_at_work_is_told_after_a_while(ownership, autojump_clock, told):
    ownership.id = "mine"  # a service that lost it to one that doesn't know it
    known = owners(ownership, **told)
    assert known.mismatch("main", "1f", ownership) == ""
    autojump_clock.jump(LACKING_SECONDS + 1)
    assert "it may be missing in the config file of one of them" in known.mismatch("main", "1f", ownership)
    known.note([(ownership.slot_of("main"), Committed(0, '{"c": {"main": "1f"}, "i": "other"}'))])
    assert known.mismatch("main", "1f", ownership) == ""

import threading

from collector.sources.grants import Grants


def test_a_slot_is_ours_from_its_grant_to_its_end():
    grants = Grants()
    assert grants.of(3) is None
    grants.give([3, 4])
    grant = grants.of(3)
    assert grants.holds(grant)
    assert grants.take([3, 9]) == [grant]
    assert not grants.holds(grant)
    assert [one.slot for one in grants.held] == [4]


def test_a_slot_that_was_lost_and_came_back_is_another_grant():
    grants = Grants()
    grants.give([3])
    before = grants.of(3)
    grants.take([3])
    grants.give([3])
    assert not grants.holds(before)
    assert grants.holds(grants.of(3))


def test_whoever_gives_a_slot_back_waits_for_what_is_being_sent():
    grants = Grants()
    grants.give([3])
    [grant] = grants.held
    grants.begin_sending(grant)
    grants.begin_sending(grant)
    grants.take([3])
    assert not grants.wait_sent([grant], 0)
    grants.end_sending(grant)
    assert grants.is_sending(grant)
    ender = threading.Timer(0.01, grants.end_sending, [grant])
    ender.start()
    assert grants.wait_sent([grant], 60)
    ender.join()
    assert not grants.is_sending(grant)


def test_what_others_send_is_not_waited_for():
    grants = Grants()
    grants.give([3, 4])
    grants.begin_sending(grants.of(4))
    assert grants.wait_sent([grants.of(3)], 0)

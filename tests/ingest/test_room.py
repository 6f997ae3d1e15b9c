import pytest

from collector.config import Limits
from collector.errors import NotReady
from collector.ingest.room import Bodies, max_bytes

LIMITS = Limits(max_concurrent_bodies=2, max_concurrent_body_bytes=100)


@pytest.mark.parametrize(("format_", "limit"), [("json", 1), ("ndjson", 1), ("csv", 1), ("arrow", 2), ("parquet", 2)])
def test_each_format_has_its_limit(format_, limit):
    assert max_bytes(Limits(max_body_bytes=1, max_typed_body_bytes=2), format_) == limit


def test_more_bodies_than_the_limit_wait_for_another_time():
    bodies = Bodies()
    told = "2 other requests are being read"
    with bodies.admit(LIMITS, 1), bodies.admit(LIMITS, 1), pytest.raises(NotReady, match=told), bodies.admit(LIMITS, 1):
        pytest.fail("there was no place")
    with bodies.admit(LIMITS, 1):
        assert (bodies.count, bodies.size) == (1, 1)


def test_a_body_alone_fits_whatever_its_size():
    bodies = Bodies()
    with bodies.admit(LIMITS, 1000) as alone:
        alone.grow_to(2000)
        with pytest.raises(NotReady), bodies.admit(LIMITS, 1):
            pytest.fail("there was no place")
    assert (bodies.count, bodies.size) == (0, 0)


def test_a_body_takes_its_announced_length_at_once_and_more_as_it_arrives():
    bodies = Bodies()
    with bodies.admit(LIMITS, 60) as first, bodies.admit(LIMITS, 0) as second:
        second.grow_to(40)
        first.grow_to(50)  # it has as many
        with pytest.raises(NotReady, match="nothing was kept"):
            second.grow_to(41)
        assert bodies.size == 100
    assert (bodies.count, bodies.size) == (0, 0)

"""The connections of a client: the last used first, and none of another process's or event loop's."""

import threading

from collector.client import AsyncCollectorClient, CollectorClient
from collector.client.connecting import AT_ONCE
from collector.client.reaching import Pool


def test_the_connection_that_was_used_last_is_taken_and_a_new_one_made_if_none_is_free():
    pool = Pool(None)
    first, second = pool.take(object), pool.take(object)
    pool.free += [first, second]
    assert [pool.take(object), pool.take(object)] == [second, first]
    assert pool.made == [first, second]


def test_where_a_client_is_used_anew_it_begins_without_connections():
    client = CollectorClient("http://h:1")
    before = client._pool_of("parent", threading.Semaphore)  # noqa: SLF001
    before.take(object)
    after = client._pool_of("child", threading.Semaphore)  # noqa: SLF001
    assert (after.made, client._let_go("parent")) == ([], [])  # noqa: SLF001
    assert client._pool_of("child", threading.Semaphore) is after  # noqa: SLF001


def test_as_many_are_on_their_way_at_once_as_may_be():
    client = AsyncCollectorClient("http://h:1")
    assert client._pool_of("here", lambda count: count).turns == AT_ONCE  # noqa: SLF001

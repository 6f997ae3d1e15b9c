import pytest
import trio

from collector.errors import Forbidden
from collector.ingest.http.page.sessions import LIFETIME, MAX_SESSIONS, Sessions


async def test_a_session_is_known_until_it_ends():
    sessions = Sessions()
    mine, other = sessions.begin(), sessions.begin()
    assert sessions.knows(mine)
    sessions.end(mine)
    assert (sessions.knows(mine), sessions.knows(other), sessions.knows("")) == (False, True, False)


async def test_a_session_ends_by_itself(autojump_clock):
    sessions = Sessions()
    cookie = sessions.begin()
    await trio.sleep(LIFETIME - 1)
    assert sessions.knows(cookie)
    await trio.sleep(2)
    assert not sessions.knows(cookie)


async def test_the_number_of_sessions_is_bounded():
    sessions = Sessions()
    first = sessions.begin()
    others = [sessions.begin() for _ in range(MAX_SESSIONS)]
    assert not sessions.knows(first)
    assert all(map(sessions.knows, others))


def test_each_session_action_and_collector_has_a_token_of_its_own():
    sessions = Sessions()
    asked = [("a", "flush", "main"), ("b", "flush", "main"), ("a", "retry", "main"), ("a", "flush", "other")]
    assert len({sessions.token(*one) for one in asked}) == len(asked)
    sessions.check_token(sessions.token(*asked[0]), *asked[0])


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
def test_any_other_token_is_refused(token):
    with pytest.raises(Forbidden, match="load the page again"):
        Sessions().check_token(token, "a", "flush", "main")


def test_tokens_of_another_process_are_refused():
    with pytest.raises(Forbidden):
        Sessions().check_token(Sessions().token("a", "flush", "main"), "a", "flush", "main")

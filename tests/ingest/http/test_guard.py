import pytest

from collector.errors import Unauthorized
from collector.ingest.http.guard import Guard


@pytest.mark.parametrize("given", ["hunter2", "пароль".encode().decode("latin-1")])
def test_the_secret_lets_in_as_its_bytes_are_read_from_a_header(given):
    Guard(given.encode("latin-1").decode()).authorize(given)


@pytest.mark.parametrize("given", [None, "", "hunter", "hunter22", "\u20ac"])
def test_another_secret_or_none_does_not(given):
    with pytest.raises(Unauthorized):
        Guard("hunter2").authorize(given)


@pytest.mark.parametrize("given", [None, "any"])
def test_without_a_secret_anyone_is_let_in(given):
    assert Guard(None).is_authorized(given)

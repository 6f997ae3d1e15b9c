"""What a config has of the environment."""

import pytest

from collector.config.environment import filled, is_from_environment
from collector.errors import ConfigError


def test_each_name_is_filled_in_wherever_it_stands(monkeypatch):
    monkeypatch.setenv("USER_", "me")
    monkeypatch.setenv("PASSWORD_", "hunter2\n")  # read from a file
    assert filled("mailto://${USER_}:${PASSWORD_}@host/$x/{y}/${}") == "mailto://me:hunter2@host/$x/{y}/${}"


def test_what_is_filled_in_is_not_filled_again(monkeypatch):
    monkeypatch.setenv("ONE", "${TWO}")
    monkeypatch.setenv("TWO", "secret")
    assert filled("${ONE}") == "${TWO}"


def test_names_that_are_not_there_are_told_at_once_with_their_place():
    with pytest.raises(
        ConfigError, match=r"^alerts.0.to.1: the environment of the service has no variables LACKING_A, LACKING_B; set"
    ):
        filled("slack://${LACKING_A}/${LACKING_B}/${LACKING_A}", "alerts", 0, "to", 1)


@pytest.mark.parametrize(
    ("text", "is_one"), [("${NAME}", True), ("a${NAME}", False), ("$NAME", False), ("${1}", False)]
)
def test_a_whole_text_may_be_one_name(text, is_one):
    assert is_from_environment(text) is is_one

import pytest
from fakes import collector_config

from collector.errors import BadBody, ConfigChanged
from collector.ingest.http.head import MAX_KEY_LENGTH, Head, entity_tag

CONFIG = collector_config()
TAG = entity_tag(CONFIG)


@pytest.mark.parametrize("key", ["", "k", "k" * MAX_KEY_LENGTH, "a key"])
def test_a_key_is_printable_ascii_of_some_length(key):
    Head(idempotency_key=key).check_key()


@pytest.mark.parametrize("key", ["k" * (MAX_KEY_LENGTH + 1), "k\xff", "k\tk"])
def test_what_can_be_no_key_is_refused(key):
    with pytest.raises(BadBody, match=f"at most {MAX_KEY_LENGTH} characters"):
        Head(idempotency_key=key).check_key()


@pytest.mark.parametrize(
    ("conditions", "config"),
    [
        ({}, None),
        ({"if_match": TAG}, CONFIG),
        ({"if_match": f'"other", {TAG}'}, CONFIG),
        ({"if_match": "*"}, CONFIG),
        ({"if_none_match": "*"}, None),
        ({"if_none_match": '"other"'}, CONFIG),
    ],
)
def test_a_condition_that_holds_agrees(conditions, config):
    Head(**conditions).agree(config)


@pytest.mark.parametrize(
    ("conditions", "config"),
    [
        ({"if_match": '"other"'}, CONFIG),
        ({"if_match": "*"}, None),
        ({"if_none_match": "*"}, CONFIG),
        ({"if_none_match": TAG}, CONFIG),
    ],
)
def test_a_condition_that_does_not_hold_is_told(conditions, config):
    with pytest.raises(ConfigChanged):
        Head(**conditions).agree(config)


def test_a_tag_is_that_of_the_config():
    assert entity_tag(collector_config()) == TAG
    assert entity_tag(collector_config(project_id="018f0000-0000-7000-8000-00000000000b")) != TAG

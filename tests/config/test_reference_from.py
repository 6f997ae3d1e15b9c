import pytest
from fakes import collector_config

from collector.config.reference_from import ReferenceFrom
from collector.errors import ConfigError


@pytest.mark.parametrize(
    ("rule", "least", "words"),
    [
        ({"first_rows": 10_000}, 10_000, "the first 10000 rows"),
        ({"first_rows": 10_000, "min_rows": 500}, 500, "the first 10000 rows"),
        ({"previous": 7}, 100, "the previous 7 batches"),
        ({"previous": 1, "min_rows": 5}, 5, "the previous batch"),
    ],
    ids=["first", "first from 500 on", "previous", "previous one"],
)
def test_it_says_which_rows_and_how_many_at_least(rule, least, words):
    made = ReferenceFrom.parse(rule)
    assert (made.least_rows, made.words, made.model_dump()) == (least, words, rule)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({}, "reference_from: write one of the two"),
        ({"first_rows": 5, "previous": 7}, "reference_from: write one of the two"),
        ({"first_rows": 5, "min_rows": 6}, "reference_from.min_rows: is more than first_rows, 5"),
        ({"first_rows": 0}, "reference_from.first_rows"),
        ({"previous": 10**6}, "reference_from.previous"),
        ({"last": 7}, "reference_from.last: unknown field"),
    ],
    ids=["nothing", "both", "never", "none", "too many", "unknown"],
)
def test_what_names_no_rows_is_refused(rule, said):
    with pytest.raises(ConfigError, match=said):
        collector_config(reference_from=rule)


def test_a_collector_of_kafka_has_no_reference_of_its_own_rows():
    """Another service of the group may go on with it, and doesn't have these rows."""
    with pytest.raises(ConfigError, match="'reference_from' can't take its events from Kafka"):
        collector_config(kafka={"topics": ["a"]}, reference_from={"previous": 7})

"""What a config says of private columns, who may say it, and what is shown of it."""

import pytest
from fakes import collector_config

from collector.config import CollectorConfig, CollectorServiceConfig
from collector.config.masking import MASK
from collector.config.posted import as_meant
from collector.errors import ConfigError

FIELDS = {"drop": ["name"], "hash": {"email": "${SALT}", "phone": "mild"}}


@pytest.fixture(autouse=True)
def _salt(monkeypatch):
    monkeypatch.setenv("SALT", "pepper\n")


def config(**columns):
    return collector_config("main", columns=columns)


def shown(known):
    return CollectorConfig.parse(known.masked())


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({}, "columns.keep: names no column"),
        ({"keep": ["a"], "drop": ["b"]}, "columns.drop: isn't allowed beside keep"),
        ({"keep": ["a"], "hash": {"b": "salt"}}, "columns.hash: hashes 'b', which isn't kept"),
        ({"drop": ["b"], "hash": {"b": "salt"}}, "columns.hash: hashes 'b', which isn't kept"),
        ({"hash": {"b": ""}}, "columns.hash.b: "),
        ({"dropp": ["b"]}, "columns.dropp: unknown field; did you mean 'drop'?"),
    ],
)
def test_what_does_not_agree_is_refused(columns, said):
    with pytest.raises(ConfigError) as raised:
        config(**columns)
    assert said in str(raised.value)
    assert "salt" not in str(raised.value)


@pytest.mark.parametrize("columns", [{"drop": ["ts"]}, {"keep": ["a"]}])
def test_a_column_that_the_collector_needs_is_not_dropped(columns):
    with pytest.raises(ConfigError, match="timestamp_column: names 'ts', which `columns` drops"):
        collector_config("main", columns=columns, timestamp_column="ts")
    assert collector_config("main", columns={"keep": ["a", "ts"]}, timestamp_column="ts")
    labels = {"key": "ts", "columns": ["b"], "report_config": {"metrics": ["DataDriftPreset"]}}
    with pytest.raises(ConfigError, match=r"labels: names '(ts|b)', which `columns` drops"):
        collector_config("main", columns=columns, labels=labels)
    for others in ({"where": {"ts": {"eq": 1}}}, {"segments": {"column": "ts"}}):
        with pytest.raises(ConfigError, match=f"{next(iter(others))}: names 'ts', which `columns` drops"):
            collector_config("main", columns=columns, **others)


HASH = "hmac:" + 32 * "0"


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"timestamp_column": "a"}, "timestamp_column: names 'a', which `columns` hashes: a hash isn't a time"),
        ({"where": {"a": {"gte": 18}}}, "where: compares 'a', which `columns` hashes: write the hash of a value"),
        ({"where": {"a": {"is_in": [HASH, "de"]}}}, "where: compares 'a', which `columns` hashes"),
        ({"where": {"a": {"not_eq": 3}}}, "where: compares 'a', which `columns` hashes"),
        ({"segments": {"column": "a", "edges": [1]}}, "segments: divides 'a', which `columns` hashes"),
        ({"segments": {"column": "a", "values": ["de"]}}, "segments: divides 'a', which `columns` hashes"),
    ],
    ids=["time", "order", "list", "value", "edges", "segments"],
)
def test_what_is_hashed_is_asked_for_by_its_hash_also_by_followers(others, said):
    columns = {"hash": {"a": "salt"}}
    with pytest.raises(ConfigError) as raised:
        collector_config("main", columns=columns, **others)
    assert said in str(raised.value)
    leader, follower = collector_config("main", columns=columns), collector_config("f", events_from="main", **others)
    [problem] = CollectorServiceConfig(collectors={"main": leader, "f": follower}).problems()
    assert str(problem).startswith("collectors.f." + said.replace("`columns`", "`columns` of 'main'")[:60])


def test_a_hash_may_stand_for_the_value_that_is_asked_for():
    where = {"a": {"eq": HASH, "is_in": [HASH]}}
    for segments in ({"column": "a", "values": [HASH]}, {"column": "a"}):
        assert collector_config("main", columns={"hash": {"a": "salt"}}, where=where, segments=segments)


def test_events_from_kafka_are_kept_as_they_are_so_that_nothing_of_them_is_called_private():
    with pytest.raises(ConfigError, match="columns: can't be used with kafka: drop or hash them before"):
        collector_config("main", columns={"drop": ["a"]}, kafka={"topics": ["t"]})


def test_salts_are_filled_in_and_one_that_the_environment_lacks_is_told(monkeypatch):
    service = CollectorServiceConfig(collectors={"main": config(**FIELDS)})
    assert service.private_of(service.collectors["main"]) == {
        "keep": None,
        "drop": ["name"],
        "hash": {"email": "pepper", "phone": "mild"},
    }
    assert service.problems() == []
    monkeypatch.delenv("SALT")
    [problem] = service.problems()
    assert str(problem).startswith(
        "collectors.main.columns.hash.email: the environment of the service has no variable SALT"
    )


def test_no_salt_is_shown():
    known = config(**FIELDS)
    assert known.masked()["columns"]["hash"] == {"email": "${SALT}", "phone": MASK}
    assert "mild" not in repr(known)


def test_a_follower_has_the_columns_of_its_leader_and_none_of_its_own():
    follower = collector_config("f", events_from="main")
    service = CollectorServiceConfig(collectors={"main": config(drop=["name"]), "f": follower})
    assert service.private_of(follower) == service.private_of(service.collectors["main"])
    own = CollectorServiceConfig(
        collectors={"main": config(drop=["a"]), "f": collector_config("f", events_from="main", columns={"drop": ["a"]})}
    )
    assert list(map(str, own.problems())) == [
        "collectors.f.columns: write this into the config of 'main', which accepts and keeps these events"
    ]


def test_a_client_may_post_them_as_they_were_shown():
    known = config(**FIELDS)
    assert as_meant(shown(known), known).columns == known.columns


def test_a_client_does_not_change_or_take_out_what_is_private():
    known = config(**FIELDS)
    for other in ({"drop": ["name"]}, None, {"drop": ["name"], "hash": {"email": "${SALT}", "phone": "another"}}):
        with pytest.raises(ConfigError, match="columns: a client may not change these; post them as they were shown"):
            as_meant(collector_config("main", columns=other), known)


@pytest.mark.parametrize("salt", ["${SALT}", "x${HOME}", MASK])
def test_a_client_sets_no_salt_of_the_services_environment(salt):
    """It could find out what that is, by the hashes of values that it knows."""
    with pytest.raises(ConfigError, match=r"columns\.hash\.email: a client may not name a variable"):
        as_meant(config(hash={"email": salt}), None)
    assert as_meant(config(hash={"email": "of its own"}), None).columns.hash == {"email": "of its own"}

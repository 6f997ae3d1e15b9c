import pytest
from fakes import collector_config

from collector.config import CollectorServiceConfig
from collector.config.senders import KServe
from collector.errors import ConfigError

KAFKA = {"topics": ["t"]}


def test_nothing_needs_to_be_said():
    config = collector_config(input={"kserve": {}})
    kserve = config.input.kserve
    assert (kserve.features, kserve.prediction, kserve.pair, kserve.wait) == (None, None, "all", 60)
    assert config.model_dump()["input"] == {"kserve": {}}
    assert "input" not in collector_config().model_dump()


def test_names_and_durations_are_written_as_a_person_does():
    kserve = KServe.parse({"features": ["a", "b"], "prediction": "y", "pair": "request", "wait": "5m"})
    assert (kserve.features, kserve.prediction, kserve.wait) == (("a", "b"), "y", 300)
    assert list(kserve.names()) == [("features", "a"), ("features", "b"), ("prediction", "y")]
    assert KServe.parse({"prediction": ["no", "yes"]}).prediction == ("no", "yes")


@pytest.mark.parametrize(
    ("kserve", "told"),
    [
        ({"features": []}, "features: "),
        ({"features": ["a", "a"]}, "features: names 'a', which is named twice"),
        ({"features": ["y"], "prediction": "y"}, "prediction: names 'y', which is named twice"),
        ({"features": ["request_id"]}, "features: names 'request_id', which is the column of the request's id"),
        ({"pair": "both"}, "pair: "),
        ({"wait": 0}, "wait: must be more than 0 s"),
        ({"feature": ["a"]}, "unknown field; did you mean 'features'"),
    ],
    ids=["none", "twice", "both", "id", "pair", "wait", "unknown"],
)
def test_what_can_not_be_meant_is_refused(kserve, told):
    with pytest.raises(ConfigError, match=told):
        KServe.parse(kserve)


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ({"kafka": KAFKA}, "input: a collector with 'input' can't take its events from Kafka"),
        ({"columns": {"drop": ["y"]}}, "input: names 'y', which `columns` drops"),
    ],
    ids=["kafka", "private"],
)
def test_what_does_not_go_with_it_is_refused(others, told):
    with pytest.raises(ConfigError, match=told):
        collector_config(input={"kserve": {"prediction": "y"}}, **others)


def test_a_collector_that_follows_another_takes_none():
    config = CollectorServiceConfig().with_collector(collector_config("main"))
    config = config.with_collector(collector_config("f", events_from="main", input={"kserve": {}}))
    [problem] = config.problems()
    assert (
        str(problem) == "collectors.f.input: write this into the config of 'main', which accepts and keeps these events"
    )

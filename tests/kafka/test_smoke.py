"""A minute on Apache Kafka: each fault once. Chance, and more of it, comes with ``nox -s kafka``."""

import pytest

from .chaos import Chaos

# Not all at once: each is over before the next, wherever processors are busy.
PLAN = [(2, "kill"), (6, "leader"), (9, "wipe"), (12, "stop")]


@pytest.mark.thorough
def test_no_event_is_missing_or_double_on_apache_kafka(apache, tmp_path):
    """Services are killed, frozen and lose a disk, a leading broker is killed; one service comes by SASL and TLS."""
    chaos = Chaos(apache, tmp_path, "smoke", rate=250, options={"group.protocol": "consumer"})
    chaos.kafka["c"] = apache.secured(chaos.kafka["c"])
    apache.allow_service(chaos.kafka["c"], chaos.topics)
    with chaos.running():
        sent = chaos.produce(15, PLAN)
        chaos.settle(sent)
        assert chaos.verdict(sent) == (0, 0)
    assert {"kill", "leader", "wipe", "stop"} <= chaos.acts.keys()
    assert not [act for act in chaos.acts if act.startswith("ended")]

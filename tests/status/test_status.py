import json
from dataclasses import FrozenInstanceError, asdict

import pytest

from collector.status.status import ConfigState, ServiceStatus, Status, read_status


def test_a_status_is_a_value():
    status = Status("main", "waiting", 0, None, None, 0, 0, 0, 0)
    assert status == Status("main", "waiting", 0, None, None, 0, 0, 0, 0)
    with pytest.raises(FrozenInstanceError):
        status.state = "crashed"


SERVICE = ServiceStatus(
    "1.2.3",
    1.0,
    2.0,
    "",
    ConfigState("c.json", 1.0, "", ("port",)),
    (Status("main", "waiting", problems=("one", "two"), last_snapshot={"tests": {"passed": 1}}),),
)


def test_what_get_answers_is_read_back():
    assert read_status(json.loads(json.dumps(asdict(SERVICE)))) == SERVICE


def test_what_a_newer_service_adds_is_left_out():
    answer = json.loads(json.dumps(asdict(SERVICE)))
    for part in (answer, answer["config"], answer["collectors"][0]):
        part["news"] = 1
    assert read_status(answer) == SERVICE


@pytest.mark.parametrize("answer", [None, [], {}, {"config": {}, "collectors": []}, {"config": 1, "collectors": [2]}])
def test_something_else_is_not_taken_for_a_status(answer):
    with pytest.raises(ValueError, match="not the status of a collector service"):
        read_status(answer)

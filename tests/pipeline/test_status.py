from dataclasses import FrozenInstanceError

import pytest

from collector.pipeline.status import Status


def test_a_status_is_a_value():
    status = Status("main", "waiting", 0, None, None, 0, 0, 0, 0)
    assert status == Status("main", "waiting", 0, None, None, 0, 0, 0, 0)
    with pytest.raises(FrozenInstanceError):
        status.state = "crashed"

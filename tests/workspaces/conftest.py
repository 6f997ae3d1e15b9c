import pytest
from worlds import fill

from workspaces.sending import running_service


@pytest.fixture
def service():
    with running_service() as service:
        yield service


@pytest.fixture
def snapshot(tmp_path):
    return fill(tmp_path / "snapshot.json", '{"a": "snapshot"}')

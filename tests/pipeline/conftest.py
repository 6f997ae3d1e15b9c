"""What opens a world for the tests of pipelines."""

import pytest
from disks import small_disk  # noqa: F401  (a fixture)

from .fakes import open_world


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Give what opens a world; the clock has to be an argument of the test itself."""
    return lambda clock=None: open_world(tmp_path, monkeypatch, clock)

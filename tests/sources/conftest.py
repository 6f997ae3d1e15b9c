"""What the tests of sources share."""

import pytest
from disks import journal, path  # noqa: F401  (fixtures)


@pytest.fixture(scope="session")
def brokers():
    pytest.importorskip("confluent_kafka", reason="pip install 'evidently-collector[kafka]'")
    from brokers import mock_brokers

    with mock_brokers() as brokers:
        yield brokers

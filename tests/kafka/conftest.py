"""Brokers of Apache Kafka, which all tests here share: they take a quarter of a minute to start."""

import subprocess
from importlib.util import find_spec

import pytest


@pytest.fixture(scope="session")
def jars(tmp_path_factory):
    """Return the folder with Apache Kafka's jars."""
    if find_spec("confluent_kafka") is None:
        pytest.skip("pip install 'evidently-collector[kafka]'")
    from .apache import fetch, why_not

    if lacking := why_not():
        pytest.skip(lacking)
    try:
        return fetch(tmp_path_factory.mktemp("jars"))
    except subprocess.CalledProcessError as error:
        pytest.skip(f"Maven doesn't fetch Apache Kafka: {error.stdout.decode()[-300:]}")


@pytest.fixture(scope="session")
def apache(jars, tmp_path_factory):
    """Return three brokers; a test that kills one starts it again."""
    from .apache import apache_brokers

    with apache_brokers(3, tmp_path_factory.mktemp("brokers"), jars) as brokers:
        yield brokers

"""Whom TLS trusts, as the environment says."""

import certifi
import pytest

from collector.errors import BadEnvironment
from collector.web.trust import trusted


def test_without_variables_everybodys_authorities_are_trusted():
    assert trusted({}).cert_store_stats()["x509_ca"] > 50


def test_a_file_of_ones_own_is_trusted():
    assert trusted({"SSL_CERT_FILE": certifi.where(), "SSL_CERT_DIR": "/none"}).cert_store_stats()["x509_ca"] > 50


def test_a_directory_is_trusted(tmp_path):
    assert trusted({"SSL_CERT_DIR": str(tmp_path)}).cert_store_stats()["x509_ca"] == 0


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_certificates_that_are_not_there_are_told_with_their_variable(variable, tmp_path):
    with pytest.raises(BadEnvironment, match=f"{variable}: no certificates .*missing.*No such file"):
        trusted({variable: str(tmp_path / "missing")})


def test_a_file_without_certificates_is_told(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(BadEnvironment, match="SSL_CERT_FILE"):
        trusted({"SSL_CERT_FILE": str(tmp_path / "empty")})

"""Whom to trust over TLS: the environment's SSL_CERT_FILE or SSL_CERT_DIR, or the authorities that everybody trusts."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from collector.errors import BadEnvironment


def trusted(environment: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """Make a context that trusts them, which takes some 20 ms; raise BadEnvironment if a variable leads nowhere."""
    import certifi

    file, directory = environment.get("SSL_CERT_FILE"), environment.get("SSL_CERT_DIR")
    try:
        if not file and directory:
            next(Path(directory).iterdir(), None)  # OpenSSL takes a missing file for one without certificates
            return ssl.create_default_context(capath=directory)
        return ssl.create_default_context(cafile=file or certifi.where())
    except OSError as error:
        variable, path = ("SSL_CERT_FILE", file) if file else ("SSL_CERT_DIR", directory)
        raise BadEnvironment(
            f"{variable}: no certificates can be read from '{path}': {error.strerror or error}"
        ) from error


def trusting_nobody() -> ssl.SSLContext:
    """Make a context for what asks without TLS, at no cost."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

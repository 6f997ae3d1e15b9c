"""The environment of worker processes: what a report is computed with, without what is the service's own."""

from __future__ import annotations

from collections.abc import Collection

# What the names of the service's own variables begin with.
PREFIX = "EVIDENTLY_COLLECTOR_"
_SECRET = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")


def names_of_service(environment: Collection[str]) -> frozenset[str]:
    """Return the names of the service's own settings, its secret among them, which no report may know."""
    return frozenset(name for name in environment if name.startswith(PREFIX))


def names_of_secrets(environment: Collection[str], shown: Collection[str]) -> frozenset[str]:
    """Return the variables that reports of clients may not see either, without those that are ``shown`` to them."""
    secret = (name for name in environment if any(word in name.upper() for word in _SECRET))
    return frozenset(name for name in secret if name not in shown)

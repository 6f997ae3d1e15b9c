"""The guard: who may ask."""

from __future__ import annotations

import hmac

from collector.errors import Unauthorized

SECRET_HEADER = "evidently-secret"  # noqa: S105  (its name)


class Guard:
    """Lets those in who know the service's secret, if it has one."""

    def __init__(self, secret: str | None) -> None:
        self._secret = secret

    def authorize(self, secret: str | None) -> None:
        """Raise Unauthorized unless a request carries the service's secret, if it has one."""
        if not self.is_authorized(secret):
            raise Unauthorized

    def is_authorized(self, secret: str | None) -> bool:
        """Tell whether a request carries the service's secret, or it has none."""
        if self._secret is None:
            return True
        given = (secret or "").encode("latin-1", "replace")  # as bytes of a header are read into text
        return hmac.compare_digest(given, self._secret.encode())

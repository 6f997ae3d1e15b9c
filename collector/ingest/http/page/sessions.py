"""Sessions: who has signed in, and the tokens without which nothing is carried out.

A cookie is a random number that is known here; a restart forgets all. Neither cookie nor token tells of the secret.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict

import trio

from collector.errors import Forbidden

LIFETIME = 12 * 3600.0
# More than there are people who look. Another sign-in ends the oldest session.
MAX_SESSIONS = 1_000
_STALE = "this form is older than the service's last start, or than your sign-in; load the page again, and repeat it"


class Sessions:
    """Begins sessions, knows them again, and makes tokens for them."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._ends: OrderedDict[bytes, float] = OrderedDict()

    def begin(self) -> str:
        """Return the cookie of a new session."""
        cookie = secrets.token_urlsafe(32)
        self._ends[_digest(cookie)] = trio.current_time() + LIFETIME
        while len(self._ends) > MAX_SESSIONS:
            self._ends.popitem(last=False)
        return cookie

    def knows(self, cookie: str) -> bool:
        """Tell whether a cookie is that of a session."""
        return self._ends.get(_digest(cookie), -1.0) > trio.current_time()

    def end(self, cookie: str) -> None:
        """Forget a session."""
        self._ends.pop(_digest(cookie), None)

    def token(self, cookie: str, action: str, collector_id: str = "") -> str:
        """Return what a form must send with an action; each session, action and collector has another."""
        text = f"{cookie}\0{action}\0{collector_id}"
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def check_token(self, token: str, cookie: str, action: str, collector_id: str = "") -> None:
        """Raise Forbidden unless a form sends the token that it was given."""
        wanted = self.token(cookie, action, collector_id)
        if not hmac.compare_digest(token.encode(), wanted.encode()):
            raise Forbidden(_STALE)


def _digest(cookie: str) -> bytes:
    """Return the key for a cookie. A hash, so that the time of a look-up says nothing about known cookies."""
    return hashlib.sha256(cookie.encode()).digest()

"""Pages: what a browser is answered; what draws them is imported when the first one asks."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import trio

from collector.errors import BadBody, CollectorError, UnknownCollector
from collector.ingest.http.page.sessions import LIFETIME, Sessions
from collector.ingest.http.page.streams import Streams
from collector.ingest.http.problems import Answer, answer_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable

    from collector.ingest.http.draining import Draining
    from collector.ingest.http.guard import Guard
    from collector.ingest.http.head import Head
    from collector.ingest.http.receiving import Receiving
    from collector.store.journal import Journal
    from collector.supervision.supervisor import Supervisor
    from collector.views.page.looking import Looking
    from collector.views.page.overview import Query
    from collector.views.page.view import View

MAX_FORM = 10_000
# Seconds that a client waits after a wrong secret.
WRONG_SECRET_PAUSE = 1.0
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    # Nothing but our own files, and no inline script: a client could put one into a collector's name.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
STREAM_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold the stream back
}


@dataclass(frozen=True)
class Visitor:
    """Who asks: with which cookie, by which name, over TLS or not, with which secret in the header.

    ``refresh`` is "10" for who wants a page shown anew every ten seconds, as it runs no scripts.
    """

    cookie: str
    cookie_name: str
    is_tls: bool
    secret: str | None
    refresh: str = ""


class Pages:
    """Answers browsers."""

    def __init__(
        self, supervisor: Supervisor, journal: Journal, receiving: Receiving, guard: Guard, draining: Draining
    ) -> None:
        self._supervisor = supervisor
        self._journal = journal
        self._receiving = receiving
        self._guard = guard
        self._sessions = Sessions()
        self._streams = Streams(draining)
        self._looking: Looking | None = None
        self._opening = trio.Lock()

    def admits(self, visitor: Visitor) -> bool:
        """Tell whether somebody may see the pages: signed in, or with the secret in the header, if there is one."""
        return self._guard.is_authorized(visitor.secret) or self._sessions.knows(visitor.cookie)

    # What is shown

    async def overview(self, visitor: Visitor, show: str, text: str) -> Answer:
        """Show all collectors, or those that a person looks for."""
        looking = await self._open()
        query = _query(show, text)
        view = await looking.overview(query)
        stream = query.path(since=view.number).replace("/", "/-/events", 1)
        return await self._page("overview.html", visitor, view, query.path(refresh="10"), stream=stream, query=query)

    async def collector(self, visitor: Visitor, collector_id: str, said: str) -> Answer:
        """Show one collector."""
        looking = await self._open()
        view = self._with_token(visitor, collector_id, await looking.collector(collector_id))
        facts = await trio.to_thread.run_sync(self._facts, collector_id)
        path = _collector_path(collector_id)
        tokens = {"flush": self._sessions.token(visitor.cookie, "flush", collector_id)}
        more = {"id": collector_id, "tokens": tokens, "notice": NOTICES.get(said), "stream": f"{path}/events", **facts}
        return await self._page("collector.html", visitor, view, f"{path}?refresh=10", **more)

    async def asset(self, name: str) -> Answer:
        """Return a file that pages ask for; its address changes with it."""
        await self._open()
        from collector.views.page.drawing import ASSETS, asset

        if name not in ASSETS:
            raise UnknownCollector("-")
        kept = {"Content-Type": ASSETS[name], "Cache-Control": "public, max-age=31536000, immutable"}
        return Answer(200, asset(name), {**kept, "X-Content-Type-Options": "nosniff"})

    async def problem(self, error: CollectorError, request: str) -> Answer:
        """Show what is wrong to a person."""
        answer = answer_for(error, request)
        await self._open()
        from http import HTTPStatus

        title = HTTPStatus(answer.status).phrase
        drawn = await self._draw("problem.html", tone="bad", title=title, detail=str(error))
        return Answer(answer.status, drawn.body, {**answer.headers, **drawn.headers})

    # What changes

    async def follow_overview(
        self, show: str, text: str, number: str, has_left: Callable[[], bool]
    ) -> AsyncIterator[bytes]:
        """Send what changes in the overview."""
        self._streams.check()
        looking, query = await self._open(), _query(show, text)
        return self._streams.follow(lambda: looking.overview(query), looking.overview_before(query, number), has_left)

    async def follow_collector(
        self, visitor: Visitor, collector_id: str, has_left: Callable[[], bool]
    ) -> AsyncIterator[bytes]:
        """Send what changes of a collector; it ends with the collector."""
        self._streams.check()
        looking = await self._open()
        await looking.collector(collector_id)

        async def see() -> View:
            return self._with_token(visitor, collector_id, await looking.collector(collector_id))

        return self._streams.follow(see, None, has_left)

    # What people order

    async def sign_in(self, visitor: Visitor, head: Head, chunks: AsyncIterable[bytes]) -> Answer:
        """Begin a session for a visitor who knows the secret."""
        form = await self._form(head, chunks)
        self._sessions.check_token(form.get("token", ""), "", "login")
        where = form.get("next", "/")
        if not self._guard.is_authorized(form.get("secret", "").encode().decode("latin-1")):
            await trio.sleep(WRONG_SECRET_PAUSE)
            return await self.sign_in_form(where, is_wrong=True)
        cookie = (
            f"{visitor.cookie_name}={self._sessions.begin()}; Path=/; Max-Age={LIFETIME:.0f}; HttpOnly; SameSite=Lax"
        )
        return see_other(_own_path(where), {"Set-Cookie": f"{cookie}; Secure" if visitor.is_tls else cookie})

    async def sign_in_form(self, where: str, *, is_wrong: bool = False) -> Answer:
        """Ask for the secret."""
        await self._open()
        token = self._sessions.token("", "login")
        drawn = await self._draw("login.html", tone="good", token=token, next=_own_path(where), wrong=is_wrong)
        return replace(drawn, status=403) if is_wrong else drawn

    async def sign_out(self, visitor: Visitor, head: Head, chunks: AsyncIterable[bytes]) -> Answer:
        """End a session."""
        form = await self._form(head, chunks)
        self._sessions.check_token(form.get("token", ""), visitor.cookie, "logout")
        self._sessions.end(visitor.cookie)
        return see_other("/", {"Set-Cookie": f"{visitor.cookie_name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"})

    async def flush(self, visitor: Visitor, collector_id: str, head: Head, chunks: AsyncIterable[bytes]) -> Answer:
        """Have what waits evaluated now."""
        await self._check_order(visitor, "flush", collector_id, head, chunks)
        batch = await self._supervisor.pipeline(collector_id).flush()
        return see_other(f"{_collector_path(collector_id)}?said={'nothing' if batch is None else 'flushed'}")

    async def retry(self, visitor: Visitor, collector_id: str, head: Head, chunks: AsyncIterable[bytes]) -> Answer:
        """Have failed batches evaluated again."""
        await self._check_order(visitor, "retry", collector_id, head, chunks)
        batches = await self._supervisor.pipeline(collector_id).retry()
        return see_other(f"{_collector_path(collector_id)}?said={'retried' if batches else 'none-failed'}")

    # How it is done

    async def _open(self) -> Looking:
        async with self._opening:
            if self._looking is None:
                module = await trio.to_thread.run_sync(importlib.import_module, "collector.views.page.looking")
                self._looking = module.Looking(self._supervisor, self._journal)
            return self._looking

    async def _page(self, template: str, visitor: Visitor, view: View, path: str, **more: Any) -> Answer:
        is_signed_in = self._sessions.knows(visitor.cookie)
        out = self._sessions.token(visitor.cookie, "logout") if is_signed_in else ""
        drawn = await self._draw(template, tone=view.tone, view=view, path=path, signing_out=out, **more)
        return replace(drawn, headers={**drawn.headers, "Refresh": "10"}) if visitor.refresh == "10" else drawn

    async def _draw(self, template: str, **context: Any) -> Answer:
        from collector.views.page.drawing import draw

        def drawn() -> bytes:
            return draw(template, **context).encode()

        return Answer(200, await trio.to_thread.run_sync(drawn), _HEADERS)

    def _facts(self, collector_id: str) -> dict[str, Any]:
        from collector.views.page.config_lines import config_lines, ui_address

        config, text = self._supervisor.pipeline(collector_id).config, self._supervisor.config_text
        line, fields = config_lines(config, text)
        path = self._supervisor.edits.state.path
        return {
            "line": line,
            "fields": fields,
            "config_path": path,
            "ui": ui_address(config, self._supervisor.config),
        }

    def _with_token(self, visitor: Visitor, collector_id: str, view: View) -> View:
        token = self._sessions.token(visitor.cookie, "retry", collector_id)
        return replace(view, cells={**view.cells, "failed": {"retry": token}})

    async def _check_order(
        self, visitor: Visitor, action: str, collector_id: str, head: Head, chunks: AsyncIterable[bytes]
    ) -> None:
        form = await self._form(head, chunks)
        self._sessions.check_token(form.get("token", ""), visitor.cookie, action, collector_id)

    async def _form(self, head: Head, chunks: AsyncIterable[bytes]) -> dict[str, str]:
        """Read a form; if a field comes more than once, take the first."""
        async with self._receiving.open_body(head, chunks, MAX_FORM) as body:
            try:
                fields = parse_qs(body.decode("utf-8"), max_num_fields=20, keep_blank_values=True)
            except ValueError as error:
                raise BadBody("the body isn't a form of this page") from error
        return {name: values[0] for name, values in fields.items()}


@dataclass(frozen=True)
class Notice:
    """What is said after an order."""

    text: str
    tone: str = "good"


# Notices by the word that an address has for them: so a link can't put words of its own into a page.
NOTICES = {
    "flushed": Notice("The waiting rows are a batch now, and it is being evaluated."),
    "nothing": Notice("No rows wait, so nothing was evaluated."),
    "retried": Notice("The failed batches are being evaluated again."),
    "none-failed": Notice("No batch has failed, so nothing is evaluated again."),
}


def see_other(path: str, headers: dict[str, str] | None = None) -> Answer:
    """Send a browser to another page of ours."""
    return Answer(303, b"", {"Location": path, "Cache-Control": "no-store", **(headers or {})})


def _query(show: str, text: str) -> Query:
    from collector.views.page.overview import Query

    return Query.of(show, text)


def _collector_path(collector_id: str) -> str:
    from collector.views.page.drawing import collector_path

    return collector_path(collector_id)


def _own_path(where: str) -> str:
    """Return the path to open after signing in, if it is one of ours; for any other, that of the overview."""
    is_ours = where.isascii() and where.isprintable() and not where.startswith("//") and "\\" not in where
    return where if is_ours and (where.startswith(("/?", "/-/collectors/")) or where == "/") else "/"

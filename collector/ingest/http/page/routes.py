"""The routes of the pages: for people, with what they order; each a line around what answers it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from quart import Response, request

from collector.errors import Unauthorized
from collector.ingest.http.door import HAS_LEFT
from collector.ingest.http.guard import SECRET_HEADER
from collector.ingest.http.page.pages import STREAM_HEADERS, Visitor, see_other
from collector.ingest.http.responses import response_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from quart_trio import QuartTrio

    from collector.ingest.http.draining import Body
    from collector.ingest.http.head import Head
    from collector.ingest.http.page.pages import Pages

# Routes that need no sign-in: they serve the sign-in form, and reveal nothing.
_OPEN = frozenset({"sign_in_page", "sign_in", "page_asset"})
_STREAMS = frozenset({"follow_overview", "follow_collector"})
PAGE_ROUTES = (
    _OPEN
    | _STREAMS
    | {
        "sign_out",
        "collector_page",
        "flush_by_page",
        "retry_by_page",
    }
)
_PORT = re.compile(r":(\d{1,5})$")


def add_pages(app: QuartTrio, pages: Pages, sent: Callable[[], tuple[Head, Body]]) -> None:
    """Add the routes; ``sent`` returns the head and the body of the request."""
    _add_looking(app, pages)
    _add_orders(app, pages, sent)


def _add_looking(app: QuartTrio, pages: Pages) -> None:
    @app.get("/-/collectors/<collector_id>")
    async def collector_page(collector_id: str) -> Response:
        return response_of(await pages.collector(visitor(), collector_id, request.args.get("said", "")))

    @app.get("/-/events")
    async def follow_overview() -> Response:
        args = request.args
        asked = args.get("show", ""), args.get("q", ""), args.get("since", "")
        return _stream(await pages.follow_overview(*asked, _has_left()))

    @app.get("/-/collectors/<collector_id>/events")
    async def follow_collector(collector_id: str) -> Response:
        return _stream(await pages.follow_collector(visitor(), collector_id, _has_left()))

    @app.get("/-/page/<name>")
    async def page_asset(name: str) -> Response:
        return response_of(await pages.asset(name))


def _add_orders(app: QuartTrio, pages: Pages, sent: Callable[[], tuple[Head, Body]]) -> None:
    @app.get("/-/login")
    async def sign_in_page() -> Response:
        return response_of(await pages.sign_in_form(request.args.get("next", "/")))

    @app.post("/-/login")
    async def sign_in() -> Response:
        return response_of(await pages.sign_in(visitor(), *sent()))

    @app.post("/-/logout")
    async def sign_out() -> Response:
        return response_of(await pages.sign_out(visitor(), *sent()))

    @app.post("/-/collectors/<collector_id>/flush")
    async def flush_by_page(collector_id: str) -> Response:
        return response_of(await pages.flush(visitor(), collector_id, *sent()))

    @app.post("/-/collectors/<collector_id>/retry")
    async def retry_by_page(collector_id: str) -> Response:
        return response_of(await pages.retry(visitor(), collector_id, *sent()))


def is_for_person() -> bool:
    """Tell whether a page is asked for: by its route, or at ``/`` by a client that prefers HTML to JSON."""
    if request.endpoint != "get_status":
        return request.endpoint in PAGE_ROUTES
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def refuse_stranger(pages: Pages) -> Response | None:
    """Send a visitor who hasn't signed in to the form that asks for the secret."""
    if request.endpoint in _OPEN or pages.admits(visitor()):
        return None
    if request.endpoint in _STREAMS:
        raise Unauthorized
    where = request.full_path.rstrip("?") if request.method == "GET" else "/"
    return response_of(see_other(f"/-/login?next={quote(where, safe='')}"))


def visitor() -> Visitor:
    """Return who asks. Services on one machine share cookies, so each has its port in the name of its cookie."""
    found = _PORT.search(request.headers.get("Host", ""))
    name = f"evidently-collector-{found[1] if found else request.scheme}"
    return Visitor(
        request.cookies.get(name, ""),
        name,
        request.scheme == "https",
        request.headers.get(SECRET_HEADER),
        request.args.get("refresh", ""),
    )


def _has_left() -> Callable[[], bool]:
    """Return a function that tells whether the client has left; always False if its socket isn't known."""
    has_left: Callable[[], bool] = request.scope.get("state", {}).get(HAS_LEFT, lambda: False)
    return has_left


def _stream(news: AsyncIterator[bytes]) -> Response:
    response = Response(news, headers=STREAM_HEADERS)
    response.timeout = None  # it ends with its reader
    return response

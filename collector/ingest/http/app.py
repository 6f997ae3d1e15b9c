"""The HTTP API: the original's routes and ours, on quart-trio; each a line around what answers it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trio
from quart import Response, g, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from collector.config.labels import MAIN
from collector.errors import CollectorError
from collector.ingest.http.cloud_events import is_cloud_event, receive_cloud_events, refuse_as_config
from collector.ingest.http.door import ASK_FOR_BODY
from collector.ingest.http.guard import SECRET_HEADER, Caller
from collector.ingest.http.head import Head
from collector.ingest.http.page.routes import add_pages, is_for_person, refuse_stranger, visitor
from collector.ingest.http.probes import OPEN_ROUTES, Check, health_answer
from collector.ingest.http.problems import Answer, answer_for, json_answer, problem_answer
from collector.ingest.http.responses import response_of
from collector.status.counts import Answered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from collector.ingest.http.admin import Admin
    from collector.ingest.http.draining import Body, Draining
    from collector.ingest.http.guard import Guard
    from collector.ingest.http.page.pages import Pages
    from collector.ingest.http.probes import Probes
    from collector.ingest.http.receiving import Receiving
    from collector.status.counts import Counts

    Scrape = Callable[[str], Awaitable[tuple[bytes, str]]]
    _Asgi = Callable[[Any, Any, Any], Awaitable[None]]

_BEARER = "Bearer "
# Request headers that a page of an allowed origin may send, and headers of our answers that it may read.
_ACCEPTED = "authorization, content-encoding, content-type, evidently-secret, idempotency-key, if-match, if-none-match"
_EXPOSED = "ETag, Idempotent-Replayed, Retry-After"


@dataclass(frozen=True)
class Handlers:
    """What the routes are lines around; ``scrape`` returns the metrics and their Content-Type, by the Accept header."""

    receiving: Receiving
    admin: Admin
    probes: Probes
    guard: Guard
    draining: Draining
    counts: Counts
    scrape: Scrape
    pages: Pages
    labels: Receiving


def make_app(handlers: Handlers) -> QuartTrio:
    """Make the ASGI application."""
    app = QuartTrio("collector", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = None  # bodies.py has limits for each format, and answers in our own form
    app.config["BODY_TIMEOUT"] = None
    _add_counting(app, handlers.counts)
    _add_service_routes(app, handlers)
    _add_metrics(app, handlers.scrape)
    _add_collector_routes(app, handlers.admin, handlers.draining)
    _add_batch_routes(app, handlers.admin)
    _add_tap(app, handlers.admin, handlers.guard)
    _add_data(app, handlers.receiving, handlers.labels, handlers.draining)
    _add_labels(app, handlers.labels, handlers.draining)
    add_pages(app, handlers.pages, lambda: (_head(), _body(handlers.draining)))
    _add_guard(app, handlers)
    _add_answers(app, handlers)
    app.asgi_app = _counted(_without_extra_slashes(app.asgi_app), handlers.draining)  # type: ignore[method-assign, assignment]  # wrapping it so is Quart's documented way
    return app


def _add_counting(app: QuartTrio, counts: Counts) -> None:
    @app.before_request
    async def begin() -> None:
        g.began = trio.current_time()

    @app.after_request
    async def count(response: Response) -> Response:
        counts.note_answer(_kind_of(response.status_code), trio.current_time() - g.began)
        return response


def _kind_of(status: int) -> Answered:
    """Return route, method and status for the metrics, in our own words: a client could send endless different ones."""
    rule = request.url_rule
    if rule is None or request.routing_exception is not None:
        return Answered("other", "other", status)
    return Answered(rule.rule.replace("<collector_id>", "{id}"), request.method, status)


def _add_metrics(app: QuartTrio, scrape: Scrape) -> None:
    @app.get("/metrics")
    async def metrics() -> Response:
        """Tell the metrics to Prometheus."""
        text, content_type = await scrape(request.headers.get("Accept", ""))
        return response_of(Answer(200, text, {"Content-Type": content_type}))


def _add_service_routes(app: QuartTrio, handlers: Handlers) -> None:
    @app.get("/")
    async def get_status() -> Response:
        """Say how the service and each collector stand; to a browser, as a page."""
        if is_for_person():
            show, text = request.args.get("show", ""), request.args.get("q", "")
            return response_of(await handlers.pages.overview(visitor(), show, text))
        answer = response_of(handlers.admin.status())
        answer.headers["Vary"] = "Accept"
        return answer

    @app.get("/livez")
    async def livez() -> Response:
        """Tell that the process lives."""
        return response_of(health_answer("livez", "live", [Check("ping")], is_verbose="verbose" in request.args))

    @app.get("/readyz")
    async def readyz() -> Response:
        """Tell whether events are accepted."""
        is_trusted = handlers.guard.is_authorized(_secret())
        checks = [handlers.draining.health, *handlers.probes.checks(is_trusted=is_trusted)]
        return response_of(health_answer("readyz", "ready", checks, is_verbose="verbose" in request.args))

    @app.post("/-/reload")
    async def reload() -> Response:
        """Take what was edited in the config file, at once."""
        return response_of(await handlers.admin.reload())

    @app.get("/schema/openapi.json")
    async def openapi() -> Response:
        """Return this document."""
        from collector.ingest.http.openapi import openapi_document

        return response_of(json_answer(await trio.to_thread.run_sync(openapi_document, app)))


def _add_collector_routes(app: QuartTrio, admin: Admin, draining: Draining) -> None:
    @app.post("/<collector_id>")
    async def create_collector(collector_id: str) -> Response:
        """Add or replace a collector; its events stay."""
        refuse_as_config(collector_id, _headers())
        return response_of(await admin.put_config(collector_id, _head(), _body(draining)))

    @app.get("/<collector_id>")
    async def get_collector(collector_id: str) -> Response:
        """Show a collector's config; its secret is masked."""
        return response_of(admin.config(collector_id))

    @app.delete("/<collector_id>")
    async def delete_collector(collector_id: str) -> Response:
        """Remove a collector with all its events."""
        return response_of(await admin.delete(collector_id, _head()))

    @app.post("/<collector_id>/reference")
    async def set_reference(collector_id: str) -> Response:
        """Set the reference dataset, from the next batch on."""
        return response_of(await admin.set_reference(collector_id, _head(), _body(draining)))

    @app.post("/<collector_id>/rename")
    async def rename_collector(collector_id: str) -> Response:
        """Give a collector another id; its events, batches and log go with it."""
        return response_of(await admin.rename(collector_id, _head(), _body(draining)))


def _add_batch_routes(app: QuartTrio, admin: Admin) -> None:
    @app.post("/<collector_id>/flush")
    async def flush(collector_id: str) -> Response:
        """Seal and evaluate what waits now."""
        return response_of(await admin.flush(collector_id))

    @app.get("/<collector_id>/failed")
    async def get_failed(collector_id: str) -> Response:
        """List the batches whose report failed; they are kept."""
        return response_of(await admin.failed(collector_id))

    @app.post("/<collector_id>/failed")
    async def retry_failed(collector_id: str) -> Response:
        """Have the batches evaluated again whose report failed."""
        return response_of(await admin.retry(collector_id))

    @app.post("/<collector_id>/dashboard")
    async def show_dashboard(collector_id: str) -> Response:
        """Make the collector's dashboard in its project again, beside what others have there."""
        return response_of(await admin.show_dashboard(collector_id))

    @app.get("/<collector_id>/logs")
    async def get_logs(collector_id: str) -> Response:
        """Tell what became of the last batches, newest first."""
        return response_of(await admin.logs(collector_id))

    @app.get("/<collector_id>/snapshots")
    async def get_snapshots(collector_id: str) -> Response:
        """Tell what came of the last batches, newest first, though the batches may be gone."""
        asked = request.args
        of = (asked.get("report", MAIN), asked.get("segment", ""))
        return response_of(await admin.snapshots(collector_id, asked.get("limit"), *of))


def _add_tap(app: QuartTrio, admin: Admin, guard: Guard) -> None:
    @app.get("/<collector_id>/tap")
    async def tap(collector_id: str) -> Response:
        """Show a few of the newest events."""
        guard.check_events()
        return response_of(await admin.tap(collector_id, request.args.get("after", ""), request.args.get("rows", "10")))


def _add_data(app: QuartTrio, receiving: Receiving, labels: Receiving, draining: Draining) -> None:
    @app.post("/<collector_id>/data")
    async def send_data(collector_id: str) -> Response:
        """Send events, or CloudEvents of a model server; they are durable when the answer comes."""
        headers = _headers()
        if is_cloud_event(headers):
            came = (collector_id, headers, _head(), _body(draining))
            return response_of(await receive_cloud_events(receiving, labels, *came))
        return response_of(await receiving.receive_data(collector_id, _head(), _body(draining)))

    @app.post("/<collector_id>/batches")
    async def send_batch(collector_id: str) -> Response:
        """Make one body one batch of a window, sealed at once beside the open batch."""
        return response_of(await receiving.receive_batch(collector_id, _head(), _body(draining), request.args))


def _add_labels(app: QuartTrio, receiving: Receiving, draining: Draining) -> None:
    @app.post("/<collector_id>/labels")
    async def send_labels(collector_id: str) -> Response:
        """Send what has become known of events; it is durable when the answer comes."""
        return response_of(await receiving.receive_data(collector_id, _head(), _body(draining)))


def _add_guard(app: QuartTrio, handlers: Handlers) -> None:
    @app.before_request
    async def guard() -> Response | None:
        caller = _caller()
        handlers.guard.check_page(caller)
        if request.endpoint not in OPEN_ROUTES:
            handlers.guard.check_host(caller.host)
        if request.routing_exception is not None or request.endpoint in OPEN_ROUTES:
            return None
        if _is_preflight(caller):
            return response_of(_preflight_answer())
        if request.method == "HEAD":  # the original answers HEAD with 405, and does so before it asks for the secret
            return response_of(problem_answer(405, "Method Not Allowed"))
        handlers.draining.check()
        if is_for_person():
            return refuse_stranger(handlers.pages)
        handlers.guard.authorize(_secret())
        if request.endpoint == "create_collector":
            handlers.guard.check_config(caller, request.mimetype)
        return response_of(_options()) if request.method == "OPTIONS" else None

    @app.after_request
    async def admit_page(response: Response) -> Response:
        origin = request.headers.get("Origin", "")
        if handlers.guard.allows(origin):
            response.headers.extend({"Access-Control-Allow-Origin": origin, "Vary": "Origin"})
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        return response


def _add_answers(app: QuartTrio, handlers: Handlers) -> None:
    @app.errorhandler(CollectorError)
    async def refuse(error: CollectorError) -> Response:
        receivers = dict.fromkeys(("send_data", "send_batch"), handlers.receiving) | {"send_labels": handlers.labels}
        receiving = receivers.get(request.endpoint or "")
        if receiving is not None:
            receiving.intake.count_refusal((request.view_args or {})["collector_id"], error)
        told = f"{request.method} {request.path}"
        return response_of(await handlers.pages.problem(error, told) if is_for_person() else answer_for(error, told))

    @app.errorhandler(HTTPException)
    async def refuse_route(error: HTTPException) -> Response:
        status = 404 if request.path == "/" else error.code or 500  # POST / was no route of the original
        answer = problem_answer(status, {404: "Not Found", 405: "Method Not Allowed"}.get(status, error.name))
        allowed = getattr(error, "valid_methods", None) if status == 405 else None
        return response_of(Answer(answer.status, answer.body, {**answer.headers, **_allow(allowed)}))


def _secret() -> str | None:
    """Return the secret that a request carries. Prometheus sends it in a header of its own."""
    authorization = request.headers.get("Authorization", "")
    if request.endpoint == "metrics" and authorization.startswith(_BEARER):
        return authorization.removeprefix(_BEARER)
    return request.headers.get(SECRET_HEADER)


def _caller() -> Caller:
    headers = request.headers
    return Caller(
        request.method,
        headers.get("Host", ""),
        headers.get("Origin", ""),
        headers.get("Sec-Fetch-Site", ""),
        headers.get("Sec-Fetch-Mode", ""),
        headers.get("Sec-Fetch-Dest", ""),
    )


def _is_preflight(caller: Caller) -> bool:
    """Tell whether a browser asks whether a page may send a request (Fetch, 4.8); it sends no secret with that."""
    return bool(caller.method == "OPTIONS" and caller.origin and "Access-Control-Request-Method" in request.headers)


def _preflight_answer() -> Answer:
    methods = sorted(set(request.url_rule.methods or ()) - {"HEAD"}) if request.url_rule else []
    headers = {
        "Access-Control-Allow-Methods": ", ".join(methods),
        "Access-Control-Allow-Headers": _ACCEPTED,
        "Access-Control-Max-Age": "600",
    }
    if request.headers.get("Access-Control-Request-Private-Network") == "true":
        headers["Access-Control-Allow-Private-Network"] = "true"
    return Answer(204, b"", headers)


def _options() -> Answer:
    return Answer(204, b"", _allow(request.url_rule.methods if request.url_rule else None))


def _allow(methods: Any) -> dict[str, str]:
    return {"Allow": ", ".join(sorted(set(methods) - {"HEAD"}))} if methods else {}


def _headers() -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _head() -> Head:
    headers = request.headers
    return Head(
        headers.get("Content-Type", ""),
        headers.get("Content-Encoding", ""),
        headers.get("Content-Length"),
        headers.get("Idempotency-Key", ""),
        headers.get("If-Match", ""),
        headers.get("If-None-Match", ""),
    )


def _body(draining: Draining) -> Body:
    return draining.body(request.body, request.scope.get("state", {}).get(ASK_FOR_BODY))


def _without_extra_slashes(asgi_app: _Asgi) -> _Asgi:
    """Take ``//main/`` for ``/main``, as the original did; werkzeug would redirect, and a POST would be lost."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["path"] = re.sub("/+", "/", scope["path"]).rstrip("/") or "/"
        await asgi_app(scope, receive, send)

    return app


def _counted(asgi_app: _Asgi, draining: Draining) -> _Asgi:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await asgi_app(scope, receive, send)
            return
        with draining.request():
            await asgi_app(scope, receive, send)

    return app

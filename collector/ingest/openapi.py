"""The OpenAPI document, made by quart-schema when it is first asked for: its import would double the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from collector import __version__

if TYPE_CHECKING:
    from quart import Quart


def openapi_document(app: Quart) -> dict[str, Any]:
    """Describe the routes of an application."""
    from quart_schema import Info, OpenAPIProvider, QuartSchema

    extension = QuartSchema(info=Info(title="Evidently collector", version=__version__))
    return OpenAPIProvider(app, extension).schema()

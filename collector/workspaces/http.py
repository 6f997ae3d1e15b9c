"""A service: an Evidently UI or Evidently Cloud, spoken to over HTTP that can be cancelled and has time-outs.

Evidently's own client has neither time-outs nor retries, and loses the status of an answer.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from collector.errors import ConfigError, DeliveryError, DeliveryRefused, SnapshotTooLarge

if TYPE_CHECKING:
    import httpx

    from collector.config import CollectorConfig

# Seconds without a byte after which a service is given up.
SILENCE = 60.0
# A service that asks for a longer pause is asked again nevertheless.
LONGEST_PAUSE = 3600.0

# As evidently.ui.workspace has them.
_TOKEN_HEADER = "X-Evidently-Token"  # noqa: S105
_TOKEN_COOKIE = "app.at"  # noqa: S105
_SECRET_HEADER = "evidently-secret"  # noqa: S105


class Services:
    """Connections to services; each request carries what its collector's config says."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None
        self._jwt: dict[tuple[str, str | None], str] = {}

    async def request(self, config: CollectorConfig, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send a request and give its good answer; raise DeliveryError for any other, in words for the operator."""
        response = await self.send(config, method, path, **arguments)
        raise_for(response, config)
        return response

    async def send(self, config: CollectorConfig, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send a request and give its answer, whatever it is; raise DeliveryError if there is none."""
        response = await self._request_once(config, method, path, arguments)
        if response.status_code == 401 and self._jwt.pop(_login(config), None) is not None:  # it may have expired
            response = await self._request_once(config, method, path, arguments)
        return response

    async def request_json(self, config: CollectorConfig, method: str, path: str, **arguments: Any) -> Any:
        """Send a request and give what its good answer holds; raise DeliveryRefused if that isn't JSON."""
        return json_of(await self.request(config, method, path, **arguments), config)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _request_once(
        self, config: CollectorConfig, method: str, path: str, arguments: dict[str, Any]
    ) -> httpx.Response:
        headers = {**arguments.get("headers", {}), **await self._credentials(config)}
        return await self._http(config, method, path, {**arguments, "headers": headers})

    async def _credentials(self, config: CollectorConfig) -> dict[str, str]:
        """Give the headers that let us in: a service's secret; a key of Evidently Cloud; or a login's token."""
        secret = config.secret()
        if config.workspace_kind == "service":
            return {} if secret is None else {_SECRET_HEADER: secret}
        if secret is None:
            raise ConfigError.at("Evidently Cloud needs a key; write it, or ${NAME}", "api_secret")
        if secret.startswith("sk_") and secret.count(".") >= 2:
            return {"Authorization": f"Bearer {secret}"}
        if _login(config) not in self._jwt:
            response = await self._http(config, "GET", "/api/users/login", {"headers": {_TOKEN_HEADER: secret}})
            raise_for(response, config)
            self._jwt[_login(config)] = response.text
        return {"Cookie": f"{_TOKEN_COOKIE}={self._jwt[_login(config)]}"}

    async def _http(self, config: CollectorConfig, method: str, path: str, arguments: dict[str, Any]) -> httpx.Response:
        import httpx

        if self._client is None:
            # Without bounds: each collector sends one at a time, and a dead workspace must not take what others need.
            self._client = httpx.AsyncClient(timeout=SILENCE, trust_env=True, limits=httpx.Limits())
        try:
            return await self._client.request(method, config.api_url.rstrip("/") + path, **arguments)
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise DeliveryRefused(
                f"'{config.shown_url}' is no address of a service; write it as http://HOST:PORT"
            ) from error
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise DeliveryError(f"{config.shown_url} can't be reached: {_reason(error)}") from error
        except httpx.HTTPError as error:
            message = f"{config.shown_url} didn't answer: {_reason(error)}"
            raise DeliveryError(message, is_ambiguous=True) from error


def json_of(response: httpx.Response, config: CollectorConfig) -> Any:
    """Give what an answer holds; raise DeliveryRefused if that isn't JSON."""
    try:
        return response.json()
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise not_evidently(config) from error


def not_evidently(config: CollectorConfig) -> DeliveryRefused:
    """Say that what answered isn't what we know."""
    return DeliveryRefused(
        f"{config.shown_url} answers, but not as an Evidently service does; is it the right address?"
    )


def _login(config: CollectorConfig) -> tuple[str, str | None]:
    return config.api_url, config.secret()


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def raise_for(response: httpx.Response, config: CollectorConfig) -> None:
    """Translate a refusal to what the operator can do about it."""
    status = response.status_code
    if response.is_success:
        return
    said = f"{config.shown_url} answered {status}{_detail(response)}"
    if status == 413:
        raise SnapshotTooLarge(f"{said}: the snapshot is over its body limit")
    if status in {401, 403}:
        raise DeliveryRefused(f"{said}: it doesn't take this api_secret; give it the right one")
    if status == 404:
        project = f"'{config.project_id}'" if config.project_id else f"named '{config.project_name}'"
        raise DeliveryRefused(f"{said}: it has no project {project}; make it there, or give a project_name")
    if status == 405:
        generation = config.report_config.generation
        service = "evidently ui" if generation == "modern" else "evidently legacy_ui"
        raise DeliveryRefused(f"{said}: it doesn't take {generation} snapshots; api_url must lead to an '{service}'")
    if status < 400:
        leads_to = response.headers.get("Location", "elsewhere")
        raise DeliveryRefused(f"{said}: it leads to {leads_to}; write the address that answers itself as api_url")
    if status in {408, 425, 429, 503}:
        raise DeliveryError(said, retry_after=_retry_after(response))
    if status >= 500:
        raise DeliveryError(said, is_ambiguous=True)
    raise DeliveryRefused(said)


def _detail(response: httpx.Response) -> str:
    try:
        data = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return ""
    return f" ({str(data['detail'])[:300]})" if isinstance(data, dict) and "detail" in data else ""


def _retry_after(response: httpx.Response) -> float:
    """Give the pause that an answer asks for, in seconds or as a date (RFC 9110, 10.2.3); an hour at most."""
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return min(float(text), LONGEST_PAUSE)
    try:
        pause = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):  # no date, or one without a zone
        return 0.0
    return min(max(pause, 0.0), LONGEST_PAUSE)

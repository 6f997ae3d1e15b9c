"""Asking a workspace for something, with a time-out; whatever goes wrong is an error that names the workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import trio

from collector.errors import CollectorError, DeliveryError, DeliveryRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from collector.pipeline.work import Work

T = TypeVar("T")
# Characters of an unforeseen error, which may quote a whole body.
_MAX_REASON = 500


async def ask_workspace(work: Work, ask: Callable[[], Awaitable[T]], batch_id: str) -> T:
    """Return what a collector's workspace answers; raise DeliveryError for all that goes wrong there.

    Whether something that is cut off was done is unknown then.
    """
    shown, timeout = work.config.shown_url, work.service.delivery_timeout
    if problems := work.config.outside(work.tools.base, work.data_dir.path):
        raise DeliveryRefused("; ".join(map(str, problems)))
    try:
        with trio.fail_after(timeout + work.workspace.starting_time):
            return await ask()
    except CollectorError:
        raise
    except trio.TooSlowError as error:
        raise DeliveryError(f"{shown} took longer than {timeout:g} s", is_ambiguous=True) from error
    except Exception as error:  # a bulkhead: no error in a workspace may stop anything else
        said = f"{shown} can't be delivered to: {type(error).__name__}: {error}"
        work.log.debug("where delivery failed", batch=batch_id, exc_info=error)
        raise DeliveryError(said[:_MAX_REASON], is_ambiguous=True) from error

"""Edits: what a person changed in the config file, merged with what clients changed meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from collector.config import CollectorServiceConfig

# Settings that need a restart.
FIXED_FIELDS = ("data_dir", "durability", "evaluation_workers", "evaluation_max_bytes", "worker_environment", "kafka")


@dataclass(frozen=True)
class Changes:
    """What an edit changes: collectors by id, other fields by name; ``needs_restart`` are those that it can't."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()


def merge(
    edited: CollectorServiceConfig, base: CollectorServiceConfig, running: CollectorServiceConfig
) -> CollectorServiceConfig:
    """Return the config that results if ``running``, which began as ``base``, takes the edit of ``base``.

    Without autosave the two differ: what the edit leaves alone stays as clients made it.
    """
    ids = dict.fromkeys([*edited.collectors, *running.collectors])
    sources = {key: running if edited.collectors.get(key) == base.collectors.get(key) else edited for key in ids}
    collectors = {key: source.collectors[key] for key, source in sources.items() if key in source.collectors}
    kept = {name: getattr(running, name) for name in FIXED_FIELDS}
    return edited.model_copy(update={"collectors": collectors, **kept})


def changes_between(
    running: CollectorServiceConfig, wanted: CollectorServiceConfig, edited: CollectorServiceConfig
) -> Changes:
    """Return the differences between the running config and the wanted one."""
    had, has = running.collectors, wanted.collectors
    fields = [name for name in CollectorServiceConfig.model_fields if name != "collectors"]
    return Changes(
        added=tuple(key for key in has if key not in had),
        changed=tuple(key for key in has if key in had and has[key] != had[key]),
        removed=tuple(key for key in had if key not in has),
        settings=tuple(name for name in fields if getattr(wanted, name) != getattr(running, name)),
        needs_restart=tuple(name for name in FIXED_FIELDS if getattr(edited, name) != getattr(running, name)),
    )

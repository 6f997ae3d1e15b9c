"""Clients for the services that send events: ``CollectorClient`` and its twin for trio and asyncio."""

from collector.client.requests import AsyncCollectorClient, CollectorClient

__all__ = ["AsyncCollectorClient", "CollectorClient"]

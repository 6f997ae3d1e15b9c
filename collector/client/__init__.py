"""Clients for the services that send events: ``CollectorClient`` and its twin for trio and asyncio."""

from collector.client.blocking import CollectorClient
from collector.client.concurrent import AsyncCollectorClient

__all__ = ["AsyncCollectorClient", "CollectorClient"]

"""Publishes with many PubAcks outstanding: plain `publish` with a reply inbox, and a count of what came back."""

from __future__ import annotations

import asyncio

from nats.aio.client import Client
from nats.aio.msg import Msg


class Pipeline:
    """Publishes whose PubAcks are counted; nothing else is kept of them, which is as little as one can do."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._sent = self._acknowledged = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    async def open(self) -> None:
        await self._client.subscribe(self._inbox, cb=self._on_ack)

    async def publish(self, subject: str, payload: bytes) -> None:
        """Send, not waiting for the PubAck."""
        self._sent += 1
        await self._client.publish(subject, payload, reply=self._inbox)

    async def settled(self, outstanding: int = 0) -> None:
        """Wait until at most `outstanding` of what was sent so far lacks its PubAck."""
        goal = self._sent - outstanding
        if self._acknowledged < goal:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append((goal, future))
            await future

    async def _on_ack(self, message: Msg) -> None:
        if b'"error"' in message.data:
            raise RuntimeError(f"not stored: {message.data!r}")
        self._acknowledged += 1
        if self._waiting and self._acknowledged >= self._waiting[0][0]:
            self._waiting.pop(0)[1].set_result(None)

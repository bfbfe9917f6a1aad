"""Saying that the worker lives, and which claims it holds, so that they can be handed back at once if it dies."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from naq.backends.base import Registry, WorkerInfo
from naq.worker.facts import Facts
from naq.worker.service import Service

State = Literal["starting", "running", "stopping"]


class Presence(Service):
    """Registers the worker `info`, with its `facts`, and again every `interval` seconds.

    Not heard of for `ttl` seconds, it is taken for dead.

    Attributes:
        state: what the next word will say.
    """

    def __init__(self, registry: Registry, info: WorkerInfo, facts: Facts, *, interval: float, ttl: float) -> None:
        super().__init__("presence", interval=interval)
        self._registry = registry
        self._info = info
        self._facts = facts
        self._ttl = ttl
        self.state: State = "starting"

    async def run_once(self) -> int:
        """Say it; how many claims are held."""
        info = replace(self._facts.add(self._info), state=self.state)
        await self._registry.register(info, ttl=self._ttl)
        return len(info.claims)

    async def leave(self) -> None:
        """Say that the worker has gone."""
        await self._registry.unregister(self._info.id)

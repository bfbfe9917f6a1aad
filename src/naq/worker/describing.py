"""Says what this worker's tasks are called with, so that others can call them who do not have their code."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from naq import clock
from naq.backends.base import Entries
from naq.config import Config
from naq.task.describe import KIND, describe, encode, key_of
from naq.worker.service import Service

if TYPE_CHECKING:
    from naq.app import Naq

#: Seconds between two words, much less than `record_ttl`, after which a task that nobody has any more is forgotten.
AGAIN: Final = 86_400.0
AT_ONCE: Final = 32  # descriptions on their way


class Describing(Service):
    """Keeps a description of each task of `app`, at the start and once a day."""

    def __init__(self, backend: Entries, config: Config, app: Naq) -> None:
        super().__init__("descriptions", interval=min(AGAIN, config.record_ttl / 4))
        self._backend, self._config, self._app = backend, config, app

    async def run_once(self) -> int:
        """Say it; how many tasks that is."""
        now = clock.now()
        found = [(name, encode(describe(task, app=self._app.name, at=now))) for name, task in self._app.tasks.items()]
        fit = [(name, value) for name, value in found if len(value) <= self._config.max_payload]
        for start in range(0, len(fit), AT_ONCE):
            await asyncio.gather(
                *(
                    self._backend.put(KIND, key_of(name), value, ttl=self._config.record_ttl)
                    for name, value in fit[start : start + AT_ONCE]
                )
            )
        return len(fit)

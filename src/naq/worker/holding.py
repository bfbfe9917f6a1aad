"""Jobs of tasks that somebody paused: they go back and wait, before anything of them runs."""

from __future__ import annotations

from typing import Final

from naq import clock
from naq.backends.base import Entries
from naq.limits.pauses import Pause, held_reason, paused_tasks
from naq.worker.outcome import Released
from naq.worker.service import Service

#: Seconds until a job that was put back comes again: at first, and at most, which is how long a resumed task may wait.
FIRST, MOST = 1.0, 30.0
#: Of a pause's age: the wait. A short pause is soon over, and of a long one jobs come by seldom.
SHARE: Final = 0.5


class Holding(Service):
    """Knows which tasks are paused: looks every `interval` seconds, and when nudged."""

    def __init__(self, backend: Entries, *, interval: float) -> None:
        super().__init__("paused tasks", interval=interval)
        self._backend = backend
        self._paused: dict[str, Pause] = {}

    async def run_once(self) -> int:
        """Look; how many are paused."""
        self._paused = await paused_tasks(self._backend)
        return len(self._paused)

    def objection(self, task: str) -> Released | None:
        """None where a job of `task` may run; else how long it waits until somebody looks again."""
        if not self._paused or (pause := self._paused.get(task)) is None:
            return None
        return Released(delay_of(pause, clock.now()), held_reason(pause))


def delay_of(pause: Pause, now: float) -> float:
    """Seconds until a job that `pause` holds comes again."""
    return min(max((now - pause.at) * SHARE, FIRST), MOST)

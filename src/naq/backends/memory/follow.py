"""The log of one job."""

from __future__ import annotations

from collections.abc import Collection

from naq.backends.base import Event
from naq.backends.memory.events import read_cursor
from naq.backends.memory.instance import Instance
from naq.names import check_token


class FollowPart(Instance):
    """`EventLog.follow` and `EventLog.newest`."""

    async def follow(
        self,
        job_id: str,
        *,
        kinds: Collection[str] = (),
        after: str | None = None,
        limit: int = 1000,
        wait: float = 0.0,
    ) -> list[tuple[str, Event]]:
        """Events of one job after the cursor."""
        await self._yield()
        check_token("job id", job_id)
        cursor, log = read_cursor(after), self._store.log

        def look() -> list[tuple[str, Event]] | None:
            nonlocal cursor
            found, cursor = log.of_job(cursor, limit, job_id, kinds)  # what was passed over is not looked at again
            return found or None

        return await self._until(look, lambda: [self._store.logged], wait) or []

    async def newest(self, job_id: str, kind: str) -> tuple[str, Event] | None:
        """The last event of a kind."""
        await self._yield()
        check_token("job id", job_id)
        with self._store.lock:
            found, _ = self._store.log.of_job(read_cursor(None), 1 << 62, job_id, (kind,))
        return found[-1] if found else None

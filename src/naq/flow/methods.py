"""What an app does with many jobs at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from naq import sync
from naq.connections import on_bridge

if TYPE_CHECKING:
    from naq.connections import Host
    from naq.flow.cancel import Cancelled
    from naq.job import JobState


class Methods:
    """Part of `Naq`."""

    async def cancel_where(
        self: Host,
        *,
        queue: str | None = None,
        task: str | None = None,
        states: Collection[JobState] = (),
        tags: Mapping[str, str] | None = None,
    ) -> Cancelled:
        """Cancel every job that waits or runs and fits all that is given; how many that were. Needs no worker.

        ::

            await app.cancel_where(task="mail.send*", states=[JobState.SCHEDULED], tags={"tenant": "acme"})

        `task` may hold ``*`` and ``?``. What is enqueued meanwhile may be left out.

        Raises:
            ConfigurationError: nothing was given, which would be everything, or a state that is final.
        """
        from naq.flow.cancel import cancel_where

        return await cancel_where(self, queue=queue, task=task, states=states, tags=tags)

    def cancel_where_sync(
        self: Host,
        *,
        queue: str | None = None,
        task: str | None = None,
        states: Collection[JobState] = (),
        tags: Mapping[str, str] | None = None,
    ) -> Cancelled:
        """`cancel_where` for code without an event loop; safe in threads."""
        from naq.flow.cancel import cancel_where

        instead = "await app.cancel_where(...)"
        return sync.run(instead, cancel_where, on_bridge(self), queue=queue, task=task, states=states, tags=tags)

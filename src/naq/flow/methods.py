"""What an app does with many jobs at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from naq import sync
from naq.connections import on_bridge

if TYPE_CHECKING:
    from naq.backends.base import DeadLetter
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

    async def dead_letters(
        self: Host,
        *,
        queue: str | None = None,
        task: str | None = None,
        kind: Literal["failed", "malformed"] | None = None,
        reason: str | None = None,
        limit: int = 100,
    ) -> list[DeadLetter]:
        """The newest `limit` dead letters that fit all that is given, newest first (docs/dead.md).

        `task` may hold ``*`` and ``?``; `reason` is text that the letter's reason contains, in any case.
        """
        from naq.flow.letters import Search, find_letters

        search = Search(queue=queue, task=task, kind=kind, reason=reason)
        return await find_letters(await self.connect(), search, limit=limit)

    async def retry_dead(self: Host, letters: Iterable[DeadLetter | str], *, rate: float | None = None) -> int:
        """Run the jobs of `letters` (or ids) again, from their first attempt, at most `rate` a second; how many.

        Those that are gone, and messages that are no jobs, are passed over.

        Raises:
            ConfigurationError: a rate that is not more than 0.
        """
        from naq.flow.letters import replay

        ids = [letter if isinstance(letter, str) else letter.id for letter in letters]
        return sum(await replay(await self.connect(), ids, rate=rate))

    async def retry_edited(
        self: Host, letter: DeadLetter, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None
    ) -> bool:
        """Run the job of `letter` again with other arguments; whether it was still there.

        `args` are instead of its positional ones, `kwargs` over those by name.

        Raises:
            ConfigurationError: it is no job that failed.
            SerializationError: it cannot be read here, is pickled, or the new arguments have no JSON form.
        """
        from naq.flow.letters import edited

        payload = edited(letter, self.config, args=args, kwargs=kwargs)
        return await (await self.connect()).requeue(letter.id, payload=payload)

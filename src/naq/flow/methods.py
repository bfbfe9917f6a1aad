"""What an app does with many jobs at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from naq import sync
from naq.connections import on_bridge

if TYPE_CHECKING:
    from naq.backends.base import DeadLetter
    from naq.connections import Host
    from naq.flow.cancel import Cancelled
    from naq.flow.letters import Search
    from naq.job import JobRecord, JobState


class Methods:
    """Part of `Naq`."""

    async def jobs(
        self: Host,
        *,
        queue: str | None = None,
        task: str | None = None,
        states: Collection[JobState] = (),
        tags: Mapping[str, str] | None = None,
        due_before: datetime | float | None = None,
        limit: int = 100,
    ) -> list[JobRecord]:
        """At most `limit` jobs that fit all that is given: those that wait or run, then those that have ended.

        ::

            await app.jobs(queue="mail", due_before=tomorrow)

        The newest come first; with `due_before` (a datetime, of which a naive one means UTC, or UNIX seconds) those
        that wait for a time before that, and the one that is due next comes first. `task` may hold ``*`` and ``?``. For
        people and small programs: it looks at all jobs of the queue, and at none of those that ended long ago
        (docs/history.md).

        Raises:
            ConfigurationError: `due_before` with states that wait for no time.
            SerializationError: one that has ended is encrypted, and cannot be read here.
        """
        from naq.flow.listing import find_jobs

        return await find_jobs(
            self, queue=queue, task=task, states=states, tags=tags, due_before=due_before, limit=limit
        )

    def jobs_sync(
        self: Host,
        *,
        queue: str | None = None,
        task: str | None = None,
        states: Collection[JobState] = (),
        tags: Mapping[str, str] | None = None,
        due_before: datetime | float | None = None,
        limit: int = 100,
    ) -> list[JobRecord]:
        """`jobs` for code without an event loop; safe in threads."""
        from naq.flow.listing import find_jobs

        return sync.run(
            "await app.jobs(...)", find_jobs, on_bridge(self), queue=queue, task=task, states=states, tags=tags,
            due_before=due_before, limit=limit,
        )  # fmt: skip

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
        from naq.flow.letters import Search

        return await _find_letters(self, Search(queue=queue, task=task, kind=kind, reason=reason), limit)

    def dead_letters_sync(
        self: Host,
        *,
        queue: str | None = None,
        task: str | None = None,
        kind: Literal["failed", "malformed"] | None = None,
        reason: str | None = None,
        limit: int = 100,
    ) -> list[DeadLetter]:
        """`dead_letters` for code without an event loop; safe in threads."""
        from naq.flow.letters import Search

        search = Search(queue=queue, task=task, kind=kind, reason=reason)
        return sync.run("await app.dead_letters(...)", _find_letters, on_bridge(self), search, limit)

    async def retry_dead(self: Host, letters: Iterable[DeadLetter | str], *, rate: float | None = None) -> int:
        """Run the jobs of `letters` (or ids) again, from their first attempt, at most `rate` a second; how many.

        Those that are gone, and messages that are no jobs, are passed over.

        Raises:
            ConfigurationError: a rate that is not more than 0.
        """
        return await _retry(self, _ids(letters), rate)

    def retry_dead_sync(self: Host, letters: Iterable[DeadLetter | str], *, rate: float | None = None) -> int:
        """`retry_dead` for code without an event loop; safe in threads."""
        return sync.run("await app.retry_dead(...)", _retry, on_bridge(self), _ids(letters), rate)

    async def discard_dead(self: Host, letters: Iterable[DeadLetter | str]) -> int:
        """Remove `letters` (or those of these ids); how many there were. The records of their jobs stay."""
        return await _discard(self, _ids(letters))

    def discard_dead_sync(self: Host, letters: Iterable[DeadLetter | str]) -> int:
        """`discard_dead` for code without an event loop; safe in threads."""
        return sync.run("await app.discard_dead(...)", _discard, on_bridge(self), _ids(letters))

    async def retry_edited(
        self: Host, letter: DeadLetter, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None
    ) -> bool:
        """Run the job of `letter` again with other arguments; whether it was still there.

        `args` are instead of its positional ones, `kwargs` over those by name.

        Raises:
            ConfigurationError: it is no job that failed.
            SerializationError: it cannot be read here, is pickled, or the new arguments have no JSON form.
        """
        return await _retry_edited(self, letter, args, kwargs)

    def retry_edited_sync(
        self: Host, letter: DeadLetter, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None
    ) -> bool:
        """`retry_edited` for code without an event loop; safe in threads."""
        return sync.run("await app.retry_edited(...)", _retry_edited, on_bridge(self), letter, args, kwargs)


def _ids(letters: Iterable[DeadLetter | str]) -> list[str]:
    return [letter if isinstance(letter, str) else letter.id for letter in letters]


async def _find_letters(host: Host, search: Search, limit: int) -> list[DeadLetter]:
    from naq.flow.letters import find_letters

    return await find_letters(await host.connect(), search, limit=limit)


async def _retry(host: Host, ids: Sequence[str], rate: float | None) -> int:
    from naq.flow.letters import replay

    return sum(await replay(await host.connect(), ids, rate=rate))


async def _discard(host: Host, ids: Sequence[str]) -> int:
    backend = await host.connect()
    return sum([await backend.bury(letter_id) for letter_id in ids])


async def _retry_edited(
    host: Host, letter: DeadLetter, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None
) -> bool:
    from naq.flow.letters import edited

    payload = edited(letter, host.config, args=args, kwargs=kwargs)
    return await (await host.connect()).requeue(letter.id, payload=payload)

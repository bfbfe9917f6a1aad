"""What a claim may end in, and what the backend is told then. Frozen data; each knows the one call that settles it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import ClassVar

from msgspec import Struct

from naq.backends.base import Claim, JobQueue
from naq.job import AttemptError, JobRecord


class Outcome(Struct, frozen=True, gc=False):
    """The root."""

    word: ClassVar[str] = ""

    def __str__(self) -> str:
        """What it is called in logs."""
        return self.word

    def settle(self, queue: JobQueue, claim: Claim) -> Awaitable[object]:
        """Tell `queue` how `claim` ended."""
        raise NotImplementedError


class Succeeded(Outcome, frozen=True, gc=False):
    """The task returned; `record` holds its result."""

    word = "succeeded"
    record: JobRecord

    def settle(self, queue: JobQueue, claim: Claim) -> Awaitable[object]:
        """Store the record."""
        return queue.complete(claim, self.record)


class Discarded(Outcome, frozen=True):
    """It ended for good, and not well: failed, cancelled or expired, as `record` says."""

    record: JobRecord

    def __str__(self) -> str:
        """How it ended."""
        return str(self.record.state)

    def settle(self, queue: JobQueue, claim: Claim) -> Awaitable[object]:
        """Store the record, and the dead letter of a failed job."""
        return queue.discard(claim, self.record)


class Retried(Outcome, frozen=True):
    """The attempt failed with `error` and another follows after `delay` seconds, with `payload`."""

    word = "retrying"
    delay: float
    payload: bytes
    error: AttemptError

    def settle(self, queue: JobQueue, claim: Claim) -> Awaitable[object]:
        """Put it back as the next attempt."""
        return queue.retry(claim, delay=self.delay, payload=self.payload, reason=self.error.message[:200])


class Released(Outcome, frozen=True):
    """It goes back untouched, to be claimed again after `delay` seconds; the attempt does not count."""

    word = "released"
    delay: float
    reason: str

    def settle(self, queue: JobQueue, claim: Claim) -> Awaitable[object]:
        """Put it back."""
        return queue.release(claim, delay=self.delay, reason=self.reason)


class Rejected(Outcome, frozen=True):
    """It is no job at all, for `reason`; nothing of it was run."""

    word = "rejected"
    reason: str

    def settle(self, queue: JobQueue, claim: Claim) -> Awaitable[object]:
        """Take it to the dead letters as it came."""
        return queue.reject(claim, reason=self.reason)


class Dropped(Outcome, frozen=True):
    """Its final record exists already: only the message is left."""

    word = "dropped"

    def settle(self, queue: JobQueue, claim: Claim) -> Awaitable[object]:
        """Remove the message."""
        return queue.drop(claim)

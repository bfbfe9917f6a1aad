"""The little of an envelope that people are shown of a waiting job; never fails, whatever the payload is."""

from __future__ import annotations

from typing import Final

import msgspec

from naq.codec.after import MAX_SHOWN, After, some_parents
from naq.job import AttemptError


class Peek(msgspec.Struct, frozen=True):
    """A job's task, when it was enqueued and when it expires (UNIX seconds), earlier errors, limits, kin."""

    task: str = ""
    at: float = 0.0
    errors: list[AttemptError] = []
    limits: list[str] = []
    parent: str = ""
    root: str = ""
    after: After | None = None
    expires_at: float | None = None

    @property
    def waits_for(self) -> list[str]:
        """Whom it waits for, or waited for: the first hundred of them."""
        return some_parents(self.after, MAX_SHOWN)


_decode: Final = msgspec.json.Decoder(Peek).decode


def peek(payload: bytes) -> Peek:
    """What `payload` says; all empty where it is no envelope (whoever claims it will say so)."""
    try:
        return _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Peek()

"""The little of an envelope that people are shown of a waiting job; never fails, whatever the payload is."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from naq.codec.after import MAX_SHOWN, After, some_parents
from naq.codec.arguments import JSON, NO_ARGS, NO_KWARGS, carried
from naq.job import AttemptError


class Peek(msgspec.Struct, frozen=True):
    """A job's task, arguments, when it was enqueued and when it expires (UNIX seconds), earlier errors, limits, kin."""

    task: str = ""
    at: float = 0.0
    errors: list[AttemptError] = []
    limits: list[str] = []
    parent: str = ""
    root: str = ""
    after: After | None = None
    expires_at: float | None = None
    codec: str = JSON
    args: Raw = NO_ARGS
    kwargs: Raw = NO_KWARGS

    @property
    def waits_for(self) -> list[str]:
        """Whom it waits for, or waited for: the first hundred of them."""
        return some_parents(self.after, MAX_SHOWN)

    def arguments(self, limit: int) -> Raw | None:
        """What it is called with, as its record carries it (`carried`)."""
        return carried(self.codec, self.args, self.kwargs, limit)


_decode: Final = msgspec.json.Decoder(Peek).decode


def peek(payload: bytes) -> Peek:
    """What `payload` says; all empty where it is no envelope (whoever claims it will say so)."""
    try:
        return _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Peek(codec="")

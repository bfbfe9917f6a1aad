"""The little of an envelope that people are shown of a waiting job; never fails, whatever the payload is."""

from __future__ import annotations

from typing import Final

import msgspec

from naq.job import AttemptError


class Peek(msgspec.Struct, frozen=True):
    """A job's task, the time it was enqueued (UNIX seconds) and what ended its earlier attempts."""

    task: str = ""
    at: float = 0.0
    errors: list[AttemptError] = []


_decode: Final = msgspec.json.Decoder(Peek).decode


def peek(payload: bytes) -> Peek:
    """What `payload` says; all empty where it is no envelope (whoever claims it will say so)."""
    try:
        return _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Peek()

"""Dead letters that a person has dealt with: by whom, when, and what they say; kept as long as the letters are."""

from __future__ import annotations

import logging
from typing import Final

import msgspec
from msgspec import Struct

from naq import clock
from naq.backends.base import Entries

log = logging.getLogger("naq.flow")

KIND: Final = "handled"  # of entries, by the letter's id
LONGEST: Final = 1000  # characters of a note
_LONGEST_NAME: Final = 200


class Handled(Struct, frozen=True):
    """The word. `at` in UNIX seconds; `by` and `note` may be empty."""

    by: str = ""
    at: float = 0.0
    note: str = ""


_decode: Final = msgspec.json.Decoder(Handled).decode


async def handle(backend: Entries, letter_id: str, *, by: str, note: str, ttl: float) -> Handled:
    """Say that somebody dealt with a letter, for `ttl` seconds; the last word stands.

    Raises:
        NaqConnectionError: it could not be stored.
    """
    word = Handled(" ".join(by.split())[:_LONGEST_NAME], clock.now(), note[:LONGEST])
    await backend.put(KIND, letter_id, msgspec.json.encode(word), ttl=max(ttl, 1.0))
    return word


async def reopen(backend: Entries, letter_id: str) -> bool:
    """Take that back; whether it was said. Raises as `handle`."""
    return await backend.remove(KIND, letter_id)


async def handled(backend: Entries) -> dict[str, Handled]:
    """Who dealt with which letters, by their ids; letters that have gone may be among them.

    Raises:
        NaqConnectionError: the backend cannot be asked.
    """
    return {entry.key: word for entry in await backend.entries(KIND) if (word := _read(entry.value)) is not None}


async def handled_one(backend: Entries, letter_id: str) -> Handled | None:
    """The same of one letter. Raises as `handled`."""
    entry = await backend.entry(KIND, letter_id)
    return None if entry is None else _read(entry.value)


def _read(value: bytes) -> Handled | None:
    try:
        return _decode(value)
    except msgspec.DecodeError as error:
        log.warning("what somebody said of a dead letter is left out: %s", error)
        return None

"""Who paused a queue, when and why: a note beside the pause, for people. The pause itself is the backend's."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from naq import clock
from naq.backends.base import Backend

PAUSES: Final = "pause"  # kind of entry, by queue
_LONGEST: Final = 200  # characters of a name or a reason


class Pause(Struct, frozen=True):
    """The note. `at` in UNIX seconds; `by` and `why` may be empty."""

    by: str = ""
    at: float = 0.0
    why: str = ""


_decode: Final = msgspec.json.Decoder(Pause).decode


def who() -> str:
    """The user of this process and its host, for people: nothing is proven by it."""
    import getpass
    import socket

    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container may run as a user without a name
        name = "somebody"
    return f"{name}@{socket.gethostname()}"


async def pause(backend: Backend, queue: str, *, by: str = "", why: str = "") -> None:
    """Pause `queue`, and note who did it and why.

    Raises:
        NaqException: as `JobAdmin.pause`.
    """
    await backend.pause(queue)
    note = Pause(" ".join(by.split())[:_LONGEST], clock.now(), " ".join(why.split())[:_LONGEST])
    await backend.put(PAUSES, queue, msgspec.json.encode(note))


async def resume(backend: Backend, queue: str) -> None:
    """End a pause, and drop its note."""
    await backend.resume(queue)
    await backend.remove(PAUSES, queue)


async def note_of(backend: Backend, queue: str) -> Pause | None:
    """The note of the pause of `queue`, if somebody left one."""
    entry = await backend.entry(PAUSES, queue)
    try:
        return None if entry is None else _decode(entry.value)
    except msgspec.DecodeError:
        return None

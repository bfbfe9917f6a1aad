"""Pauses: of a queue, who made it, when and why, as a note beside the backend's own; of a task, the pause itself.

All tasks that are paused are one small value, so that a worker learns of them by one look.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from naq import clock
from naq.backends.base import Backend, Entries, Signal
from naq.limits.keys import token
from naq.limits.shared import Cell, Store

PAUSES: Final = "pause"  # kind of entry, by queue
TASKS: Final = "paused"  # kind of entry; its only key is
_ALL: Final = "tasks"
HELD: Final = "task is paused"  # what the reason of a job begins with that was put back for it
_LONGEST: Final = 200  # characters of a name or a reason


class Pause(Struct, frozen=True):
    """The note. `at` in UNIX seconds; `by` and `why` may be empty."""

    by: str = ""
    at: float = 0.0
    why: str = ""


_decode: Final = msgspec.json.Decoder(Pause).decode
_decode_tasks: Final = msgspec.json.Decoder(dict[str, Pause]).decode


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
    await backend.put(PAUSES, queue, msgspec.json.encode(_note(by, why)))


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


class Pausing(Store, Protocol):
    """What of a backend pausing a task needs."""

    async def send(self, signal: Signal) -> None:
        """See `Signals.send`."""
        ...


async def pause_task(backend: Pausing, task: str, *, by: str = "", why: str = "") -> bool:
    """Let workers start no job of `task` until `resume_task`; those that run go on. Whether it was not paused before.

    Workers know of it at once, at the latest at their next heartbeat. A job of it that they come upon goes back and
    waits; other tasks of its queue go on.

    Raises:
        NaqConnectionError: it could not be stored.
    """
    note = _note(by, why)
    return await _change(backend, task, lambda there: {**there, task: there.get(task, note)})


async def resume_task(backend: Pausing, task: str) -> bool:
    """End a pause of `task`; whether there was one. Jobs that were put back come again within `naq.worker.holding.MOST`
    seconds. Raises as `pause_task`.
    """  # noqa: D205 - one sentence on two lines
    return await _change(backend, task, lambda there: {name: each for name, each in there.items() if name != task})


async def paused_tasks(backend: Entries) -> dict[str, Pause]:
    """The tasks that are paused, by name.

    Raises:
        NaqConnectionError: the backend cannot be asked.
    """
    entry = await backend.entry(TASKS, _ALL)
    return {} if entry is None else _read(entry.value)


def held_reason(pause: Pause) -> str:
    """Why a job waits whose task is paused, in words."""
    return f"{HELD}{said(pause)}"


def said(pause: Pause | None) -> str:
    """By whom, since when and why, to stand behind "is paused"; empty where nobody left a note."""
    if pause is None:
        return ""
    since = datetime.fromtimestamp(pause.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return (f" by {pause.by}" if pause.by else "") + f" since {since}" + (f" ({pause.why})" if pause.why else "")


async def _change(backend: Pausing, task: str, change: Callable[[dict[str, Pause]], dict[str, Pause]]) -> bool:
    def work(value: bytes | None) -> tuple[bytes | None, float | None, bool]:
        there = {} if value is None else _read(value)
        after = change(there)
        return (None, None, False) if after == there else (msgspec.json.encode(after), None, True)

    changed = await Cell(TASKS, _ALL).change(backend, work)
    await backend.send(Signal(kind="pause", subject=token(task)))
    return changed


def _read(value: bytes) -> dict[str, Pause]:
    try:
        return _decode_tasks(value)
    except msgspec.DecodeError:  # of a later naq: what it means nobody here knows, and nothing is held for it
        return {}


def _note(by: str, why: str) -> Pause:
    return Pause(" ".join(by.split())[:_LONGEST], clock.now(), " ".join(why.split())[:_LONGEST])

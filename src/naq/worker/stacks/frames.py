"""Calls that have not returned, of threads and of coroutines: as data, without any values."""

from __future__ import annotations

import asyncio
import linecache
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

from naq.backends.stacks import Frame

#: Frames of one stack that are kept; of a deeper one (an endless recursion) the outermost and the innermost.
MOST: Final = 100
#: Characters of a line of code.
LONGEST: Final = 200
_NOT_THE_TASKS: Final = (
    str(Path(__file__).parents[2]),
    sysconfig.get_path("stdlib"),
    sysconfig.get_path("platstdlib"),
    "<",  # frozen modules
)
_PACKAGES: Final = "site-packages"
Place = tuple[CodeType, int]  # a function, and the line that it has come to


def is_own(path: str) -> bool:
    """Whether a file is somebody's own code, rather than of naq, of Python, or of an installed package."""
    return not (path.startswith(_NOT_THE_TASKS) or _PACKAGES in path)


def of_frame(frame: FrameType | None) -> list[Place]:
    """The calls that led to `frame`, the outermost first."""
    found: list[Place] = []
    while frame is not None:
        found.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return found[::-1]


def of_thread(thread: int | None) -> list[Place]:
    """The calls of a thread, by its identity; none where it has ended."""
    return [] if thread is None else of_frame(sys._current_frames().get(thread))  # pyright: ignore[reportPrivateUsage]


def of_task(task: asyncio.Task[Any], thread: int) -> list[Place]:
    """The calls of a task whose loop runs in `thread`, from any thread.

    Where the loop runs it right now (it blocks it), the thread's; else what its coroutine awaits, step by step.
    """
    if asyncio.current_task(task.get_loop()) is task:
        return of_thread(thread)
    found: list[Place] = []
    step: Any = task.get_coro()
    while step is not None and len(found) < 10 * MOST:  # another thread may be changing it while we look
        frame = _first(step, "cr_frame", "ag_frame", "gi_frame")
        if frame is not None:
            found.append((frame.f_code, frame.f_lineno))
        step = _first(step, "cr_await", "ag_await", "gi_yieldfrom")
    return found


def _first(step: Any, *names: str) -> Any:
    return next((value for name in names if (value := getattr(step, name, None)) is not None), None)


def within(places: Sequence[Place], entries: frozenset[CodeType]) -> list[Place]:
    """What the first of `entries`, which call the users' code, has led to; all where none of them is there."""
    for at, (code, _) in enumerate(places):
        if code in entries:
            return list(places[at + 1 :])
    return list(places)


def shown(places: Sequence[Place]) -> list[Frame]:
    """As data, with the text of each line."""
    if len(places) > MOST:
        places = [*places[: MOST // 2], *places[-MOST // 2 :]]
    return [
        Frame(
            file=code.co_filename,
            line=line,
            function=code.co_qualname,
            code=linecache.getline(code.co_filename, line).strip()[:LONGEST],
            own=is_own(code.co_filename),
        )
        for code, line in places
    ]

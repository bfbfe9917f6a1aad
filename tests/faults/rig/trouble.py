"""Tasks that do what no task should, as coroutine, thread and child process: ``naq worker rig.trouble:app``."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Final

from rig.jobs import LOOK, log
from rig.process_serving import app

KINDS: Final = ("coroutine", "thread", "process")
#: Ways to fail (fault 22), and ways to return what cannot be stored (fault 23).
FAILURES: Final = ("recursion", "huge", "unprintable", "unpicklable", "chain", "group", "surrogate", "oddly named")
RESULTS: Final = ("object", "over the limit", "circle", "half a character", "too deep")
#: Ways for a process to end in the middle of a task (fault 17).
DEATHS: Final = ("segfault", "abort", "os._exit", "SIGKILL")
MIB: Final = 1024 * 1024
OVER: Final = 3 * MIB  # bytes; what jobs may return is 1 MiB, and no backend keeps as much as this


class Unprintable(Exception):
    """Cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("not even shown")

    __repr__ = __str__


def fail(how: str) -> Any:
    """Raise."""
    match how:
        case "recursion":
            return fail(how) + fail(how)
        case "huge":
            raise ValueError("x" * 10_000_000)
        case "unprintable":
            raise Unprintable
        case "unpicklable":
            raise ValueError(threading.Lock(), lambda: None, sys.stdout)
        case "chain":
            raise _chain(1000)
        case "group":
            raise ExceptionGroup("many", [ValueError("x" * 1000) for _ in range(1000)])
        case "surrogate":
            raise ValueError("half a character: \udcff, and a NUL: \0")
        case _:
            raise type("N" * 100_000, (Exception,), {})("nameless")


def _chain(length: int) -> Exception:
    error = ValueError("the first")
    for number in range(length):
        later = ValueError(f"number {number}")
        later.__cause__ = error
        error = later
    return error


def answer(how: str) -> Any:
    """Return what has no place in a record."""
    match how:
        case "object":
            return threading.Lock()
        case "over the limit":
            return "x" * OVER
        case "circle":
            circle: list[Any] = []
            circle.append(circle)
            return circle
        case "half a character":
            return "\udcff"
        case _:
            nested: list[Any] = []
            for _ in range(100_000):
                nested = [nested]
            return nested


def die(how: str) -> None:
    """Take the process along."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no core files in whoever's folder
    match how:
        case "segfault":
            ctypes.string_at(0)
        case "abort":
            os.abort()
        case "os._exit":
            os._exit(7)
        case "SIGKILL":  # what the kernel does where memory has run out
            os.kill(os.getpid(), signal.SIGKILL)
        case _:
            sys.exit(7)


def take(how: str) -> int:
    """Take more memory than there is for it: that of the worker's `child_memory`, or a limit of its own."""
    if how == "RLIMIT_AS":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        size = pages * resource.getpagesize() + 64 * MIB
        resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
    held = [bytearray(16 * MIB) for _ in range(64)]
    return len(held)


async def ignore(gate: str) -> None:
    """Ends when `gate` exists, whoever says what: cancelled, it goes on."""
    with log().execution():
        while not Path(gate).exists():  # noqa: ASYNC240 - another process's
            try:
                await asyncio.sleep(LOOK)
            except asyncio.CancelledError:
                continue


def ignore_in_thread(gate: str) -> None:
    """The same in a thread, or a child process."""
    with log().execution():
        while not Path(gate).exists():
            threading.Event().wait(LOOK)


def _logged(func: Any) -> Any:
    def run(how: str) -> Any:
        with log().execution():
            return func(how)

    return run


def _logged_coroutine(func: Any) -> Any:
    async def run(how: str) -> Any:
        with log().execution():
            await asyncio.sleep(0)
            return func(how)

    return run


for each in (fail, answer):
    app.task(name=f"{each.__name__}_coroutine")(_logged_coroutine(each))
    app.task(name=f"{each.__name__}_thread")(_logged(each))
    app.task(name=f"{each.__name__}_process", executor="process")(_logged(each))
for each in (die, take):
    app.task(name=f"{each.__name__}_process", executor="process")(_logged(each))
app.task(name="ignore_coroutine")(ignore)
app.task(name="ignore_thread")(ignore_in_thread)
app.task(name="ignore_process", executor="process")(ignore_in_thread)

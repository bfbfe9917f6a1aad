"""Tasks that run in child processes: at the top of a module, where a child finds them by import."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from opentelemetry import trace

from naq import (
    CancelJob,
    DiscardJob,
    Naq,
    Retry,
    RetryJob,
    SnoozeJob,
    current_context,
)

_numbers = count(1)
_ran = 0


@dataclass
class Point:
    x: int
    at: datetime


def where() -> int:
    """In which process it runs."""
    return os.getpid()


def echo(value: Any) -> Any:
    return value


def one_of(first: int, second: int) -> dict[str, Any]:
    return {"value": [first, second]}


async def move(point: Point, *, by: int) -> Point:
    await asyncio.sleep(0)
    return Point(point.x + by, point.at)


def nth() -> tuple[int, int]:
    """The process, and how many jobs it has run."""
    global _ran
    _ran += 1
    return os.getpid(), _ran


def context() -> dict[str, Any]:
    here = current_context()
    here.logger.info("from the child", extra={"color": "red", "path": Path("/tmp")})
    logging.getLogger("process_tasks.quiet").debug("nobody wants to know")
    return {
        "job": here.job_id,
        "attempt": here.attempt,
        "max": here.max_attempts,
        "tags": here.tags,
        "remaining": here.remaining(),
        "thread": threading.current_thread() is threading.main_thread(),
    }


def fail(how: str) -> int:  # noqa: C901  one way of failing a line
    attempt = current_context().attempt
    if how == "flaky" and attempt == 2:
        return attempt
    match how:
        case "retry":
            if attempt == 1:
                raise RetryJob("once more", delay=0.0)
            return attempt
        case "snooze":
            if not Path(os.environ["SNOOZED"]).exists():
                Path(os.environ["SNOOZED"]).touch()
                raise SnoozeJob(0.05)
            return attempt
        case "discard":
            raise DiscardJob("not worth it")
        case "cancel":
            raise CancelJob("changed my mind")
        case "sys.exit":
            sys.exit(3)
        case "unprintable":
            raise Unprintable(lambda: None)
        case "recursion":
            return fail(how) + fail(how)
        case "huge":
            raise ValueError("x" * 10_000_000)
        case "KeyError":
            raise KeyError("of no use")
        case _:
            raise ValueError(how)


class Unprintable(Exception):
    """Cannot be pickled, nor shown."""

    def __str__(self) -> str:
        raise RuntimeError("not even shown")


def die(how: str) -> None:
    match how:
        case "os._exit":
            os._exit(7)
        case "SIGKILL":
            os.kill(os.getpid(), signal.SIGKILL)
        case "SIGSEGV":
            ctypes.string_at(0)
        case _:
            os.abort()


def die_once(folder: str) -> int:
    """Kills its process at the first attempt."""
    if current_context().attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return current_context().attempt


def take(mib: int) -> int:
    return len(bytearray(mib * 1024 * 1024))


def wait_for(path: str, begun: str) -> str:
    """Runs until a file is there; does not care for cancellation."""
    Path(begun).write_text(str(os.getpid()))
    while not Path(path).exists():
        threading.Event().wait(0.01)
    return "found"


def listen(begun: str) -> str:
    """Runs until it is cancelled, and says so."""
    Path(begun).write_text(str(os.getpid()))
    while not current_context().is_cancelled:
        threading.Event().wait(0.01)
    Path(begun).write_text("told")
    return "told"


async def sleep(begun: str) -> None:
    """A coroutine that cleans up."""
    note = Path(begun).write_text
    note(str(os.getpid()))
    try:
        await asyncio.sleep(60)
    finally:
        note("cleaned up")


def parent(begun: str) -> None:
    """Starts a process of its own, and outlives any patience."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    Path(begun).write_text(str(process.pid))
    process.wait()


def hold(seconds: float) -> int:
    """Holds the interpreter: nothing else in its process runs meanwhile."""
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))
    return os.getpid()


def unencodable() -> object:
    return object()


def long_result(size: int) -> str:
    return "x" * size


def number(n: int) -> int:
    return n


def span_here() -> list[str]:
    """The span that is current."""
    context = trace.get_current_span().get_span_context()
    return [f"{context.trace_id:032x}", f"{context.span_id:016x}"]


def build(**settings: Any) -> Naq:
    """The tasks, on an app of its own whose jobs live in a store that nobody else sees."""
    given: Any = {"broker_url": f"memory:processes-{next(_numbers)}", "shutdown_timeout": 5.0, **settings}
    app = Naq("processes", **given)
    for func in (where, echo, move, nth, context, die, take, wait_for, listen, sleep, parent, hold, unencodable):
        app.task(name=func.__name__, executor="process")(func)
    app.task(name="fail", executor="process", retry=Retry(max_attempts=2, base=0.0, retry_on=(ValueError,)))(fail)
    app.task(name="die_once", executor="process", retry=Retry(max_attempts=2, base=0.0))(die_once)
    app.task(name="hasty", executor="process", timeout=0.3)(wait_for)
    app.task(name="long_result", executor="process")(long_result)
    app.task(name="thread")(number)
    app.task(name="span_here", executor="process")(span_here)
    app.task(name="grown", executor="process", version=2)(echo).upcast(1)(one_of)
    return app


app = build()

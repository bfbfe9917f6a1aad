"""Functions that the tests of this folder enqueue: a module that a worker is told to import."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from socket import socket
from subprocess import getoutput  # noqa: F401  # pyright: ignore[reportUnusedImport]  what it imported is not its own
from typing import Any

from naq import Naq, current_context

failures: dict[str, int] = {}
runs: list[str] = []
release = threading.Event()


@dataclass
class Order:
    number: int
    at: datetime


def add(a: int, b: int = 0) -> int:
    return a + b


async def greet(name: str, *, loud: bool = False) -> str:
    await asyncio.sleep(0)
    return name.upper() if loud else name


def ship(order: Order) -> Order:
    return Order(order.number + 1, order.at)


def fail(text: str) -> None:
    raise ValueError(text)


async def fail_later(text: str) -> None:
    raise ValueError(text)


def fail_times(key: str, times: int) -> int:
    """Fails `times` times, then returns the number of the attempt."""
    failures[key] = failures.get(key, 0) + 1
    if failures[key] <= times:
        raise ConnectionError(f"attempt {failures[key]}")
    return current_context().attempt


def note(text: str) -> None:
    runs.append(text)


def unheard() -> int:
    """Never enqueued by a test, so that no process of theirs knows it."""
    return 1


def hold() -> None:
    release.wait(20)


def parent() -> list[str]:
    """Enqueues another job from the thread that it runs in; who that job says enqueued it."""
    import naq

    inner = naq.enqueue_sync(who)
    return [current_context().job_id, inner.result_sync(timeout=10)]


def who() -> str:
    return current_context().parent


def odd(thing: socket) -> None:
    del thing


def numbers() -> Any:
    yield 1


def _private() -> None: ...  # pyright: ignore[reportUnusedFunction]


def twice(func: Callable[[int], int]) -> Callable[[int], int]:
    @functools.wraps(func)
    def wrapper(n: int) -> int:
        return 2 * func(n)

    return wrapper


@twice
def decorated(n: int) -> int:
    return n


def unnamed() -> Callable[[], int]:
    def inner() -> int:
        return 1

    return inner


alias = unnamed()
short: Callable[[int], int] = lambda n: n  # noqa: E731


class Mailer:
    def send(self) -> None: ...

    @staticmethod
    def post() -> None: ...


shop = Naq("shop", broker_url="memory:given-shop")


@shop.task(queue="money", retries=2)
async def charge(amount: int) -> int:
    return amount

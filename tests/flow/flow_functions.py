"""Functions that are jobs by their import path."""

from __future__ import annotations

import time

from naq import Naq

app = Naq("flow-processes", broker_url="memory:flow-processes", shutdown_timeout=5.0)


@app.task(name="crunch", executor="process")
def crunch(number: int) -> int:
    return number**2


def double(number: int) -> int:
    return 2 * number


def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task(name="sleep", executor="process")
def sleep(seconds: float) -> None:
    time.sleep(seconds)

"""Priorities: weighted so that low ones get their turn; strict by choice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from naq import Naq, current_context
from naq.config.model import Priorities
from naq.job import PRIORITIES
from tests.tools import fleet, memory_url, until

EACH = 60  # jobs of each priority
MakeApp = Callable[[Priorities], Naq]


@pytest.fixture(params=["memory", "nats"])
def make_app(request: pytest.FixtureRequest) -> MakeApp:
    url = memory_url() if request.param == "memory" else request.getfixturevalue("url")
    return lambda priorities: Naq(f"prio-{priorities}", broker_url=url, priorities=priorities, shutdown_timeout=5.0)


def _order(app: Naq) -> list[str]:
    """The priorities of a backlog in the order its jobs ran, low ones enqueued first."""
    order: list[str] = []

    @app.task(name="note")
    async def note(priority: str) -> None:
        assert current_context().task == "note"
        order.append(priority)

    async def body() -> None:
        for priority in reversed(PRIORITIES):
            await app.enqueue_many([note.options(priority=priority).call(priority) for _ in range(EACH)])
        async with fleet(app, concurrency=2):
            await until(lambda: len(order) == 3 * EACH)

    asyncio.run(body())
    return order


def test_strict(make_app: MakeApp) -> None:
    """The higher first; only what was asked for before the broker told of the backlog may slip in between."""
    order = _order(make_app("strict"))
    assert Counter(order[:EACH])["high"] >= EACH - 4
    assert Counter(order[: 2 * EACH])["low"] <= 4


def test_weighted(make_app: MakeApp) -> None:
    """Six, three and one of ten, about: the high ones are ahead, and the low ones move from the beginning."""
    order = _order(make_app("weighted"))
    first = Counter(order[:EACH])
    assert first["high"] > first["normal"] > first["low"] >= 2

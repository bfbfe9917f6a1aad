"""An app's middleware around the running of a task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from naq.context import set_context
from naq.worker.flights import Flight

if TYPE_CHECKING:
    from naq.middleware.chain import AroundRun

Run = Callable[[Flight], Awaitable[Any]]


def layered(around: AroundRun | None, run: Run) -> Run:
    """`run` with `around` around it; `run` itself where there is nothing around."""
    if around is None:
        return run

    async def through(flight: Flight) -> Any:
        context = flight.context
        assert context is not None
        set_context(context)
        return await around(context, partial(run, flight))

    return through

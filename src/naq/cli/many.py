"""Doing one thing to many: some at once, with a bar, and a word for each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from naq.cli.common import say
from naq.cli.progress import Progress
from naq.cli.views import Change
from naq.exceptions import NaqException

T = TypeVar("T")

#: On their way at once; each is two or three round trips, and the broker answers them in one go.
AT_ONCE: Final = 64


async def each(what: str, things: Sequence[T], act: Callable[[T], Awaitable[Change]]) -> list[Change]:
    """`act` on all of `things`; what came of each, in their order. `what` is said beside the bar.

    Raises:
        NaqException: one could not be done; how many were before it is said.
    """
    changes: list[Change] = []
    with Progress(what, total=len(things)) as progress:

        async def one(thing: T) -> Change:
            change = await act(thing)
            progress.add(failed=not change.done)
            return change

        for start in range(0, len(things), AT_ONCE):
            try:
                changes += await asyncio.gather(*map(one, things[start : start + AT_ONCE]))
            except NaqException:
                if len(things) > 1:
                    say(f"broken off: {len(changes):,} of {len(things):,} had been dealt with")
                raise
    return changes

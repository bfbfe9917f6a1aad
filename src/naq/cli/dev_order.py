"""Enqueueing from within ``naq dev``: its first jobs, and what somebody types after the key ``e``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from typing import Final

from naq.dev.alone import NoBroker
from naq.dev.errand import Errands
from naq.dev.keys import Keys
from naq.dev.new import FIRST_JOB

#: The jobs of ``--demo`` where only the worker can enqueue: those of `naq.dev.orders`, but for the delayed one.
_ORDER: Final = '{"number": 1001, "customer": "Ada", "cents": 4950, "placed": "2030-05-17"}'
_DEMO: Final = (
    ("naq.dev.shop.send_mail", "ada@example.com", "text=Thank you!"),
    *((f"naq.dev.shop.{name}", f"order={_ORDER}") for name in ("make_invoice", "charge", "ship")),
    ("naq.dev.shop.ask_for_review", "Ada"),
)


class Ordering:
    """Enqueues jobs of `app`, by a command, or by the worker where there is no `broker`."""

    def __init__(self, app: str, errands: Errands, say: Callable[[str], None]) -> None:
        self._app = app
        self._errands = errands
        self._say = say
        self._last = ""

    async def enqueue(self, order: str, alone: NoBroker | None = None) -> None:
        """Enqueue what the words `order` say, and wait for its result.

        Raises:
            ValueError: they are none: a quotation mark lacks its other half.
        """
        words = shlex.split(order)
        if alone is not None:
            if not alone.ask(words):
                self._say("no worker runs that could take it")
            return
        self._say(f"$ naq enqueue {shlex.join(words)} --app {self._app} --wait")
        await self._errands.run([sys.executable, "-m", "naq", "enqueue", *words, "--app", self._app, "--wait"])

    async def demo(self, alone: NoBroker | None) -> None:
        """Enqueue the first jobs of ``--demo``."""
        if alone is None:
            await self._errands.run([sys.executable, "-m", "naq.dev.orders"])
        else:
            for words in _DEMO:
                alone.ask(list(words))

    async def ask(self, keys: Keys, alone: NoBroker | None = None) -> None:
        """Ask what to enqueue, and do that; nothing typed is what was typed last."""
        again = f" [{self._last}]" if self._last else f" (such as {shlex.join(FIRST_JOB)})"
        order = await keys.read_line(f"enqueue{again}: ") or self._last
        if not order:
            return
        self._last = order
        try:
            await self.enqueue(order, alone)
        except ValueError as error:
            self._say(f"that is no command line: {error}")

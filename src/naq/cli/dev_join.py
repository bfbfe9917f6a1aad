"""A second ``naq dev`` in the same folder: its own look at the one that runs, which goes on when this one is left."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from naq._version import __version__
from naq.cli.common import say
from naq.cli.dev_order import Ordering
from naq.cli.exits import Exit
from naq.config.fields import hide_credentials
from naq.config.running import FOLDER, Running, running_here
from naq.dev.errand import Errands
from naq.dev.keys import Keys, has_keys
from naq.dev.log import FILE, Tail
from naq.dev.tree import Stopped, Tree

#: Lines of what went on before that are shown.
_BEFORE: Final = 20
#: Seconds between two looks at the file, and at whether the other one still runs.
_LOOK: Final = 0.1
_ESCAPES: Final = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]")
_KEYS: Final = "e enqueue · w workers · q leave (it goes on)"


def join(running: Running, folder: Path) -> int:
    """Show what `running` does until somebody leaves, or it ends; the exit code."""
    return asyncio.run(Guest(running, folder).run())


class Guest:
    """A look at a ``naq dev``."""

    def __init__(self, running: Running, folder: Path) -> None:
        self._running = running
        self._log = folder / FOLDER / FILE
        self._tree = Tree()
        self._errands = Errands(self._environment)
        self._ordering = Ordering(running.app, self._errands, say)
        self._keys: Keys | None = None
        self._acting: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> int:
        """Look on; 0 however it ends."""
        try:
            await self._tree.run(self._body)
        except Stopped:
            say(f"left; naq dev goes on in process {self._running.pid}")
        return Exit.DONE

    async def _body(self, tree: Tree) -> None:
        await tree.start(self._errands)
        self._introduce()
        tail = Tail(self._log, _BEFORE)
        with ExitStack() as until_the_end:
            until_the_end.callback(tail.close)
            if has_keys():
                self._keys = until_the_end.enter_context(Keys(self._on_key))
            while True:
                self._show(tail.read())
                now = running_here()
                if now is None or now.pid != self._running.pid:
                    self._show(tail.read())
                    say(f"the naq dev of process {self._running.pid} has ended")
                    return
                self._running = now  # it may have been starting
                await asyncio.sleep(_LOOK)

    def _introduce(self) -> None:
        url = hide_credentials(self._running.url) if self._running.url else "none yet, or none at all"
        say(f"\n  naq dev  {__version__}  runs here already, in process {self._running.pid}; this is a look at it")
        say(f"  Broker   {url}")
        if self._running.server:
            say(f"  Server   {self._running.server}")
        say(f"  App      {self._running.app}")
        say(f"  {'Keys     ' + _KEYS if has_keys() else 'Leave    Ctrl-C (it goes on)'}\n")

    def _show(self, data: bytes) -> None:
        if data and not (sys.stderr.isatty() and not os.environ.get("NO_COLOR")):
            data = _ESCAPES.sub(b"", data)
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()

    def _environment(self) -> Mapping[str, str]:
        return {"NAQ_BROKER_URL": self._running.url} if self._running.url else {}

    def _on_key(self, key: str) -> None:
        if key == "q":
            self._tree.stop()
        elif key in {"e", "w"}:
            before = self._acting.get(key)
            if before is None or before.done():
                self._acting[key] = asyncio.create_task(self._ask() if key == "e" else self._workers())
        elif key in {"h", "?"}:
            say(f"  {_KEYS}")

    async def _ask(self) -> None:
        assert self._keys is not None
        if not self._running.url:
            say("it has no broker that others could use: press e in its own terminal")
            return
        await self._ordering.ask(self._keys)

    async def _workers(self) -> None:
        await self._errands.run([sys.executable, "-m", "naq", "workers", "list", "--app", self._running.app])

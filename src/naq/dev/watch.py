"""Noticing that somebody has changed a program's files."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Final

from naq.dev.tree import first

#: Files of these names make a program, beside those that end in .py.
_SETTINGS: Final = frozenset({"pyproject.toml", ".env"})
#: Folders that hold no code of the project's, beside those that watchfiles knows.
_NOT_OURS: Final = frozenset({".naq", ".nox", "build", "dist"})
#: Milliseconds: how often to look at what the system has noticed, and for how long to collect changes that belong
#: together. The first of them decides what an idle watch costs.
_LOOK, _COLLECT = 250, 400


def can_watch() -> bool:
    """Whether the library is there that does it (``pip install "naq[dev]"``)."""
    return importlib.util.find_spec("watchfiles") is not None


class Watch:
    """The files of the program in `folder`, watched from `start` to `stop`. A service of the tree."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: asyncio.Queue[list[str]] = asyncio.Queue()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Watch from here on: what changes afterwards is found."""
        self._task = asyncio.create_task(self._collect(), name="naq-dev-watch")
        await asyncio.sleep(0)  # its first step is what begins to watch

    async def changed(self) -> list[str]:
        """Wait for files that were changed; their paths in the folder.

        Raises:
            Exception: the system does not let us watch, such as for want of inotify watches.
        """
        assert self._task is not None
        found = asyncio.ensure_future(self._found.get())
        await first(found, self._task)
        if not found.done():
            found.cancel()
            self._task.result()
        return await found

    async def stop(self) -> None:
        """Watch no more."""
        self._stop.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def hurry(self, asked: int) -> None:
        """It ends within a tenth of a second."""

    async def _collect(self) -> None:
        from watchfiles import Change, DefaultFilter, awatch  # pyright: ignore[reportUnknownVariableType]  anyio's part

        class OurFiles(DefaultFilter):
            ignore_dirs = (*DefaultFilter.ignore_dirs, *_NOT_OURS)

            def __call__(self, change: Change, path: str) -> bool:
                is_code = path.endswith(".py") or Path(path).name in _SETTINGS
                return is_code and super().__call__(change, path)

        async for found in awatch(
            self._folder,
            watch_filter=OurFiles(),
            step=_LOOK,
            debounce=_COLLECT,
            stop_event=self._stop,
            rust_timeout=1000,
            raise_interrupt=False,
        ):
            self._found.put_nowait(sorted({str(Path(path).relative_to(self._folder)) for _, path in found}))

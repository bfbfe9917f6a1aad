"""The live screen of ``naq top``: three panes, a cursor, and keys."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from naq import clock
from naq.cli.acts import cancel_one, retry_one
from naq.cli.board import Board, gauge, sparkline
from naq.cli.common import Common
from naq.cli.job_text import describe
from naq.cli.output import Column
from naq.cli.text import plain
from naq.cli.top import headline, job_columns, letter_columns, queue_columns
from naq.cli.views import JobView, QueueView, Top
from naq.exceptions import NaqException

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.cli.keys import Keys

_PANES: Final = ("queues", "running", "failed")
_KEY_WAIT: Final = 0.1  # seconds in which a key is waited for before the screen may be drawn again
_SPARK: Final = 20  # cells of a queue's history
_STYLES: Final = {"active": "green", "paused": "yellow", "no workers": "red"}
_SORTS: Final[dict[str, Callable[[QueueView], Any]]] = {
    "name": lambda queue: queue.queue,
    "queued": lambda queue: -queue.queued,
    "running": lambda queue: -queue.running,
}
_HELP: Final = "q quit  p pause  s sort  f filter  Tab pane  ↑↓ choose  Enter show  c cancel  r run again"


class Screen:
    """What is drawn, and what keys do to it."""

    def __init__(self, backend: Backend, common: Common, name: str, interval: float) -> None:
        self._backend = backend
        self._common = common
        self._name = name
        self._interval = interval
        self._board = Board()
        self._seen: Top | None = None
        self._pane = 1
        self._row = 0
        self._sort = "name"
        self._filter = ""
        self._typing = False
        self._paused = False
        self._asked: tuple[str, str] | None = None  # what to do once it is confirmed, and to which job
        self._shown: JobView | None = None
        self._note = ""

    async def run(self, keys: Keys) -> None:
        """Draw until somebody quits."""
        console = Console(highlight=False)
        due = 0.0
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                now = clock.monotonic()
                if now >= due and not self._paused:
                    await self._look()
                    due = clock.monotonic() + self._interval
                live.update(self._draw(console.size.height), refresh=True)
                key = await asyncio.to_thread(keys.next, _KEY_WAIT)
                if key is not None and not await self._press(key):
                    return

    async def _look(self) -> None:
        try:
            self._seen = await self._board.look(self._backend)
        except NaqException as error:  # the screen stays, and says so until the broker is back
            self._note = plain(str(error))
        else:
            self._note = "" if self._note.startswith(("cannot", "no answer")) else self._note

    async def _press(self, key: str) -> bool:
        """Do what `key` stands for; False to quit."""
        if key == "interrupt" or (key == "q" and not self._typing):
            return False
        self._note = ""
        if self._typing:
            self._type(key)
        elif self._asked is not None:
            await self._answer(key)
        elif self._shown is not None:
            self._shown = None
        elif key == "p":
            self._paused = not self._paused
        elif key == "s":
            names = list(_SORTS)
            self._sort = names[(names.index(self._sort) + 1) % len(names)]
        elif key == "f":
            self._typing, self._filter = True, ""
        elif key == "tab":
            self._pane, self._row = (self._pane + 1) % len(_PANES), 0
        elif key in {"up", "down"}:
            self._row = max(self._row + (1 if key == "down" else -1), 0)
        elif key in {"enter", "c", "r"}:
            await self._on_job(key)
        return True

    def _type(self, key: str) -> None:
        if key in {"enter", "escape"}:
            self._typing = False
            self._filter = "" if key == "escape" else self._filter
        elif key == "backspace":
            self._filter = self._filter[:-1]
        elif len(key) == 1:
            self._filter += key
        self._row = 0

    async def _answer(self, key: str) -> None:
        (verb, job_id), self._asked = self._asked or ("", ""), None
        if key.lower() != "y":
            self._note = "nothing was done"
            return
        try:
            change = await (cancel_one if verb == "cancel" else retry_one)(self._backend, job_id)
        except NaqException as error:
            self._note = plain(str(error))
        else:
            self._note = f"{job_id}: {change.outcome}"

    async def _on_job(self, key: str) -> None:
        rows = self._rows()
        if _PANES[self._pane] == "queues" or not rows:
            return
        job_id = rows[min(self._row, len(rows) - 1)].id
        if key == "enter":
            with contextlib.suppress(NaqException):
                record = await self._backend.get(job_id)
                self._shown = None if record is None else JobView.of(record)
        else:
            self._asked = ("cancel" if key == "c" else "run again", job_id)

    def _rows(self) -> Sequence[Any]:
        """What the chosen pane lists."""
        if self._seen is None:
            return ()
        return self._fitting(getattr(self._seen, _PANES[self._pane]))

    def _fitting(self, rows: Sequence[Any]) -> list[Any]:
        wanted = self._filter.casefold()
        if not wanted:
            return list(rows)
        return [
            row
            for row in rows
            if wanted in f"{row.queue} {getattr(row, 'task', '')} {getattr(row, 'id', '')}".casefold()
        ]

    def _draw(self, height: int) -> Group:
        seen = self._seen
        if seen is None:
            return Group(Text(self._note or "looking…"))
        title = f"naq top  {self._name}  {seen.at.astimezone():%H:%M:%S}" + ("  PAUSED" if self._paused else "")
        slots = sum(worker.concurrency for worker in seen.workers)
        running = sum(queue.running for queue in seen.queues)
        head = [Text(title, "bold"), Text(f"{headline(seen)}   {gauge(running, slots, 20)}"), Text()]
        if self._shown is not None:
            lines = [
                Text.assemble((f"{name:10}", "dim"), plain(text.replace("\n", " ")))
                for name, text in describe(self._shown, self._common)
                if text
            ]
            return Group(*head, *lines, Text("any key goes back", "dim"))
        room = max((height - 9) // 3, 3)
        queues = sorted(self._fitting(seen.queues), key=_SORTS[self._sort])
        return Group(
            *head,
            self._queues(queues, room),
            Text(),
            self._table(1, job_columns(self._common), self._fitting(seen.running), room),
            Text(),
            self._table(2, letter_columns(self._common), self._fitting(seen.failed), room),
            Text(self._foot(), "reverse" if self._asked or self._typing else "dim"),
        )

    def _foot(self) -> str:
        if self._typing:
            return f"filter: {self._filter}▏ (Enter keeps it, Escape takes it away)"
        if self._asked is not None:
            return f"{self._asked[0]} {self._asked[1]}? y or n"
        parts = [self._note, f"filter: {self._filter}" if self._filter else "", _HELP]
        return "   ".join(part for part in parts if part)

    def _queues(self, queues: Sequence[QueueView], room: int) -> Table:
        history = Column[QueueView]("HISTORY", lambda queue: sparkline(self._board.depths.get(queue.queue), _SPARK))
        return self._table(0, [*queue_columns(), history], queues, room)

    def _window(self, rows: Sequence[Any], room: int, pane: int) -> Sequence[Any]:
        """The rows that fit, the chosen one among them."""
        if pane != self._pane:
            return rows[:room]
        self._row = min(self._row, max(len(rows) - 1, 0))
        start = max(self._row - room + 1, 0)
        return rows[start : start + room]

    def _table(self, pane: int, columns: Sequence[Column[Any]], rows: Sequence[Any], room: int) -> Table:
        table = Table(
            box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold" if pane == self._pane else "dim"
        )
        for column in columns:
            table.add_column(column.title, no_wrap=True, overflow="ellipsis")
        for row in self._window(rows, room, pane):
            chosen = pane == self._pane and row is rows[self._row]
            cells = [Text(plain(column.text(row)), _STYLES.get(column.text(row), "")) for column in columns]
            table.add_row(*cells, style="reverse" if chosen else "")
        return table

"""Data on stdout: a table for people, one JSON document for programs, or ids alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

import msgspec

from naq import clock
from naq.cli.common import Common
from naq.cli.text import plain

T = TypeVar("T")
_GAP: Final = "  "


@dataclass(frozen=True)
class Column(Generic[T]):
    """One column of a table: its heading, and the text of a row in it."""

    title: str
    text: Callable[[T], str]


def print_rows(rows: Sequence[T], columns: Sequence[Column[T]], common: Common, *, name: str, empty: str = "") -> None:
    """Print `rows` as `common` asks; `name` is the field that -q prints, `empty` is said where there are none."""
    if common.json:
        print_json(list(rows))
    elif common.quiet:
        for row in rows:
            print(plain(str(getattr(row, name))))
    elif rows:
        print_table(columns, [[column.text(row) for column in columns] for row in rows])
    elif empty:
        print(empty, file=sys.stderr)


def print_item(item: Any, lines: Iterable[tuple[str, str]], common: Common, *, name: str) -> None:
    """Print one thing: its JSON, its id, or its fields one a line (those without a value left out)."""
    if common.json:
        print_json(item)
    elif common.quiet:
        print(plain(str(getattr(item, name))))
    else:
        shown = [(title, text) for title, text in lines if text]
        width = max(len(title) for title, _ in shown)
        for title, text in shown:
            first, *rest = text.splitlines() or [""]
            print(f"{title:{width}}  {plain(first)}")
            for line in rest:
                print(f"{'':{width}}  {plain(line)}")


def print_json(document: Any) -> None:
    """Print `document` as JSON: indented for a terminal, on one line otherwise."""
    data = msgspec.json.encode(document)
    if sys.stdout.isatty():
        data = msgspec.json.format(data, indent=2)
    print(data.decode())


def print_table(columns: Sequence[Column[Any]], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: fitted and with bold headings on a terminal, else plain columns of full width."""
    cells = [[plain(text) for text in row] for row in rows]
    if has_colour():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        for index, column in enumerate(columns):
            # Ids and names are for copying: they keep their width as long as anything else can give way.
            table.add_column(column.title, overflow="ellipsis", no_wrap=True, ratio=None, min_width=26 * (not index))
        for row in cells:
            table.add_row(*map(Text, row))
        Console(highlight=False).print(table)
        return
    titles = [column.title for column in columns]
    widths = [max(map(len, texts)) for texts in zip(titles, *cells, strict=True)]
    for row in (titles, *cells):
        print(_GAP.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def has_colour() -> bool:
    """Whether stdout is a terminal on which escape sequences are welcome."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def ago(moment: datetime | None, common: Common) -> str:
    """When something was, or will be, in words; "" where unknown."""
    if moment is None:
        return ""
    if common.iso:
        return moment.isoformat().replace("+00:00", "Z")
    seconds = clock.now() - moment.timestamp()
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def span(seconds: float) -> str:
    """A duration for people."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def moment(timestamp: float) -> datetime | None:
    """A UNIX time as JSON shows it; None for 0, which means unknown."""
    return datetime.fromtimestamp(timestamp, UTC) if timestamp else None

"""Pages of lists: sizes, signed cursors, links, in one way for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlencode

from fastapi import Query, Request, Response

from naq.server.api.models import Page, Total
from naq.server.core import Core
from naq.server.problems import wrong
from naq.server.signing import LONGEST

T = TypeVar("T")
R = TypeVar("R")

MOST: Final = 1000  # of `limit`, whatever the settings say; they may say less
Limit = Annotated[
    int | None,
    Query(ge=1, le=MOST, description="Rows at most. Default: `server_page_size`; at most `server_page_limit`."),
]
Cursor = Annotated[
    str | None, Query(min_length=1, max_length=LONGEST, description="Where to go on, as an answer before said.")
]


def size(core: Core, limit: int | None) -> int:
    """How many rows a page has.

    Raises:
        Problem: more than the settings allow.
    """
    if limit is not None and limit > core.settings.page_limit:
        raise wrong("/query/limit", f"more than {core.settings.page_limit}")
    return core.settings.page_size if limit is None else limit


def links(request: Request, response: Response, page: Page[Any]) -> None:
    """The same cursors as a header."""
    found: list[str] = []
    prefix = request.app.state.core.settings.path_prefix
    others = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    for rel, cursor in (("next", page.next_cursor), ("prev", page.prev_cursor)):
        if cursor is not None:
            query = urlencode([*others, ("cursor", cursor)])
            found.append(f'<{prefix}{request.url.path}?{query}>; rel="{rel}"')
    if found:
        response.headers["Link"] = ", ".join(found)


def total(counted: int, cap: int, *, whole: bool = True) -> Total:
    """A count that stopped at `cap`, or where not the `whole` was looked at."""
    return Total(value=counted, relation="exact" if whole and counted < cap else "at_least")


def begin(core: Core, cursor: str | None, about: str) -> Any:
    """The place of the last row before a page, as `cut` had it of its `key`; None: the page is the first.

    Raises:
        Problem: `cursor` is none, or of another list than `about`.
    """
    return None if cursor is None else tuple(core.signer.place(cursor, about))


def cut(request: Request, response: Response, rows: Sequence[R], show: Callable[[R], T], *,
        about: str, most: int, key: Callable[[R], Sequence[object]]) -> Page[T]:  # fmt: skip
    """A page of the first `most` of `rows`, which hold one more where the list goes on; `key` is a row's place."""
    shown = rows[:most]
    core: Core = request.app.state.core
    # The key that signs may lie in a database that is away: what fits on one page is shown without it.
    after = core.signer.cursor(about, key(shown[-1])) if len(rows) > most else None
    page = Page(items=[show(row) for row in shown], next_cursor=after)
    links(request, response, page)
    return page


def sliced(core: Core, request: Request, response: Response, rows: Sequence[R], show: Callable[[R], T], *,
           about: str, limit: int | None, cursor: str | None, key: Callable[[R], str]) -> Page[T]:  # fmt: skip
    """A page of what is in memory whole, such as queues and workers, ordered by `key`."""
    most, ordered = size(core, limit), sorted(rows, key=key)
    if (last := begin(core, cursor, about)) is not None:
        ordered = [row for row in ordered if (key(row),) > last]
    return cut(request, response, ordered, show, about=about, most=most, key=lambda row: [key(row)])

"""``?include=`` and ``?fields=``: more of a thing than is shown by itself, and less."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel

from naq.server.api.models import Page
from naq.server.problems import wrong

Fields = Annotated[
    str,
    Query(
        max_length=1000,
        description="Only these fields, by commas, and `id`; what is included is shown as well.",
        examples=["state,task,duration_ms"],
    ),
]


def read_names(text: str, known: Collection[str], *, where: str, of: str = "/query") -> frozenset[str]:
    """The names in `text`; none where it is empty.

    Args:
        text: with commas between.
        known: those that there are.
        where: the parameter's name, for the error.
        of: where that stands.

    Raises:
        Problem: ``invalid``, with the first name that there is not.
    """
    names = frozenset(part for part in text.split(",") if part)
    if unknown := next((name for name in sorted(names) if name not in known), None):
        raise wrong(f"{of}/{where}", f"there is no {unknown[:60]!r}", given=unknown[:60], known=sorted(known))
    return names


def narrowed(shown: BaseModel, fields: Collection[str]) -> dict[str, Any]:
    """The `fields` of what is shown, and its `id`."""
    return shown.model_dump(mode="json", include={"id", *fields}, exclude_unset=True)


def narrowed_page(page: Page[Any], fields: Collection[str]) -> Page[dict[str, Any]]:
    """A page of which each item has these `fields` only."""
    return Page(
        items=[narrowed(item, fields) for item in page.items],
        next_cursor=page.next_cursor, prev_cursor=page.prev_cursor, total=page.total,
    )  # fmt: skip

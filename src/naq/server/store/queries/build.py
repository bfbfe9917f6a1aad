"""Rows as values."""

from __future__ import annotations

from typing import Any, TypeVar

from sqlalchemy import RowMapping

T = TypeVar("T")


def build(kind: type[T], row: RowMapping) -> T:
    """The `kind` whose fields the columns of `row` are."""
    fields: dict[str, Any] = dict(row)
    return kind(**fields)

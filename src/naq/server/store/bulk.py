"""Many rows in one statement: what the databases do best, without a value object or a parameter a field.

SQLite takes tuples, prepared once. PostgreSQL takes all rows as one JSON text and unfolds them itself: in this process
a row costs a microsecond or so, and the round trip is one.
What is put into the statements are names of our own tables and columns; values are bound.
"""
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import astuple
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

_encode: Final = msgspec.json.Encoder().encode
NOTHING: Final = "NOTHING"


async def insert(
    connection: AsyncConnection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]] | Sequence[Struct],
    conflict: str = "",
) -> None:
    """Insert `rows`, tuples in the order of `columns`, or structs that have them as their fields.

    `conflict` is what happens to a row whose primary key is there: ``NOTHING``, or ``UPDATE SET ...``; "": an error.
    """
    if not rows:
        return
    names = ", ".join(columns)
    target = ", ".join(column.name for column in table.primary_key.columns)
    tail = f" ON CONFLICT ({target}) DO {conflict}" if conflict else ""
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        await connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({names}) VALUES ({marks}){tail}",
            [row if isinstance(row, tuple) else astuple(row) for row in rows],
        )
        return
    objects = [dict(zip(columns, row, strict=True)) if isinstance(row, tuple) else row for row in rows]
    data = _encode(objects).decode()
    await connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({names}) SELECT {names}"
        f" FROM json_populate_recordset(NULL::{table.name}, %s::json){tail}",
        (data,),
    )


def replaced(columns: Sequence[str]) -> str:
    """For `conflict`: these columns become what the new row says."""
    return "UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in columns)


def added(table: Table, columns: Sequence[str]) -> str:
    """For `conflict`: these columns grow by what the new row says."""
    return "UPDATE SET " + ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in columns)


async def among(
    connection: AsyncConnection, table: Table, columns: Sequence[str], column: str, values: Sequence[str]
) -> list[tuple[Any, ...]]:
    """The rows whose `column` is one of `values`."""
    if not values:
        return []
    names = ", ".join(f"{table.name}.{name}" for name in columns)
    if connection.dialect.name == "sqlite":
        # Joined from the list, so that the index is walked once a value.
        sql = (
            f"SELECT {names} FROM json_each(?) AS given CROSS JOIN {table.name} ON {table.name}.{column} = given.value"
        )
        found = await connection.exec_driver_sql(sql, (_encode(list(values)).decode(),))
    else:
        sql = f"SELECT {names} FROM {table.name} WHERE {column} = ANY(%s)"
        found = await connection.exec_driver_sql(sql, (list(values),))
    return [tuple(row) for row in found]

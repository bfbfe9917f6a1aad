"""Many rows in one statement: what the databases do best, without a value object or a parameter a field.

SQLite takes many rows a statement, prepared once: between two steps of a statement it may have to wait for its turn
among Python's threads. PostgreSQL takes new rows by COPY, and those that may be there as one JSON text, which it
unfolds itself: in this process a row costs a microsecond or so.
What is put into the statements are names of our own tables and columns; values are bound.
"""
# ruff: noqa: S608

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import astuple
from sqlalchemy import Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

_encode: Final = msgspec.json.Encoder().encode
NOTHING: Final = "NOTHING"
#: Values, and rows, of a statement on SQLite, which takes 32,766. Each costs some 0.3 ms to get to its thread, whatever
#: is in it; the last rows go by the hundred, then one by one.
VALUES: Final = 16_000
TOGETHER: Final = 100


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
    target = ", ".join(column.name for column in table.primary_key.columns)
    tail = f" ON CONFLICT ({target}) DO {conflict}" if conflict else ""
    if connection.dialect.name != "sqlite" and conflict:
        await _unfold(connection, table, columns, rows, tail)
        return
    given = [row if isinstance(row, tuple) else astuple(row) for row in rows]
    if not conflict:
        columns, given = _filled(columns, given)
    if connection.dialect.name != "sqlite":
        await _copy(connection, f"COPY {table.name} ({', '.join(columns)}) FROM STDIN", given)
        return
    names, first = ", ".join(columns), 0
    for together in (VALUES // len(columns), TOGETHER):
        while len(given) - first >= together:
            many = tuple(chain.from_iterable(given[first : first + together]))
            await connection.exec_driver_sql(_values(table.name, names, len(columns), together, tail), many)
            first += together
    if alone := given[first:]:
        await connection.exec_driver_sql(_values(table.name, names, len(columns), 1, tail), alone)


def _filled(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> tuple[Sequence[str], Sequence[tuple[Any, ...]]]:
    """Without the columns that no row has a value for: of a job that went well they are half, and cost a third."""
    upright = list(zip(*rows, strict=True))
    filled = [n for n, values in enumerate(upright) if values.count(None) < len(rows)]
    if len(filled) == len(columns):
        return columns, rows
    return [columns[n] for n in filled], list(zip(*(upright[n] for n in filled), strict=True))


async def _unfold(
    connection: AsyncConnection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]] | Sequence[Struct],
    tail: str,
) -> None:
    objects = [dict(zip(columns, row, strict=True)) if isinstance(row, tuple) else row for row in rows]
    names = ", ".join(columns)
    await connection.exec_driver_sql(
        f"INSERT INTO {table.name} ({names}) SELECT {names}"
        f" FROM json_populate_recordset(NULL::{table.name}, %s::json){tail}",
        (_encode(objects).decode(),),
    )


async def _copy(connection: AsyncConnection, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """PostgreSQL's COPY, which SQLAlchemy does not have; what goes wrong is said as SQLAlchemy says it."""
    import psycopg

    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        async with driver.cursor() as cursor, cursor.copy(sql) as copy:
            for row in rows:
                await copy.write_row(row)
    except psycopg.Error as error:
        raise DBAPIError.instance(sql, None, error, psycopg.Error, dialect=connection.dialect) from error


@functools.lru_cache(maxsize=64)
def _values(table: str, names: str, width: int, rows: int, tail: str) -> str:
    """The statement that inserts so many rows of `width` values; the same object each time, so found by its text."""
    row = f"({', '.join('?' * width)})"
    return f"INSERT INTO {table} ({names}) VALUES {', '.join([row] * rows)}{tail}"


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

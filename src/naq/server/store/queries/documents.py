"""Looking into the JSON of arguments and results, in one way on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import ColumnElement, Numeric, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement

#: What PostgreSQL cannot unescape anywhere in a text: it is not looked into then.
_UNREADABLE: Final = r"\\u(0000|[dD][89a-fA-F])"
_CUT: Final = "…"  # at the end of what was too long to be stored whole


#: What JSON that begins so is a number, and what of those PostgreSQL may not take: an exponent of four digits and more.
#: (A pattern of a whole number costs 80 µs a row.)
_DIGITS: Final = ", ".join(f"'{digit}'" for digit in "-0123456789")
_HUGE: Final = "[eE][-+]?[0-9]{4}"
_LONGEST: Final = 1_000  # characters of a number


class _JsonAt(FunctionElement[str]):
    """The JSON at a path in a column, as it is written there; the path as SQLite has it, and as PostgreSQL."""

    type = Text()
    inherit_cache = True


def json_at(column: ColumnElement[Any], path: Sequence[str]) -> ColumnElement[str]:
    """The JSON that lies at `path`; NULL where nothing does, or the text is none that can be read.

    Args:
        column: of JSON text.
        path: names, of letters, digits, ``_`` and ``-``; those of digits alone count from 0 in an array.
    """
    return _JsonAt(column, literal(_sqlite_path(path)), literal("{" + ",".join(path) + "}"))


def _sqlite_path(path: Sequence[str]) -> str:
    return "$" + "".join(f"[{step}]" if step.isdecimal() else f'."{step}"' for step in path)


class _NumberAt(FunctionElement[Decimal]):
    """The number at a path in a column."""

    type = Numeric()
    inherit_cache = True


def number_at(column: ColumnElement[Any], path: Sequence[str]) -> ColumnElement[Decimal]:
    """The number that lies at `path`; NULL where nothing does, or something else. Otherwise as `json_at`."""
    lies = json_at(column, path)
    return _NumberAt(column, literal(_sqlite_path(path)), lies)


@compiles(_JsonAt)
def _of_sqlite(element: _JsonAt, compiler: SQLCompiler, **how: Any) -> str:
    column, path, _ = (compiler.process(clause, **how) for clause in element.clauses)
    return f"CASE WHEN json_valid({column}) THEN {column} -> {path} END"


@compiles(_JsonAt, "postgresql")
def _of_postgresql(element: _JsonAt, compiler: SQLCompiler, **how: Any) -> str:
    column, _, path = (compiler.process(clause, **how) for clause in element.clauses)
    readable = f"right({column}, 1) <> '{_CUT}' AND {column} !~ '{_UNREADABLE}'"
    return f"CASE WHEN {readable} THEN ({column}::json #> CAST({path} AS text[]))::text END"


@compiles(_NumberAt)
def _number_of_sqlite(element: _NumberAt, compiler: SQLCompiler, **how: Any) -> str:
    column, path, _ = (compiler.process(clause, **how) for clause in element.clauses)
    # Inside AND, what is no JSON would be looked into all the same: SQLite goes on only where a CASE lets it.
    kind = f"CASE WHEN json_valid({column}) THEN json_type({column}, {path}) END"
    return f"CASE WHEN {kind} IN ('integer', 'real') THEN CAST({column} -> {path} AS NUMERIC) END"


@compiles(_NumberAt, "postgresql")
def _number_of_postgresql(element: _NumberAt, compiler: SQLCompiler, **how: Any) -> str:
    _, _, lies = (compiler.process(clause, **how) for clause in element.clauses)
    fits = f"left(n.x, 1) IN ({_DIGITS}) AND length(n.x) < {_LONGEST} AND n.x !~ '{_HUGE}'"
    # OFFSET 0 keeps what is looked up from being looked up once for each time that it is named.
    return f"(SELECT CASE WHEN {fits} THEN CAST(n.x AS numeric) END FROM (SELECT {lies} AS x OFFSET 0) AS n)"  # noqa: S608 - ours

"""Looking into the JSON of arguments and results, in one way on both databases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement

#: What PostgreSQL cannot unescape anywhere in a text: it is not looked into then.
_UNREADABLE: Final = r"\\u(0000|[dD][89a-fA-F])"
_CUT: Final = "…"  # at the end of what was too long to be stored whole


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
    steps = "".join(f"[{step}]" if step.isdecimal() else f'."{step}"' for step in path)
    return _JsonAt(column, literal("$" + steps), literal("{" + ",".join(path) + "}"))


@compiles(_JsonAt)
def _of_sqlite(element: _JsonAt, compiler: SQLCompiler, **how: Any) -> str:
    column, path, _ = (compiler.process(clause, **how) for clause in element.clauses)
    return f"CASE WHEN json_valid({column}) THEN {column} -> {path} END"


@compiles(_JsonAt, "postgresql")
def _of_postgresql(element: _JsonAt, compiler: SQLCompiler, **how: Any) -> str:
    column, _, path = (compiler.process(clause, **how) for clause in element.clauses)
    readable = f"right({column}, 1) <> '{_CUT}' AND {column} !~ '{_UNREADABLE}'"
    return f"CASE WHEN {readable} THEN ({column}::json #> CAST({path} AS text[]))::text END"

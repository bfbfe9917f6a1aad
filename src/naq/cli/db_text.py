"""What ``naq db`` prints."""

from __future__ import annotations

from msgspec import Struct


class Revision(Struct, frozen=True, kw_only=True):
    """A revision of the history's tables: ``naq db history``. `current`: this database is at it."""

    revision: str
    what: str
    current: bool


class DatabaseState(Struct, frozen=True, kw_only=True):
    """The tables of a history: ``naq db upgrade``, ``current``, ``check``.

    `revision` is what they are at, null where there are none, `before` what they were at; `needed` is this naq's.
    """

    database: str
    revision: str | None
    needed: str
    before: str | None = None
    differences: list[str] = []


class Pruning(Struct, frozen=True, kw_only=True):
    """What ``naq db prune`` removed, in rows; with `dry_run` how many jobs it would, each reason up to 10,000."""

    jobs: int
    errors: int
    rollups: int
    invalid: int
    workers: int
    dry_run: bool

"""What a relay and the command line do with the table. Blocking; each statement is a transaction of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import closing, suppress
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from naq.exceptions import ConfigurationError, NaqConnectionError, NaqException
from naq.outbox.databases import Database
from naq.outbox.rows import Kept
from naq.outbox.tables import ddl

T = TypeVar("T")
_COLUMNS: Final = "id, job_id, queue, task, payload, spec, created_at, due_at, tries, tried_at, stuck_at, reason"
_PAYLOAD: Final = 4  # its place among them
_DEADLOCK, _DEADLOCKS = 1213, 5  # its number in MySQL, and how often it is tried again
_CHUNK: Final = 500  # values in one IN (...): far below what any of the databases allows
_REASON: Final = 2000  # characters of a reason that are kept
_MISSING: Final = ("no such table", "does not exist", "doesn't exist")  # of a table, in the words of each


class Store:
    """The table `table` of `database`, as far as it is of `namespace`. One thread at a time."""

    def __init__(self, database: Database, table: str, namespace: str) -> None:
        self.database: Final = database
        self._table: Final = table
        self._namespace: Final = namespace
        self._connection: Any = None

    def claim(self, limit: int, now: float, until: float) -> list[Kept]:
        """Take up to `limit` rows that are due, the oldest first, and keep them from others `until` then.

        This is written before anything is sent: who takes a row with one try knows that nobody has sent it before.
        """
        taken = "due_at = ?, tries = tries + 1, tried_at = COALESCE(tried_at, ?)"
        due = f"namespace = ? AND stuck_at IS NULL AND due_at <= ? ORDER BY id LIMIT {limit:d}"
        if self.database.dialect == "mysql":
            return self._guarded(lambda: self._claim_mysql(taken, due, now, until))
        lock = " FOR UPDATE SKIP LOCKED" if self.database.dialect == "postgresql" else ""
        if self.database.dialect == "sqlite" and not self._all(
            f"SELECT id FROM {self._table} WHERE {due}", (self._namespace, now)
        ):
            return []  # reading disturbs nobody; the statement below waits for whoever writes
        rows = self._all(
            f"UPDATE {self._table} SET {taken} WHERE id IN (SELECT id FROM {self._table} WHERE {due}{lock})"
            f" RETURNING {_COLUMNS}",
            (until, now, self._namespace, now),
        )
        return sorted((_kept(row) for row in rows), key=lambda row: row.id)

    def _claim_mysql(self, taken: str, due: str, now: float, until: float) -> list[Kept]:
        """The same where UPDATE returns nothing."""
        self._run("BEGIN")
        try:
            select = f"SELECT {_COLUMNS} FROM {self._table} WHERE {due} FOR UPDATE SKIP LOCKED"
            rows = [_kept(row) for row in self._run(select, (self._namespace, now))]
            if rows:
                marks = ", ".join("?" * len(rows))
                update = f"UPDATE {self._table} SET {taken} WHERE id IN ({marks})"
                self._run(update, (until, now, *(row.id for row in rows)))
        except BaseException:
            self._run("ROLLBACK")
            raise
        self._run("COMMIT")
        return [
            replace(row, due_at=until, tries=row.tries + 1, tried_at=now if row.tried_at is None else row.tried_at)
            for row in rows
        ]

    def remove(self, ids: Sequence[int]) -> None:
        """These have been sent."""
        for part in _parts(ids):
            self._all(f"DELETE FROM {self._table} WHERE id IN ({', '.join('?' * len(part))})", tuple(part))

    def put_back(self, ids: Sequence[int], due_at: float, reason: str, *, unsent: bool = False) -> None:
        """These are tried again at `due_at`; `unsent`: and nobody has sent them yet, for certain."""
        anew = ", tries = 0, tried_at = NULL" if unsent else ""
        for part in _parts(ids):
            marks = ", ".join("?" * len(part))
            update = f"UPDATE {self._table} SET due_at = ?, reason = ?{anew} WHERE id IN ({marks})"
            self._all(update, (due_at, reason[:_REASON], *part))

    def set_aside(self, row_id: int, now: float, reason: str) -> None:
        """Leave a row to a person."""
        update = f"UPDATE {self._table} SET stuck_at = ?, reason = ? WHERE id = ?"
        self._all(update, (now, reason[:_REASON], row_id))

    def present(self, job_ids: Collection[str]) -> set[str]:
        """Those of `job_ids` that have a row here."""
        found: set[str] = set()
        for part in _parts(list(job_ids)):
            marks = ", ".join("?" * len(part))
            select = f"SELECT job_id FROM {self._table} WHERE namespace = ? AND job_id IN ({marks})"
            found.update(row[0] for row in self._all(select, (self._namespace, *part)))
        return found

    def rows(self, *, stuck: bool = False, job_id: str | None = None, limit: int = 100) -> list[Kept]:
        """What is there, the oldest first; only what was set aside, or what is of one job, where that is asked for."""
        where, values = "namespace = ?", [self._namespace]
        if stuck:
            where += " AND stuck_at IS NOT NULL"
        if job_id is not None:
            where += " AND job_id = ?"
            values.append(job_id)
        select = f"SELECT {_COLUMNS} FROM {self._table} WHERE {where} ORDER BY id LIMIT {limit:d}"
        return [_kept(row) for row in self._all(select, tuple(values))]

    def retry(self, job_id: str) -> bool:
        """Send what was set aside after all, as if for the first time; whether there was such a row.

        One that is merely put off is sent now.
        """
        values = (self._namespace, job_id)
        anew = "due_at = 0, tries = 0, tried_at = NULL, stuck_at = NULL, reason = NULL"
        self._all(
            f"UPDATE {self._table} SET due_at = 0 WHERE namespace = ? AND job_id = ? AND reason IS NOT NULL", values
        )
        where = "namespace = ? AND job_id = ? AND stuck_at IS NOT NULL"
        self._all(f"UPDATE {self._table} SET {anew} WHERE {where}", values)
        return bool(self.present([job_id]))

    def discard(self, job_id: str) -> bool:
        """Remove what was set aside; whether there was such a row."""
        values, where = (self._namespace, job_id), "namespace = ? AND job_id = ? AND stuck_at IS NOT NULL"
        there = bool(self._all(f"SELECT id FROM {self._table} WHERE {where}", values))
        self._all(f"DELETE FROM {self._table} WHERE {where}", values)
        return there

    def create(self) -> None:
        """Make the table, where there is none."""
        for statement in ddl(self.database.dialect, self._table):
            self._all(statement, ())

    def close(self) -> None:
        """Disconnect; the next call connects again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _all(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        return self._guarded(lambda: self._run(statement, values))

    def _guarded(self, act: Callable[[], T]) -> T:
        """What `act` gives; errors of the database as naq's, and then with another connection the next time."""
        driver = self.database.driver()
        if self._connection is None:
            self._connection = self.database.connect()
        try:
            return self._again_after_deadlock(act)
        except driver.Error as error:
            connection, self._connection = self._connection, None
            with suppress(driver.Error):  # it is broken already, which is what we are about to say
                connection.close()
            raise self._as_ours(error) from error

    def _again_after_deadlock(self, act: Callable[[], T]) -> T:
        """What `act` gives: MySQL may end one of two transactions that meet, and asks for it to be done again."""
        if self.database.dialect == "mysql":
            driver = self.database.driver()
            for _ in range(_DEADLOCKS):
                try:
                    return act()
                except driver.OperationalError as error:
                    if error.args[0] != _DEADLOCK:
                        raise
        return act()

    def _as_ours(self, error: Exception) -> NaqException:
        text = str(error).strip()
        if any(words in text for words in _MISSING):
            return ConfigurationError(
                f"there is no table {self._table} of an outbox in {self.database.where} ({text.splitlines()[0]}): make "
                "it by a migration (docs/outbox.md), or with naq outbox create-table"
            )
        return NaqConnectionError(f"the outbox in {self.database.where}: {text}")

    def _run(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        if self.database.dialect != "sqlite":
            statement = statement.replace("?", "%s")
        with closing(self._connection.cursor()) as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []


def _kept(row: Sequence[Any]) -> Kept:
    values = list(row)
    values[_PAYLOAD] = bytes(values[_PAYLOAD])  # some drivers give a view of what they received
    return Kept(*values)


def _parts(values: Sequence[T]) -> list[Sequence[T]]:
    return [values[at : at + _CHUNK] for at in range(0, len(values), _CHUNK)]

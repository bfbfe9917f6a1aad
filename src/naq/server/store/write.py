"""Changes become rows, in the transaction of whoever calls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import astuple
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.server.store import bulk
from naq.server.store.changes import Changes, ErrorDelta
from naq.server.store.rows import AttemptRow, EventRow, InvalidRow, JobRow, LogRow
from naq.server.store.tables import (
    attempts,
    cursors,
    durations,
    error_hours,
    errors,
    events,
    invalid,
    jobs,
    links,
    logs,
    rollups,
    tags,
    tasks,
    workers,
)

JOB_COLUMNS: Final = JobRow.__struct_fields__
_UPDATE_JOB: Final = bulk.replaced([name for name in JOB_COLUMNS if name != "id"])
_SEEN_TASK: Final = (
    "UPDATE SET queue = CASE WHEN excluded.last_at >= tasks.last_at THEN excluded.queue ELSE tasks.queue END,"
    " first_at = CASE WHEN excluded.first_at < tasks.first_at THEN excluded.first_at ELSE tasks.first_at END,"
    " last_at = CASE WHEN excluded.last_at > tasks.last_at THEN excluded.last_at ELSE tasks.last_at END"
)
_LATER: Final = "excluded.last_at >= errors.last_at"
_SEEN_ERROR: Final = (
    "UPDATE SET count = errors.count + excluded.count,"
    " first_at = CASE WHEN excluded.first_at < errors.first_at THEN excluded.first_at ELSE errors.first_at END,"
    f" last_job_id = CASE WHEN {_LATER} THEN excluded.last_job_id ELSE errors.last_job_id END,"
    f" message = CASE WHEN {_LATER} THEN excluded.message ELSE errors.message END,"
    f" detail = CASE WHEN {_LATER} THEN excluded.detail ELSE errors.detail END,"
    " state = CASE WHEN errors.state = 'resolved' AND excluded.last_at > errors.decided_at"
    " AND excluded.state <> 'resolved' THEN 'regressed'"
    " WHEN errors.state = 'ignored' AND (excluded.last_at > errors.ignored_until"
    " OR errors.count + excluded.count > errors.ignored_count) THEN 'open' ELSE errors.state END,"
    f" last_at = CASE WHEN {_LATER} THEN excluded.last_at ELSE errors.last_at END"
)


async def lock(connection: AsyncConnection, name: str) -> Any:
    """The row of the cursor of the log `name`, held until the transaction ends; None: there is none yet.

    Whoever writes jobs holds it, so that nobody writes over what another has just written.
    """
    if connection.dialect.name == "postgresql":
        # Commits need not reach the disk one by one: what is lost, is lost with its cursor, and read again.
        await connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
    asked = select(cursors).where(cursors.c.name == name).with_for_update()
    return (await connection.execute(asked)).one_or_none()


async def load(connection: AsyncConnection, job_ids: Collection[str], attempted: Collection[str]) -> Changes:
    """What is known of `job_ids`, for changes to begin with, and the attempts kept of those in `attempted`."""
    found = await bulk.among(connection, jobs, JOB_COLUMNS, "id", list(job_ids))
    known = {row[0]: JobRow(*row) for row in found}
    there = await bulk.among(
        connection, attempts, ("job_id", "run", "attempt"), "job_id", [name for name in attempted if name in known]
    )
    return Changes(known, {(job_id, run, attempt) for job_id, run, attempt in there})


async def save(connection: AsyncConnection, changes: Changes) -> None:
    """Write all of `changes`; who calls holds what keeps others from making the same rows (`lock`)."""
    if connection.dialect.name == "sqlite":
        await connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")  # a parent may be among the later rows
    # Those of a state have values in the same columns. Those with a parent come last, at once: it may be one of them
    alike: defaultdict[str, list[JobRow]] = defaultdict(list)
    for job_id in changes.touched:
        if job_id in changes.new:
            row = changes.jobs[job_id]
            alike[row.state if row.parent_id is None else "~"].append(row)
    for _, rows in sorted(alike.items()):
        await bulk.insert(connection, jobs, JOB_COLUMNS, rows)
    known = [changes.jobs[job_id] for job_id in changes.touched if job_id not in changes.new]
    await bulk.insert(connection, jobs, JOB_COLUMNS, known, _UPDATE_JOB)
    await _all(connection, changes)
    await _sums(connection, changes)


async def _all(connection: AsyncConnection, changes: Changes) -> None:
    """What is kept beside jobs; what is there already stays."""
    same = bulk.NOTHING
    await bulk.insert(connection, attempts, AttemptRow.__struct_fields__, changes.attempts, same)
    await bulk.insert(connection, logs, LogRow.__struct_fields__, changes.logs, same)
    await bulk.insert(connection, events, EventRow.__struct_fields__, changes.events, same)
    await bulk.insert(connection, tags, ("name", "value", "created_at", "job_id"), changes.tags, same)
    await bulk.insert(connection, links, ("parent_id", "job_id"), changes.links, same)
    if changes.invalid:
        rows = [dict(zip(InvalidRow.__struct_fields__, astuple(row), strict=True)) for row in changes.invalid]
        await connection.execute(invalid.insert(), rows)


async def _sums(connection: AsyncConnection, changes: Changes) -> None:
    """What grows. In the order of the keys, so that two that write at once never wait for each other in a circle."""
    rows = [(*key[:4], key[4], sums.count, sums.run_us, sums.wait_us) for key, sums in sorted(changes.rollups.items())]
    columns = ("step", "scope", "name", "at", "what", "count", "run_us", "wait_us")
    await bulk.insert(connection, rollups, columns, rows, bulk.added(rollups, columns[5:]))
    columns = ("step", "scope", "name", "at", "measure", "bucket", "count")
    rows = [(*key, count) for key, count in sorted(changes.durations.items())]
    await bulk.insert(connection, durations, columns, rows, bulk.added(durations, ("count",)))
    found = [(name, *of) for name, of in sorted(changes.tasks.items())]
    await bulk.insert(connection, tasks, ("name", "queue", "first_at", "last_at"), found, _SEEN_TASK)
    columns = ("fingerprint", "task", "type", "message", "detail", "first_at", "last_at", "last_job_id", "count")
    expected = await _expected(connection, changes.errors)
    deltas = [
        (*astuple(changes.errors[name])[: len(columns)], "resolved" if name in expected else "open", "")
        for name in sorted(changes.errors)
    ]
    await bulk.insert(connection, errors, (*columns, "state", "note"), deltas, _SEEN_ERROR)
    hours = [(*key, count) for key, count in sorted(changes.error_hours.items())]
    await bulk.insert(
        connection, error_hours, ("fingerprint", "at", "count"), hours, bulk.added(error_hours, ("count",))
    )


async def _expected(connection: AsyncConnection, deltas: Mapping[str, ErrorDelta]) -> set[str]:
    """The groups that were resolved for code to come, and came from workers of the code before it alone."""
    columns = ("fingerprint", "resolved_in")
    found = await bulk.among(connection, errors, columns, "fingerprint", list(deltas))
    still_in = {name: set(msgspec.json.decode(said, type=list[str])) for name, said in found if said is not None}
    if not still_in:
        return set()
    ids = sorted({worker for name in still_in for worker in deltas[name].workers})
    code: dict[str, str] = dict(await bulk.among(connection, workers, ("id", "code"), "id", ids))
    return {
        name
        for name, versions in still_in.items()
        if deltas[name].workers and {code.get(worker, "") for worker in deltas[name].workers} <= versions
    }

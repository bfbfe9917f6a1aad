"""Asking for jobs: a page of them, one, its attempts, its kin, how many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.server.store.conditions import Among, Condition, JobQuery
from naq.server.store.queries import plan
from naq.server.store.queries.build import build
from naq.server.store.rows import AttemptRow, JobListed, JobRow
from naq.server.store.tables import STATES, attempts, jobs

CAP: Final = 10_000  # up to which jobs are counted; the page says "10,000+"
ARGS_SHOWN: Final = 200  # characters of the arguments in a list
MOST: Final = 1_000  # jobs of a page, or of a tree

_LISTED: Final = [
    func.substr(jobs.c.args, 1, ARGS_SHOWN).label("args") if name == "args" else jobs.c[name]
    for name in JobListed.__struct_fields__
]


class JobPage(Struct, frozen=True, kw_only=True):
    """A page of jobs.

    Attributes:
        jobs: in the order that was asked for.
        after: where the next page begins (`JobQuery.after`); None: there is none. It may be there although this page
            is not full: then this one looked at as many rows as it may.
        before: where the page before this one ends; None: this is the first.
    """

    jobs: Sequence[JobListed | JobRow]
    after: tuple[int, str] | None
    before: tuple[int, str] | None


class Counted(NamedTuple):
    """How many jobs there are: as many, or at least as many where `whole` is False and not all were looked at."""

    value: int
    whole: bool


async def find(connection: AsyncConnection, query: JobQuery, *, whole: bool = False) -> JobPage:
    """A page of jobs, however far back, at the cost of a page; `whole`: with all that is kept of each."""
    made = plan.make_plan(query)
    found = await connection.execute(plan.page(made, query, list(jobs.c) if whole else _LISTED))
    rows = [build(JobRow if whole else JobListed, row) for row in found.mappings()]
    further = len(rows) > query.limit
    rows = rows[: query.limit]
    edge = (_key(rows[-1], query), rows[-1].id) if rows and further else None
    if not further and made.residual:
        row = (await connection.execute(plan.frontier(made, query))).one_or_none()
        edge = None if row is None else (int(row[0]), str(row[1]))
    if not query.backwards:
        first = (_key(rows[0], query), rows[0].id) if rows else query.after
        return JobPage(jobs=rows, after=edge, before=None if query.after is None else first)
    rows.reverse()
    last = (_key(rows[-1], query), rows[-1].id) if rows else query.after
    return JobPage(jobs=rows, after=last, before=edge)


async def get(connection: AsyncConnection, job_id: str) -> JobRow | None:
    """A job, or None; one of which nothing but its children is known has no task."""
    row = (await connection.execute(select(jobs).where(jobs.c.id == job_id))).mappings().one_or_none()
    return None if row is None else build(JobRow, row)


async def get_attempts(connection: AsyncConnection, job_id: str, *, limit: int = MOST) -> list[AttemptRow]:
    """All attempts of a job, all runs, the first one first; the last one of a job that runs or has ended included."""
    job = await get(connection, job_id)
    asked = select(attempts).where(attempts.c.job_id == job_id)
    found = await connection.execute(asked.order_by(attempts.c.run.desc(), attempts.c.attempt.desc()).limit(limit))
    rows = [build(AttemptRow, row) for row in found.mappings()]
    rows.reverse()
    if job is not None and job.started_at is not None and not any(
        (row.run, row.attempt) == (job.run, job.attempt) for row in rows
    ):  # fmt: skip
        rows.append(
            AttemptRow(
                job_id=job.id,
                run=job.run,
                attempt=job.attempt,
                outcome=job.state,
                worker=job.worker,
                started_at=job.started_at,
                ended_at=job.finished_at or 0,
                error_type=job.error_type,
                error=job.error,
                fingerprint=job.fingerprint,
            )
        )
    return rows


async def children(connection: AsyncConnection, job_id: str, *, limit: int = MOST) -> Sequence[JobListed | JobRow]:
    """The jobs that a job enqueued, the first one first."""
    query = JobQuery(conditions=(Among("parent_id", (job_id,)),), descending=False, limit=limit)
    return (await find(connection, query)).jobs


async def tree(connection: AsyncConnection, root_id: str, *, limit: int = MOST) -> Sequence[JobListed | JobRow]:
    """All that came of a job, itself first; of large trees the first `limit`."""
    query = JobQuery(conditions=(Among("root_id", (root_id,)),), descending=False, limit=limit)
    top = await find(connection, JobQuery(conditions=(Among("id", (root_id,)),), limit=1))
    return [*top.jobs, *[job for job in (await find(connection, query)).jobs if job.id != root_id]]


async def count(connection: AsyncConnection, conditions: tuple[Condition, ...], *, cap: int = CAP) -> Counted:
    """How many jobs there are, but never more than `cap`; what no index serves, among the first few thousand."""
    return await _count(connection, conditions, cap)


async def _count(
    connection: AsyncConnection, conditions: tuple[Condition, ...], cap: int, *, parts: int = 1
) -> Counted:
    asked, most = plan.count(plan.make_plan(JobQuery(conditions=conditions)), cap, parts=parts)
    fit, seen = (await connection.execute(asked)).one()
    return Counted(int(fit), int(seen) < most)


async def count_states(
    connection: AsyncConnection, conditions: tuple[Condition, ...] = (), *, cap: int = CAP
) -> dict[str, Counted]:
    """How many jobs of each state there are, each counted as `count` does."""
    others = tuple(one for one in conditions if not (isinstance(one, Among) and one.field == "state"))
    made = plan.make_plan(JobQuery(conditions=others))
    of_one = plan.make_plan(JobQuery(conditions=(*others, Among("state", STATES[:1]))))
    if len(of_one.residual) == len(made.residual):  # an index has them by state
        return {
            state: await _count(connection, (*others, Among("state", (state,))), cap, parts=len(STATES))
            for state in STATES
        }
    rows = (await connection.execute(plan.count_states(made))).all()
    whole = sum(int(seen) for _, _, seen in rows) < plan.SCAN
    fit = {str(state): int(fits) for state, fits, _ in rows}
    return {state: Counted(fit.get(state, 0), whole) for state in STATES}


def _key(row: JobListed | JobRow, query: JobQuery) -> int:
    return int(getattr(row, query.sort))

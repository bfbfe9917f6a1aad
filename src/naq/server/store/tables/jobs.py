"""Jobs: one row each, the latest run. Times are microseconds since 1970 UTC."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Float, ForeignKey, Index, Integer, Table, Text, text

from naq.job import FINAL, PRIORITIES, JobState
from naq.server.store.tables.base import Name, metadata

STATES: Final = tuple(state.value for state in JobState)
FINAL_STATES: Final = tuple(state.value for state in JobState if state in FINAL)


def _among(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


jobs: Final = Table(
    "jobs",
    metadata,
    Column("id", Name, primary_key=True),
    Column("task", Name, nullable=False, server_default="", doc="empty: of this job only its children are known"),
    Column("queue", Name, nullable=False, server_default=""),
    Column("priority", Name, nullable=False, server_default="normal"),
    Column("state", Name, nullable=False),
    Column("run", Integer, nullable=False, server_default="1"),
    Column("attempt", Integer, nullable=False, server_default="1"),
    Column("delivered", Integer, nullable=False, server_default="1"),
    Column("worker", Name, nullable=False, server_default=""),
    # The parent may come later than its child, and then a row without a task holds its place.
    Column("parent_id", Name, ForeignKey("jobs.id", ondelete="SET NULL")),
    Column("root_id", Name),
    Column("schedule", Name),
    Column("key", Name, doc="the unique key, while it has one"),
    Column("created_at", BigInteger, nullable=False),
    Column("run_at", BigInteger),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("wait_us", BigInteger, doc="from when it could have run to when it did"),
    Column("duration_us", BigInteger, doc="from the start of its last attempt to its end"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("tags", Text, doc="JSON object of text"),
    Column("limits", Text, doc="JSON array of text"),
    Column("waits_for", Text, doc="JSON array of job ids"),
    Column("args", Text, doc="JSON: {args, kwargs}, where the job was seen waiting"),
    Column("result", Text, doc="JSON"),
    Column("error_type", Name),
    Column("error", Text, doc="its message"),
    Column("fingerprint", Name),
    Column("progress", Float),
    Column("progress_text", Text),
    Column("rank", BigInteger, nullable=False, server_default="0", doc="run, final, attempt: what is newer wins"),
    Column("ranked_at", BigInteger, nullable=False, server_default="0", doc="of the same rank the later one"),
    Column("updated_at", BigInteger, nullable=False, server_default="0", doc="when this row was last written"),
    Column("trace", Name, doc="the id of its W3C trace"),
    CheckConstraint(_among("state", STATES), name="state"),
    CheckConstraint(_among("priority", PRIORITIES), name="priority"),
    Index("ix_jobs_created", "created_at", "id", "state"),
    Index("ix_jobs_state", "state", "created_at", "id"),
    Index("ix_jobs_task", "task", "state", "created_at", "id"),
    Index("ix_jobs_queue", "queue", "state", "created_at", "id"),
    Index("ix_jobs_finished", "finished_at", "id", sqlite_where=text("finished_at IS NOT NULL"),
          postgresql_where=text("finished_at IS NOT NULL")),
    Index("ix_jobs_started", "started_at", "id", sqlite_where=text("started_at IS NOT NULL"),
          postgresql_where=text("started_at IS NOT NULL")),
    Index("ix_jobs_duration", "duration_us", "id", sqlite_where=text("duration_us IS NOT NULL"),
          postgresql_where=text("duration_us IS NOT NULL")),
    Index("ix_jobs_parent", "parent_id", "created_at", "id", sqlite_where=text("parent_id IS NOT NULL"),
          postgresql_where=text("parent_id IS NOT NULL")),
    Index("ix_jobs_root", "root_id", "created_at", "id", sqlite_where=text("root_id IS NOT NULL"),
          postgresql_where=text("root_id IS NOT NULL")),
    Index("ix_jobs_schedule", "schedule", "created_at", "id", sqlite_where=text("schedule IS NOT NULL"),
          postgresql_where=text("schedule IS NOT NULL")),
    Index("ix_jobs_key", "key", "created_at", "id", sqlite_where=text("key IS NOT NULL"),
          postgresql_where=text("key IS NOT NULL")),
    Index("ix_jobs_fingerprint", "fingerprint", "created_at", "id", sqlite_where=text("fingerprint IS NOT NULL"),
          postgresql_where=text("fingerprint IS NOT NULL")),
    Index("ix_jobs_trace", "trace", "created_at", "id", sqlite_where=text("trace IS NOT NULL"),
          postgresql_where=text("trace IS NOT NULL")),
    Index("ix_jobs_due", "run_at", sqlite_where=text("state = 'scheduled'"),
          postgresql_where=text("state = 'scheduled'")),
    Index("ix_jobs_worker", "worker", "created_at", "id", sqlite_where=text("worker <> ''"),
          postgresql_where=text("worker <> ''")),
)  # fmt: skip
"""The latest run of each job."""

tags: Final = Table(
    "tags",
    metadata,
    Column("name", Name, primary_key=True),
    Column("value", Name, primary_key=True),
    Column("created_at", BigInteger, primary_key=True, doc="of the job"),
    Column("job_id", Name, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Index("ix_tags_job_id", "job_id"),
)
"""What jobs are tagged with, to find them by it."""

links: Final = Table(
    "links",
    metadata,
    Column("parent_id", Name, primary_key=True, doc="the job that is waited for"),
    Column("job_id", Name, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, doc="that waits for it"),
    Index("ix_links_job_id", "job_id"),
)
"""Which jobs wait, or waited, for which: the way back of ``jobs.waits_for``."""

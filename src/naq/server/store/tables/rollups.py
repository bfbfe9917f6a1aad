"""Counts by minute, quarter of an hour, hour and six hours, so that no chart looks at jobs, nor at many rows of these.

On SQLite the rows lie in their index: what is read in its order is read at once, and written once.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, SmallInteger, Table

from naq.server.store.tables.base import Name, metadata

rollups: Final = Table(
    "rollups",
    metadata,
    Column("step", Integer, primary_key=True, doc="seconds: 60, 900, 3600 or 21600"),
    Column("scope", Name, primary_key=True),
    Column("name", Name, primary_key=True, doc="of the task or queue; empty for all"),
    Column("at", BigInteger, primary_key=True, doc="the beginning of the step"),
    Column("what", Name, primary_key=True, doc="created, retrying, or a final state"),
    Column("count", BigInteger, nullable=False),
    Column("run_us", BigInteger, nullable=False, doc="sum"),
    Column("wait_us", BigInteger, nullable=False, doc="sum"),
    CheckConstraint("step IN (60, 900, 3600, 21600)", name="step"),
    CheckConstraint("scope IN ('all', 'task', 'queue')", name="scope"),
    Index("ix_rollups_step_at", "step", "at"),
    sqlite_with_rowid=False,
)
"""How many jobs, and how long they took and waited."""

durations: Final = Table(
    "durations",
    metadata,
    Column("step", Integer, primary_key=True),
    Column("scope", Name, primary_key=True),
    Column("name", Name, primary_key=True),
    Column("at", BigInteger, primary_key=True),
    Column("measure", Name, primary_key=True, doc="run or wait"),
    Column("bucket", SmallInteger, primary_key=True, doc="see naq.server.store.changes"),
    Column("count", BigInteger, nullable=False),
    CheckConstraint("measure IN ('run', 'wait')", name="measure"),
    Index("ix_durations_step_at", "step", "at"),
    sqlite_with_rowid=False,
)
"""Histograms, from which percentiles come."""

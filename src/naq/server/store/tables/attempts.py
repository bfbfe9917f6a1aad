"""Attempts that a job's own row does not tell of: failed ones, and the ends of earlier runs."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text

from naq.server.store.tables.base import Name, metadata

attempts: Final = Table(
    "attempts",
    metadata,
    Column("job_id", Name, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("run", Integer, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("outcome", Name, nullable=False),
    Column("worker", Name, nullable=False, server_default=""),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger, nullable=False),
    Column("next_in_us", BigInteger, doc="how long it then waited for the next attempt"),
    Column("error_type", Name),
    Column("error", Text, doc="its message"),
    Column("detail", Text, doc="JSON: AttemptError with frames and causes"),
    Column("fingerprint", Name),
    CheckConstraint(
        "outcome IN ('retrying', 'succeeded', 'failed', 'cancelled', 'expired')", name="outcome"
    ),
    Index("ix_attempts_fingerprint", "fingerprint", "ended_at"),
    Index("ix_attempts_ended", "ended_at"),
)  # fmt: skip
"""By job, run and attempt."""

"""Errors grouped by what they have in common, and what could not be read at all."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from naq.server.store.tables.base import Name, metadata

errors: Final = Table(
    "errors",
    metadata,
    Column("fingerprint", Name, primary_key=True),
    Column("task", Name, nullable=False),
    Column("type", Name, nullable=False),
    Column("message", Text, nullable=False, doc="of the latest"),
    Column("detail", Text, doc="JSON: AttemptError, the latest"),
    Column("state", Name, nullable=False, server_default="open"),
    Column("count", BigInteger, nullable=False, server_default="0"),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("last_job_id", Name, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
    Column("decided_at", BigInteger, doc="when a person resolved or ignored it"),
    Column("ignored_until", BigInteger),
    Column("ignored_count", BigInteger, doc="it is open again when it came more often than that"),
    Column("resolved_in", Text, doc="JSON array: the versions in which it may still come; NULL: in none"),
    CheckConstraint("state IN ('open', 'resolved', 'ignored', 'regressed')", name="state"),
    Index("ix_errors_last", "last_at", "fingerprint"),
    Index("ix_errors_state", "state", "last_at", "fingerprint"),
    Index("ix_errors_task", "task", "last_at", "fingerprint"),
    Index("ix_errors_count", "count", "fingerprint"),
)
"""One row a fingerprint."""

error_hours: Final = Table(
    "error_hours",
    metadata,
    Column("fingerprint", Name, ForeignKey("errors.fingerprint", ondelete="CASCADE"), primary_key=True),
    Column("at", BigInteger, primary_key=True, doc="the beginning of the hour"),
    Column("count", BigInteger, nullable=False),
    Index("ix_error_hours_at", "at"),
)
"""How often an error came, by hour."""

invalid: Final = Table(
    "invalid",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("kind", Name, nullable=False),
    Column("job_id", Name, nullable=False),
    Column("queue", Name, nullable=False),
    Column("cursor", Name, nullable=False),
    Column("reason", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index("ix_invalid_seen", "seen_at", "id"),
)
"""Events that are none: the dead letters of the history."""

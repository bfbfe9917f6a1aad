"""What jobs said: log lines, and all other events but those that a job's row tells of."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table, Text

from naq.server.store.tables.base import Name, metadata

logs: Final = Table(
    "logs",
    metadata,
    Column("job_id", Name, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("told_at", BigInteger, primary_key=True, doc="of the event that brought it; with n its place"),
    Column("n", Integer, primary_key=True),
    Column("run", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("level", Name, nullable=False),
    Column("logger", Name, nullable=False),
    Column("text", Text, nullable=False),
    Column("dropped", Integer, nullable=False, server_default="0", doc="lines left out before this one"),
)
"""Log lines."""

events: Final = Table(
    "events",
    metadata,
    Column("job_id", Name, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("at", BigInteger, primary_key=True),
    Column("kind", Name, primary_key=True),
    Column("data", Text, nullable=False, doc="JSON"),
)
"""Events of jobs that are kept as they came: started, blocked, metric, and those of later versions."""

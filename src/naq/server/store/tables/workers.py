"""Workers, queues and tasks as they were last seen."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, Table, Text, false

from naq.server.store.tables.base import Name, metadata

workers: Final = Table(
    "workers",
    metadata,
    Column("id", Name, primary_key=True),
    Column("state", Name, nullable=False, doc="as it said, or gone"),
    Column("host", Name, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Name, nullable=False),
    Column("queues", Text, nullable=False, doc="JSON array"),
    Column("tasks", Text, nullable=False, doc="JSON array"),
    Column("concurrency", Integer, nullable=False),
    Column("running", Integer, nullable=False),
    Column("processed", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("gone_at", BigInteger),
    Index("ix_workers_seen", "seen_at", "id"),
)
"""Workers, those that have gone as well."""

queues: Final = Table(
    "queues",
    metadata,
    Column("name", Name, primary_key=True),
    Column("queued", BigInteger, nullable=False),
    Column("running", BigInteger, nullable=False),
    Column("scheduled", BigInteger, nullable=False),
    Column("blocked", BigInteger, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("concurrency", Integer, doc="limit of the whole fleet"),
    Column("seen_at", BigInteger, nullable=False),
)
"""Queues."""

depths: Final = Table(
    "depths",
    metadata,
    Column("queue", Name, primary_key=True),
    Column("at", BigInteger, primary_key=True, doc="the beginning of the minute"),
    Column("queued", BigInteger, nullable=False, doc="the most within it, as the others"),
    Column("running", BigInteger, nullable=False),
    Column("scheduled", BigInteger, nullable=False),
    Column("blocked", BigInteger, nullable=False),
    Index("ix_depths_at", "at"),
)
"""How long queues were, by minute."""

tasks: Final = Table(
    "tasks",
    metadata,
    Column("name", Name, primary_key=True),
    Column("queue", Name, nullable=False, doc="of its latest job"),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
)
"""Tasks of which there was a job."""

"""Workers, queues and tasks as they were last seen."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, Table, Text, false

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
    Column("code", Name, nullable=False, server_default="", doc="the version of the user's code"),
    Index("ix_workers_seen", "seen_at", "id"),
)
"""Workers, those that have gone as well."""

worker_minutes: Final = Table(
    "worker_minutes",
    metadata,
    Column("worker", Name, primary_key=True),
    Column("at", BigInteger, primary_key=True, doc="the beginning of the minute"),
    Column("memory", BigInteger, nullable=False, doc="bytes, the most within it, as cpu, loop_lag and running"),
    Column("children_memory", BigInteger, nullable=False),
    Column("cpu", Float, nullable=False, doc="cores"),
    Column("loop_lag", Float, nullable=False, doc="seconds"),
    Column("running", Integer, nullable=False),
    Column("processed", BigInteger, nullable=False, doc="since it started, as failed"),
    Column("failed", BigInteger, nullable=False),
    Index("ix_worker_minutes_at", "at"),
)
"""How a worker was, by minute."""

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

"""Who may do what, who did what, what was answered, and what is being done to many jobs at once."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, LargeBinary, Table, Text

from naq.server.store.tables.base import Name, metadata

ROLES: Final = ("viewer", "operator", "admin")

tokens: Final = Table(
    "tokens",
    metadata,
    Column("id", Name, primary_key=True),
    Column("kind", Name, nullable=False, doc="token, or session: that of a login"),
    Column("name", Name, nullable=False),
    Column("role", Name, nullable=False),
    Column("hash", Name, nullable=False, unique=True, doc="SHA-256 of the token; the token itself is nowhere"),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Name, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("used_at", BigInteger, doc="to the minute"),
    Column("queues", Text, doc="JSON array: those that it is for; NULL: all"),
    CheckConstraint("role IN ('viewer', 'operator', 'admin')", name="role"),
    CheckConstraint("kind IN ('token', 'session')", name="kind"),
    Index("ix_tokens_kind", "kind", "created_at", "id"),
)
"""Tokens and sessions."""

audit: Final = Table(
    "audit",
    metadata,
    Column("id", Name, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("who", Name, nullable=False),
    Column("role", Name, nullable=False),
    Column("address", Name, nullable=False),
    Column("action", Name, nullable=False, doc="the operationId"),
    Column("target", Name, nullable=False, doc="what it was done to; empty where that is many"),
    Column("status", Integer, nullable=False, doc="of the answer"),
    Column("request_id", Name, nullable=False),
    Column("before", Text, doc="JSON"),
    Column("after", Text, doc="JSON"),
    Index("ix_audit_at", "at", "id"),
    Index("ix_audit_who", "who", "at", "id"),
    Index("ix_audit_action", "action", "at", "id"),
    Index("ix_audit_target", "target", "at", "id"),
)
"""Every change that was asked for."""

idempotency: Final = Table(
    "idempotency",
    metadata,
    Column("who", Name, primary_key=True),
    Column("key", Name, primary_key=True),
    Column("fingerprint", Name, nullable=False, doc="of method, path and body"),
    Column("status", Integer, doc="of the answer; NULL: the first request has not been answered yet"),
    Column("headers", Text, doc="JSON"),
    Column("body", LargeBinary),
    Column("at", BigInteger, nullable=False),
    Index("ix_idempotency_at", "at"),
)
"""Answers by Idempotency-Key."""

secrets: Final = Table(
    "secrets", metadata, Column("name", Name, primary_key=True), Column("value", Text, nullable=False)
)
"""Keys that all servers of a database share."""

bulk: Final = Table(
    "bulk",
    metadata,
    Column("id", Name, primary_key=True),
    Column("name", Name, nullable=False),
    Column("action", Name, nullable=False),
    Column("filter", Text, nullable=False),
    Column("ids", Text, doc="JSON array; NULL: those that the filter fits"),
    Column("before_at", BigInteger, nullable=False, doc="jobs created from then on are left alone"),
    Column("rate", Integer, doc="jobs a second"),
    Column("spread_s", Integer, doc="seconds over which it is spread, instead"),
    Column("options", Text, nullable=False, server_default="{}", doc="JSON: to which priority, queue, tag"),
    Column("state", Name, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", Name, nullable=False),
    Column("finished_at", BigInteger),
    Column("total", BigInteger, doc="capped, as counted when it began"),
    Column("done", BigInteger, nullable=False, server_default="0"),
    Column("skipped", BigInteger, nullable=False, server_default="0"),
    Column("skips", Text, nullable=False, server_default="{}", doc="JSON: why, and how many for it"),
    Column("failed", BigInteger, nullable=False, server_default="0"),
    Column("failures", Text, nullable=False, server_default="[]", doc="JSON: the first of them"),
    Column("place", Text, doc="JSON: how far it has come"),
    Column("runner", Name, nullable=False, server_default="", doc="the server that works on it"),
    Column("runs_until", BigInteger, nullable=False, server_default="0", doc="then another server may take over"),
    CheckConstraint("state IN ('running', 'finished', 'aborted')", name="state"),
    Index("ix_bulk_created", "created_at", "id"),
    Index("ix_bulk_state", "state", "created_at", "id"),
)
"""Bulk actions."""

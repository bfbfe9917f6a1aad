"""Lists that people come back to, by name."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from naq.server.store.tables.base import Name, metadata

views: Final = Table(
    "views",
    metadata,
    Column("id", Name, primary_key=True),
    Column("owner", Name, nullable=False, doc="who alone sees it; empty: everybody does"),
    Column("name", Name, nullable=False),
    Column("filter", Text, nullable=False),
    Column("sort", Name, nullable=False),
    Column("columns", Text, nullable=False, server_default="[]", doc="JSON array: which fields a page shows"),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", Name, nullable=False),
    Index("uq_views_name", "owner", "name", unique=True),
)
"""Saved views of the list of jobs."""

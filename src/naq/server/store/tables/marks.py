"""What happened around the jobs, such as a deploy: lines on charts."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Table, Text

from naq.server.store.tables.base import Name, metadata

marks: Final = Table(
    "marks",
    metadata,
    Column("id", Name, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("kind", Name, nullable=False, doc="deploy, or another word that people choose"),
    Column("title", Text, nullable=False),
    Column("version", Name, nullable=False, server_default="", doc="of the code, where it is one of that"),
    Column("url", Text, nullable=False, server_default="", doc="where more about it is"),
    Column("made_by", Name, nullable=False, doc="a person or token; naq: seen by itself"),
    Index("ix_marks_at", "at", "id"),
)
"""Moments that people, or naq, have marked."""

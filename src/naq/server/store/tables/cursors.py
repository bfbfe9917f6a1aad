"""How far the event log has been read. Changed in the transaction of the rows that it stands for."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Table

from naq.server.store.tables.base import Name, metadata

cursors: Final = Table(
    "cursors",
    metadata,
    Column("name", Name, primary_key=True, doc="the log of a namespace"),
    Column("log", Name, nullable=False, doc="which log the cursor is of: changes when the log was made anew"),
    Column("cursor", Name, doc="NULL: the retained start"),
    Column("at", BigInteger, nullable=False, doc="of the event there"),
    Column("events", BigInteger, nullable=False, server_default="0", doc="read so far"),
    Column("invalid", BigInteger, nullable=False, server_default="0", doc="of those, refused"),
    Column("restarts", BigInteger, nullable=False, server_default="0", doc="how often the log was read anew"),
    Column("saved_at", BigInteger, nullable=False),
)
"""One row."""

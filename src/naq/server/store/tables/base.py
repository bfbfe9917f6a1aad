"""What all tables share: where they are collected, how constraints are called, how values are kept."""

from __future__ import annotations

from typing import Final

from sqlalchemy import MetaData, Text

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
#: Names and ids: compared byte by byte, as SQLite and Python do, whatever the database's language is.
Name: Final = Text().with_variant(Text(collation="C"), "postgresql")

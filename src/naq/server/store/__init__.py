"""The history in SQL: one schema on SQLite and PostgreSQL (docs/history.md)."""

from naq.server.store.engine import Store, open_store

__all__ = ["Store", "open_store"]

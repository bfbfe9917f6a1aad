"""How full a database is."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.server.store.address import read_url


async def size(connection: AsyncConnection, url: str) -> int:
    """Bytes that the database at `url` takes: on SQLite its file and its log, on PostgreSQL as the server counts."""
    path = file_of(url)
    if path is not None:
        return await asyncio.to_thread(lambda: sum(one.stat().st_size for one in _files(path) if one.exists()))
    return int((await connection.execute(text("SELECT pg_database_size(current_database())"))).scalar_one())


async def shares(connection: AsyncConnection, url: str, limit: int) -> dict[str, float]:
    """What share is used (0 to 1) of the ``database``, where it has a `limit` (bytes; 0: none), and of its ``disk``.

    The disk of a PostgreSQL is not ours to see: its `limit` stands for it.
    """
    found: dict[str, float] = {}
    if limit:
        found["database"] = await size(connection, url) / limit
    path = file_of(url)
    if path is not None:
        disk = await asyncio.to_thread(shutil.disk_usage, path.parent)
        # Of what is left to us: some file systems keep a part for root.
        found["disk"] = disk.used / (disk.used + disk.free)
    return found


def file_of(url: str) -> Path | None:
    """The file of a SQLite database; None: it is none."""
    read = read_url(url, is_async=False)
    if read.get_backend_name() != "sqlite":
        return None
    name = str(read.database)
    return Path(name.removeprefix("file:").partition("?")[0]).resolve()


def _files(path: Path) -> list[Path]:
    return [path, *(path.with_name(path.name + tail) for tail in ("-wal", "-shm"))]

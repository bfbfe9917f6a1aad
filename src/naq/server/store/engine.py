"""Connections to the history: short reads side by side, one writer at a time on SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from naq.exceptions import ConfigurationError, NaqConnectionError
from naq.server.store.address import read_url, shown

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

#: A host that vanished is noticed within some 15 s, not after the system's two hours.
_ALIVE: Final = {"keepalives_idle": 5, "keepalives_interval": 3, "keepalives_count": 3, "tcp_user_timeout": 15_000}
READERS: Final = 8  # connections at once: what is asked is short, and a core answers one at a time
PATIENCE: Final = 5.0  # seconds until a connection is given up, and that SQLite waits for whoever writes
CACHE: Final = 64 * 1024  # KiB of SQLite's pages kept by a writing connection: the inner pages of all indexes
READER_CACHE: Final = 16 * 1024  # KiB of a reading one
CHECKPOINT: Final = 4000  # pages of 4 KiB after which SQLite's log is put into the file: 16 MiB, not at every batch
LOG_LEFT: Final = 64 * 1024 * 1024  # bytes that SQLite's log may keep on disk after that


class Store:
    """A database that holds a history.

    Attributes:
        url: without its password.
        dialect: ``sqlite`` or ``postgresql``.
    """

    def __init__(self, url: str) -> None:
        """Raises ConfigurationError where `url` is none that can be used, or the extra is missing."""
        self._given = url
        self.url: Final = shown(url)
        self._reader, self._writer = _engines(url)
        self.dialect: Final[str] = self._reader.dialect.name

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection]:
        """A connection to ask with; everything in the block sees one state of the data on SQLite.

        Raises:
            NaqConnectionError: the database cannot be reached, or was lost meanwhile.
        """
        async with translated(self.url), self._reader.connect() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction, kept when the block ends; on SQLite the only one that writes.

        Raises:
            NaqConnectionError: the database cannot be reached, or was lost meanwhile; nothing was kept, but where it
                was lost while it committed, that is not known.
        """
        async with translated(self.url), self._writer.begin() as connection:
            yield connection

    async def close(self) -> None:
        """Close all connections; idempotent."""
        await self._reader.dispose()
        if self._writer is not self._reader:
            await self._writer.dispose()


@asynccontextmanager
async def translated(where: str) -> AsyncGenerator[None]:
    """Errors of drivers that mean a database which is away, as `NaqConnectionError`."""
    from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
    from sqlalchemy.exc import TimeoutError as NoConnection

    try:
        yield
    except (OperationalError, InterfaceError, NoConnection, ConnectionError) as error:
        raise NaqConnectionError(f"the database {where} cannot be reached: {_said(error)}") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise NaqConnectionError(f"the database {where} was lost: {_said(error)}") from error
        raise


async def open_store(url: str, *, upgrade: bool = True) -> Store:
    """The history in the database at `url`, its tables made or brought up to date first.

    Args:
        url: ``sqlite:///PATH`` or ``postgresql://USER:PASSWORD@HOST:PORT/NAME``.
        upgrade: False: refuse a database that is not up to date instead.

    Raises:
        ConfigurationError: the URL is none, its driver is missing, or the tables are those of another version.
        NaqConnectionError: the database cannot be reached.
    """
    from naq.server.store import schema

    store = Store(url)
    try:
        if upgrade:
            await asyncio.to_thread(schema.upgrade, url)
        else:
            await asyncio.to_thread(schema.check_current, url)
    except BaseException:
        await store.close()
        raise
    return store


def _said(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0][:300]


def _engines(text: str) -> tuple[AsyncEngine, AsyncEngine]:
    """What to read with, and what to write with."""
    try:
        from sqlalchemy.ext.asyncio import create_async_engine

        url = read_url(text, is_async=True)
        if url.get_backend_name() == "postgresql":
            made = create_async_engine(
                url, pool_size=READERS, max_overflow=2, pool_timeout=PATIENCE, pool_pre_ping=True,
                connect_args={"connect_timeout": int(PATIENCE), **_ALIVE},
            )  # fmt: skip
            # What is asked is short: compiling it (100 ms) costs ten times what it takes.
            _prepare(made, [], "SET LOCAL jit = off")
            return made, made
        options: dict[str, Any] = {"pool_timeout": PATIENCE, "connect_args": {"timeout": PATIENCE}}
        reader = create_async_engine(url, pool_size=READERS, max_overflow=0, **options)
        writer = create_async_engine(url, pool_size=1, max_overflow=0, **(options | {"pool_timeout": 30.0}))
    except ImportError as error:
        raise ConfigurationError(f'the server needs its libraries: pip install "naq[server]" ({error})') from error
    _make_folder(str(url.database))
    _prepare(reader, _reader_settings(), "BEGIN")
    _prepare(writer, _writer_settings(), "BEGIN IMMEDIATE")
    return reader, writer


def _make_folder(path: str) -> None:
    if not path.startswith("file:"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)


def _writer_settings() -> list[str]:
    # NORMAL: what a power cut takes from the file, the event log still has, and the cursor with it is the older one.
    return [
        "journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", f"cache_size = -{CACHE}",
        "temp_store = MEMORY", f"wal_autocheckpoint = {CHECKPOINT}", f"journal_size_limit = {LOG_LEFT}",
    ]  # fmt: skip


def _reader_settings() -> list[str]:
    return ["query_only = ON", f"cache_size = -{READER_CACHE}", "temp_store = MEMORY", "mmap_size = 268435456"]


def _prepare(engine: AsyncEngine, settings: list[str], begin: str) -> None:
    """Every connection of `engine` gets `settings` (SQLite's), and its transactions begin as we say."""
    from sqlalchemy import event

    def on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for setting in settings:
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()

    def on_begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    listen: Callable[..., None] = event.listen
    if settings:
        listen(engine.sync_engine, "connect", on_connect)
    listen(engine.sync_engine, "begin", on_begin)

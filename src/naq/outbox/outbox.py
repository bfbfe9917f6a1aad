"""An outbox: a table of yours in which jobs are rows until they are sent."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

from naq.exceptions import ConfigurationError
from naq.outbox.building import Built, build, build_sync, check_host
from naq.outbox.databases import Database, read_database
from naq.outbox.promise import promise
from naq.outbox.rows import Row, make_event_row
from naq.outbox.store import Store
from naq.outbox.tables import TABLE, check_table, make_table
from naq.outbox.writing import create, create_async, kind_of, write, write_async
from naq.task.direct import direct_call
from naq.task.task import Sender

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.backends.base import Backend
    from naq.events.publishing import EventType
    from naq.handle import Job
    from naq.outbox.hosted import Relaying
    from naq.task.call import Call

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
#: Seconds for which a relay has the rows that it took. When it dies, others take them after that.
LEASE: Final = 15.0
LEAST_LEASE: Final = 1.0


class Outbox:
    """Enqueues jobs of `app` inside SQL transactions: they are sent when the transaction is committed, else never.

    ::

        outbox = Outbox(app, "postgresql://shop@db/shop")

        with Session(engine) as session, session.begin():
            session.add(order)
            outbox.enqueue_sync(session, send_receipt, order.number)

        async with AsyncSession(engine) as session, session.begin():
            await outbox.enqueue(session, send_receipt.options(delay=60), order.number)

    What is handed in as the connection: a session or connection of SQLAlchemy, a connection of psycopg 3, sqlite3,
    aiosqlite or PyMySQL, or ``django.db.connection``. Committing is yours. Workers of the app send what is there.

    Args:
        app: whose tasks; its configuration says where jobs go.
        database: where relays find the table: a URL (``postgresql://``, ``sqlite:///``, ``mysql://``), an engine of
            SQLAlchemy, or ``django:default``. None: this program only enqueues.
        table: its name, with a schema in front if it is in one. Several apps may share it.
        relay: whether workers of this app relay; otherwise ``naq outbox relay`` does.
        notify: whether a commit in PostgreSQL tells relays at once (NOTIFY). Without, they look twice a second.
        lease: seconds after which other relays take over what one that died had taken, 1 or more; default 15.

    Raises:
        ConfigurationError: a name or value that cannot be.
    """

    def __init__(
        self,
        app: Naq,
        database: object = None,
        *,
        table: str = TABLE,
        relay: bool = True,
        notify: bool = True,
        lease: float = LEASE,
    ) -> None:
        if isinstance(lease, bool) or not lease >= LEAST_LEASE:
            raise ConfigurationError(f"Outbox: lease is {lease!r}; expected {LEAST_LEASE:g} seconds or more")
        self.app: Final = app
        self.table: Final = check_table(table)
        self.notify: Final = notify
        self.lease: Final = float(lease)
        self._given: Final = database
        if isinstance(database, str) and not database.startswith("django:"):
            read_database(database)  # what is wrong with it shows here; Django's settings are read when they are there
        self._relays: Final = relay and database is not None
        app.extensions.append(self)

    def __repr__(self) -> str:
        return f"<Outbox {self.table} of app {self.app.name!r}>"

    @property
    def database(self) -> Database:
        """Where the table is.

        Raises:
            ConfigurationError: it was not said, or cannot be.
        """
        if self._given is None:
            raise ConfigurationError(
                f"{self!r} does not know its database, so nothing can be relayed here: Outbox(app, 'postgresql://...')"
            )
        return read_database(self._given)

    async def enqueue(
        self,
        connection: Any,
        task: Sender[P, R] | Callable[P, Coroutine[Any, Any, R] | R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Job[R]:
        """Write one job that calls `task` with these arguments, in the transaction of `connection`.

        `task` may have options: ``send.options(delay=60)``; a delay counts from now. Or it is a function at the top of
        a module that the workers import (with options: ``queue.call(function, ...)``, for `enqueue_many`). What the
        broker alone knows is decided when the job is sent: whether there is one of its unique key or id already (then
        it is dropped), and when a rate lets it in.

        Raises:
            ConfigurationError: `connection` is none, or not awaited (`enqueue_sync`), or `task` cannot go this way.
            SerializationError: the arguments do not fit the task's parameters, or cannot be encoded.
            PayloadTooLarge: they, or the headers, are over the limit.
            Exception: whatever writing through `connection` raises.
        """
        return (await self.enqueue_many(connection, [self._call(task, args, kwargs)]))[0]

    def enqueue_sync(
        self,
        connection: Any,
        task: Sender[P, R] | Callable[P, Coroutine[Any, Any, R] | R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Job[R]:
        """`enqueue` through a connection that is not awaited."""
        return self.enqueue_many_sync(connection, [self._call(task, args, kwargs)])[0]

    async def enqueue_many(self, connection: Any, calls: Iterable[Call[R]]) -> list[Job[R]]:
        """Write many jobs in one go, ``[task.call(...), ...]``, of any tasks of the app; handles in the same order.

        Everything is checked and encoded before the first is written. They may wait for each other, and for jobs that
        were enqueued before, through this outbox or without it.

        Raises:
            Exception: as `enqueue`; a note says which call it was.
        """
        kind_of(connection, is_async=True)
        built = await build(self.app, calls)
        if rows := built.rows():
            await write_async(connection, self.table, rows, notify=self._notice)
        return self._handles(built)

    def enqueue_many_sync(self, connection: Any, calls: Iterable[Call[R]]) -> list[Job[R]]:
        """`enqueue_many` through a connection that is not awaited."""
        kind_of(connection, is_async=False)
        built = build_sync(self.app, calls)
        if rows := built.rows():
            write(connection, self.table, rows, notify=self._notice)
        return self._handles(built)

    async def publish(
        self, connection: Any, event: EventType[T], data: T, *, key: str = "", event_id: str | None = None
    ) -> str:
        """Write that `event` has happened, in the transaction of `connection`: as ``event.publish``, once committed.

        It has happened now, whenever it is sent. Returns its id.

        Raises:
            ConfigurationError: `connection` is none, or not awaited (`publish_sync`), or `event` is of another app.
            SerializationError, PayloadTooLarge: as ``event.publish``.
            Exception: whatever writing through `connection` raises.
        """
        kind_of(connection, is_async=True)
        row = self._event_row(event, data, key, event_id)
        await write_async(connection, self.table, [row], notify=self._notice)
        return row.job_id

    def publish_sync(
        self, connection: Any, event: EventType[T], data: T, *, key: str = "", event_id: str | None = None
    ) -> str:
        """`publish` through a connection that is not awaited."""
        kind_of(connection, is_async=False)
        row = self._event_row(event, data, key, event_id)
        write(connection, self.table, [row], notify=self._notice)
        return row.job_id

    async def create_table(self, connection: Any) -> None:
        """Make the table through `connection`, where there is none; also for migrations. Committing is yours."""
        await create_async(connection, self.table)

    def create_table_sync(self, connection: Any) -> None:
        """`create_table` through a connection that is not awaited: ``op.get_bind()``, ``schema_editor.connection``."""
        create(connection, self.table)

    def add_to(self, metadata: Any) -> Any:
        """The table as one of SQLAlchemy's in `metadata`, so that ``alembic revision --autogenerate`` sees it."""
        return make_table(metadata, self.table)

    async def flush(self) -> int:
        """Send what is there and due, here and now; how many jobs. For tests and scripts: workers do it by themselves.

        Raises:
            NaqException: the broker or the database cannot be reached.
        """
        from naq.outbox.hosted import flush

        return await flush(self, await self.app.connect())

    def store(self) -> Store:
        """The table, to look at and to act on; for one thread at a time."""
        return Store(self.database, self.table, self.app.config.namespace)

    def hosted(self, backend: Backend) -> Relaying | None:
        """The relay as a service of a worker, if workers are to relay.

        Raises:
            ConfigurationError: the driver of the database is not installed.
        """
        from naq.outbox.hosted import Relaying

        return Relaying(self, backend) if self._relays else None

    @property
    def _notice(self) -> str:
        return self.app.config.namespace if self.notify else ""

    def _call(self, task: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call[Any]:
        if isinstance(task, Sender):
            return cast("Sender[..., Any]", task).call(*args, **kwargs)
        if not callable(task):
            raise ConfigurationError(
                f"outbox.enqueue got {task!r} where a task is expected: outbox.enqueue(connection, task, *arguments)"
            )
        return direct_call(task, args, kwargs, self.app.config, host=self.app)

    def _event_row(self, event: EventType[T], data: T, key: str, event_id: str | None) -> Row:
        check_host(self.app, event.host, f"event {event.name}")
        return make_event_row(self.app.config.namespace, event.name, event.event(data, key=key, event_id=event_id))

    def _handles(self, built: Built) -> list[Any]:
        return [
            promise(spec.id, self.app, call, built.now) for call, spec in zip(built.calls, built.specs, strict=True)
        ]

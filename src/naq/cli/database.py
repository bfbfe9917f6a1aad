"""Commands that work on the server's database, whether or not a server runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from naq.config.server import ServerConfig

T = TypeVar("T")


def settings_of(db: str | None) -> ServerConfig:
    """The server's settings, with `db` as its database where it is given."""
    from naq.config.server import load_server

    return load_server({} if db is None else {"database": db})


def with_database(
    db: str | None, act: Callable[[AsyncConnection], Awaitable[T]], *, action: str = "", target: str = ""
) -> T:
    """What `act` returns, in a transaction on the database `db`, else that of the settings.

    Where it changes something, `action` (called as the API calls it) and `target` go into the audit log with it, unless
    it returns False: nothing was changed.
    """
    import asyncio

    from naq.server.store import open_store

    async def work() -> T:
        store = await open_store(settings_of(db).database)
        try:
            async with store.writing() as connection:
                done = await act(connection)
                changed: object = done
                if action and changed is not False:
                    await note(connection, action, target)
                return done
        finally:
            await store.close()

    return asyncio.run(work())


async def note(connection: AsyncConnection, action: str, target: str, *, before: object = None,
               after: object = None) -> None:  # fmt: skip
    """Write into the audit log what somebody at this terminal has changed, in the same transaction."""
    from naq.job import new_id
    from naq.limits.pauses import who
    from naq.server.access import audit
    from naq.server.access.roles import Identity

    identity, entry = Identity(name=who(), role="admin", how="off", key="cli"), new_id()
    await audit.begin(connection, entry=entry, identity=identity, address="", action=action, target=target,
                      request_id="cli")  # fmt: skip
    await audit.finish(connection, entry=entry, status=200, before=before, after=after)

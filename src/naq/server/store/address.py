"""What a database is called: URLs read, drivers chosen, secrets hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from naq.exceptions import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import URL

_DIALECTS: Final = {"sqlite": "sqlite", "postgresql": "postgresql", "postgres": "postgresql"}
_HOW: Final = "use sqlite:///PATH, or postgresql://USER:PASSWORD@HOST:PORT/NAME"


def read_url(text: str, *, is_async: bool) -> URL:
    """The database that `text` means, with the driver for async code or for sync code.

    Raises:
        ConfigurationError: it is none that the server can use.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(text)
    except ArgumentError as error:
        raise ConfigurationError(f"the database's URL cannot be read: {_HOW}") from error
    dialect = _DIALECTS.get(url.get_backend_name())
    if dialect is None:
        raise ConfigurationError(f"a database of kind {url.get_backend_name()[:40]!r} cannot be used: {_HOW}")
    if dialect == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if url.database in {None, "", ":memory:"}:
        raise ConfigurationError(f"a SQLite database in memory is seen by one connection only: {_HOW}")
    return url.set(drivername="sqlite+aiosqlite" if is_async else "sqlite+pysqlite")


def shown(text: str) -> str:
    """`text` without its password."""
    url = read_url(text, is_async=True)
    return url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)

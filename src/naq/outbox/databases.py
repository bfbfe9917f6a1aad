"""Where the relay finds the table: what it is told as a value, and connections made of that."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from naq.exceptions import ConfigurationError, NaqConnectionError
from naq.outbox.tables import Dialect, read_dialect

#: Seconds that connecting may take, and that SQLite waits for whoever writes.
PATIENCE: Final = 5
_DRIVERS: Final[Mapping[Dialect, tuple[str, str]]] = {
    "postgresql": ("psycopg", "psycopg, which naq[outbox] brings"),
    "sqlite": ("sqlite3", "a Python with sqlite3"),
    "mysql": ("pymysql", "PyMySQL: pip install pymysql"),
}
# What Django takes out of OPTIONS before libpq sees them.
_DJANGO: Final = frozenset({"pool", "isolation_level", "server_side_binding", "assume_role"})
_HOW: Final = (
    "expected a URL such as postgresql://user@host/db, sqlite:///shop.db or mysql://user@host/db, an engine of "
    "SQLAlchemy, or 'django:default'"
)


class Database(Struct, frozen=True):
    """A database to connect to.

    Attributes:
        dialect: which kind.
        where: what it is called in messages, without secrets.
        options: what its driver is called with.
    """

    dialect: Dialect
    where: str
    options: dict[str, Any]

    def driver(self) -> Any:
        """The driver's module.

        Raises:
            ConfigurationError: it is not installed.
        """
        name, needed = _DRIVERS[self.dialect]
        try:
            return importlib.import_module(name)
        except ImportError as error:
            raise ConfigurationError(f"the relay of the outbox in {self.where} needs {needed} ({error})") from error

    def connect(self) -> Any:
        """A connection in which every statement is a transaction of its own unless one is begun.

        Raises:
            ConfigurationError: its driver is not installed.
            NaqConnectionError: it cannot be reached.
        """
        driver = self.driver()
        try:
            return driver.connect(**self.options)
        except driver.Error as error:
            raise NaqConnectionError(f"the outbox's database {self.where} cannot be reached: {error}") from error


def read_database(given: object) -> Database:
    """The database that `given` means: a URL, an engine of SQLAlchemy, or ``django:ALIAS``.

    Raises:
        ConfigurationError: it means none.
    """
    if isinstance(given, Database):
        return given
    url = getattr(given, "url", None)
    if url is not None and hasattr(url, "render_as_string"):
        return _by_url(cast("str", url.render_as_string(hide_password=False)))
    if not isinstance(given, str):
        raise ConfigurationError(f"Outbox: database is {given!r}; {_HOW}")
    if given.startswith("django:"):
        return _of_django(given.removeprefix("django:"))
    return _by_url(given)


def _by_url(url: str) -> Database:
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ConfigurationError(f"Outbox: database is {url[:40]!r}; {_HOW}")
    dialect = read_dialect(scheme.partition("+")[0])  # postgresql+asyncpg: the relay has a driver of its own
    if dialect == "sqlite":
        path = unquote(rest.partition("?")[0]).removeprefix("/")
        if path in {"", ":memory:"}:
            raise ConfigurationError("Outbox: a SQLite database in memory is seen by one connection only; use a file")
        return _sqlite(path)
    # Where the host is a folder with a socket, libpq reads what urlsplit would not.
    parts = urlsplit(f"{dialect}://{rest}")
    name = unquote(parts.path.removeprefix("/"))
    where = f"{dialect}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}/{name}"
    if dialect == "postgresql":
        options: dict[str, Any] = {"conninfo": f"postgresql://{rest}"}
        return _postgres(where, options)
    options = {
        "host": parts.hostname,
        "port": parts.port,
        "user": None if parts.username is None else unquote(parts.username),
        "password": None if parts.password is None else unquote(parts.password),
        "database": name,
    }
    return _mysql(where, options)


def _of_django(alias: str) -> Database:
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.db import connections
        from django.utils.connection import ConnectionDoesNotExist
    except ImportError as error:
        raise ConfigurationError(f"Outbox: 'django:{alias}' needs Django ({error})") from error
    try:
        settings: dict[str, Any] = cast("Any", connections)[alias].settings_dict
    except (ImproperlyConfigured, ConnectionDoesNotExist) as error:  # settings that are missing, or an alias
        raise ConfigurationError(f"Outbox: there is no database {alias!r} in Django's settings: {error}") from error
    dialect = read_dialect(str(settings["ENGINE"]).rpartition(".")[2])
    if dialect == "sqlite":
        return _sqlite(str(settings["NAME"]))
    names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
    options: dict[str, Any] = {name: settings[key] for name, key in names.items() if settings.get(key)}
    options |= {name: value for name, value in settings.get("OPTIONS", {}).items() if name not in _DJANGO}
    where = f"{dialect}://{options.get('host', '')}/{settings['NAME']}"
    if dialect == "postgresql":
        return _postgres(where, {"dbname": settings["NAME"], **options})
    return _mysql(where, {**options, "port": int(options.get("port", 0)) or None, "database": settings["NAME"]})


def _postgres(where: str, options: dict[str, Any]) -> Database:
    # No prepared statements: a pooler between may give each transaction another server.
    fixed = {"autocommit": True, "connect_timeout": PATIENCE, "prepare_threshold": None}
    return Database("postgresql", where, {**options, **fixed})


def _sqlite(path: str) -> Database:
    # isolation_level None: transactions begin where we say so. One thread at a time uses it, not always the same.
    options = {"database": path, "isolation_level": None, "timeout": float(PATIENCE), "check_same_thread": False}
    return Database("sqlite", f"sqlite:{path}", options)


def _mysql(where: str, options: dict[str, Any]) -> Database:
    given = {name: value for name, value in options.items() if value is not None}
    # At READ COMMITTED InnoDB locks rows, and not the gaps between them, in which producers write.
    begin = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
    fixed = {"autocommit": True, "connect_timeout": PATIENCE, "init_command": begin}
    return Database("mysql", where, {**given, **fixed})

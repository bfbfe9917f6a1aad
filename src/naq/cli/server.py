"""``naq server``."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from naq.cli.common import DEFAULT, Common, read_config, refuse_memory, say
from naq.cli.logs import Format
from naq.cli.parameter import Parameter

if TYPE_CHECKING:
    from socket import socket


def server(
    *,
    host: str | None = None,
    port: int | None = None,
    db: Annotated[str | None, Parameter(name=["--db", "--database"])] = None,
    auth: Literal["off", "tokens", "proxy"] | None = None,
    path_prefix: str | None = None,
    insecure: bool = False,
    log_level: str = "info",
    log_format: Format | None = None,
    common: Common = DEFAULT,
) -> None:
    """Keep the history of all jobs in SQL, and serve it: REST API and live events.

    Listens on this machine alone. Refuses a public address without access control.

    Example: naq server
    Example: naq server --host 0.0.0.0 --auth tokens --db postgresql://naq@db/naq

    Args:
        host: The address to listen on. Default: 127.0.0.1.
        port: The port; 0 for a free one. Default: 8520.
        db: Where the history is kept. Default: sqlite:///.naq/server.db.
        auth: Who may do what: off, tokens (naq tokens create), or proxy.
        path_prefix: The path that a proxy puts before everything, such as /naq.
        insecure: Listen publicly though everybody would be admin.
        log_level: debug, info, warning or error.
        log_format: text or json. Default: text on a terminal, else json.
    """
    from naq.cli.logs import set_up
    from naq.config.server import load_server
    from naq.server.serve import serve
    from naq.worker.supervisor.membership import join

    link = join()
    set_up(log_level, log_format)
    config = read_config(common)
    refuse_memory(config)
    given = {"host": host, "port": port, "database": db, "auth": auth, "path_prefix": path_prefix}
    arguments: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if insecure:
        arguments["insecure"] = True

    def ready(address: str) -> None:
        say(f"naq server on {address}")
        if link is not None:
            _follow(link)

    serve(config, load_server(arguments), ready=ready)


def _follow(supervisor: socket) -> None:
    """Tell whoever started this process that it answers, and end when they do."""
    import asyncio
    import signal

    from naq.worker.supervisor.status import Status, line
    from naq.worker.vitals import Report

    loop = asyncio.get_running_loop()

    def left() -> None:
        loop.remove_reader(supervisor)
        signal.raise_signal(signal.SIGTERM)

    supervisor.sendall(line(Status(Report(live=True, ready=True, detail=""))))
    loop.add_reader(supervisor, left)

"""``naq dev``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from naq.cli.logs import Format
from naq.cli.parameter import Parameter


def dev(
    app: str | None = None,
    /,
    *,
    new: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    demo: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    memory: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    data: Path | None = None,
    broker_url: str | None = None,
    workers: int = 1,
    server: Annotated[bool, Parameter(name="--server", negative="--no-server")] = True,
    port: int | None = None,
    reload: Annotated[bool, Parameter(name="--reload", negative="--no-reload")] = True,
    log_level: str = "info",
    log_format: Format = "text",
) -> int:
    """Run a broker, a worker and a server here, and start the worker anew at each change.

    Finds the app in [tool.naq] app, tasks.py, app.py or main.py. Programs and
    commands that are started in the same folder use its broker by themselves.
    Ctrl-C or q ends everything that was started.

    Example: naq dev --new
    Example: naq dev shop.jobs:app --workers 2

    Args:
        app: Where the app is: module:attribute (tasks:app), a module that holds one app, or a file (tasks.py).
        new: Write a tasks.py to begin with, and run its first job.
        demo: Run the app of a small shop that comes with naq, on a broker that forgets everything.
        memory: Keep nothing: the broker's data go when it ends.
        data: The folder of the broker's data. Default: .naq
        broker_url: Use this broker and start none. Default: NAQ_BROKER_URL or [tool.naq], if it answers.
        workers: Worker processes.
        server: Keep the history of all jobs, and serve it on this machine: API and live events.
        port: The server's port; where others have it, the next free one. Default: 8520.
        reload: Start workers anew when a file of the program changes.
        log_level: debug, info, warning or error. Below info is nothing for each job.
        log_format: text or json.
    """
    from naq.cli.dev_session import Wishes, run_session

    return run_session(
        Wishes(
            app=app,
            new=new,
            demo=demo,
            memory=memory or (demo and data is None),
            data=data,
            broker_url=broker_url,
            workers=workers,
            server=server,
            port=port,
            reload=reload,
            log_level=log_level,
            log_format=log_format,
        )
    )

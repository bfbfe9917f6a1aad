"""``naq worker``."""

from __future__ import annotations

from typing import Annotated

from naq.cli.logs import Format
from naq.cli.parameter import Parameter


def worker(
    app: str | None = None,
    /,
    *,
    queues: Annotated[list[str] | None, Parameter(name=["--queues", "-q"], negative_iterable="")] = None,
    concurrency: Annotated[int | None, Parameter(name=["--concurrency", "-c"])] = None,
    name: str | None = None,
    shutdown_timeout: str | None = None,
    scheduler: bool | None = None,
    modules: Annotated[list[str] | None, Parameter(name=["--module", "-m"], negative_iterable="")] = None,
    broker_url: str | None = None,
    processes: int = 0,
    health_port: str | None = None,
    max_jobs: int = 0,
    max_memory: int = 0,
    reload: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    log_level: str = "info",
    log_format: Format | None = None,
    terse: Annotated[bool, Parameter(show=False)] = False,
    requests: Annotated[str | None, Parameter(show=False)] = None,
) -> int:
    """Claim jobs of an app and run them, until it is told to stop.

    Ctrl-C (or SIGTERM) once lets running jobs end and puts the rest back; twice stops now.
    A broker that is away is waited for.

    Example: naq worker tasks:app -q mail,reports -c 50

    Args:
        app: Where the app is: module:attribute (tasks:app), a module that holds one app, or a file (tasks.py).
            Default: app in [tool.naq].
        queues: Claim from these queues only (several: -q mail,reports). Default: those of the app's tasks.
        concurrency: Jobs at once. Default: the app's setting (20).
        name: What the worker is called. Default: host and process id.
        shutdown_timeout: How long running jobs may go on when it stops, such as 30s. Default: the app's setting (30s).
        scheduler: Keep schedules going while it works; --no-scheduler leaves that to others, such as naq scheduler.
            Default: the app's setting (yes).
        modules: Import this module first; its functions may be run too.
        broker_url: The broker, such as nats://127.0.0.1:4222. Default: the app's setting.
        processes: Worker processes, kept running by one more that starts, watches and replaces them. 0: this one only.
        health_port: Serve /live and /ready over HTTP here: 8081 (every interface) or 127.0.0.1:8081.
        max_jobs: End after about so many jobs, when running ones have ended; 0: never. See --processes.
        max_memory: The same when the worker holds more than so many MiB of memory; 0: never.
        reload: Start anew when a file of the program changes; for development.
        log_level: debug, info, warning or error. Below info is nothing for each job.
        log_format: text or json. Default: text on a terminal, else json.
        terse: Say in one line what was loaded, for whoever started this.
        requests: Enqueue what is written to this named pipe, for whoever started this.
    """
    from naq.cli.serve import Options, serve

    return serve(
        Options(
            app=app,
            queues=_split(queues),
            concurrency=concurrency,
            name=name,
            shutdown_timeout=shutdown_timeout,
            scheduler=scheduler,
            modules=_split(modules) or [],
            broker_url=broker_url,
            processes=processes,
            health=health_port,
            max_jobs=max_jobs,
            max_memory=max_memory,
            reload=reload,
            terse=terse,
            requests=requests,
            log_level=log_level,
            log_format=log_format,
        )
    )


def _split(values: list[str] | None) -> list[str] | None:
    """``-q a,b -q c`` as three names."""
    if values is None:
        return None
    return [part.strip() for value in values for part in value.split(",") if part.strip()]

"""A worker by the names of its queues; the same class takes an app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast, overload

from naq.app import Naq
from naq.backends.base import Backend, WorkerInfo
from naq.config.model import Seconds
from naq.exceptions import ConfigurationError
from naq.functional.workers import list_workers, list_workers_sync
from naq.task.naming import module_name
from naq.worker import Worker as AppWorker


class Worker(AppWorker):
    """Claims jobs from queues and runs them, until it is stopped. One worker, one `run`.

    ::

        await Worker(app, concurrency=50).run()                        # the tasks of an app
        await Worker(["mail", "default"], worker_name="mail-1").run()  # functions, by their import path

    Coroutine functions run on the event loop, plain functions in threads. A broker that is away is waited for.

    Args of a worker for queues:
        queues: which queues to claim from: a name, or several. Default: "default".
        nats_url: the broker; default: the setting `broker_url`.
        concurrency: jobs at once, from 1; default 20.
        worker_name: the first part of its id; default: host and process id.
        heartbeat_interval, worker_ttl: seconds between its signs of life (default 10), and after the last one until it
            is taken for gone (default 30).
        shutdown_timeout: seconds that `stop` lets running jobs go on; default 30.
        imports: modules whose public functions it may run, and nothing else. Default: those of the settings
            (``NAQ_IMPORTS``, ``imports`` in ``[tool.naq]``); where there are none, the script that makes it.
        health: where ``/live`` and ``/ready`` are served: a port on every interface, or ``HOST:PORT``. Default:
            nowhere.

    A worker for an app takes what `naq.worker.Worker` takes.

    Raises:
        ConfigurationError: a value that cannot be, or a module that cannot be imported.
    """

    @overload
    def __init__(
        self,
        app: Naq,
        *,
        queues: Sequence[str] | None = None,
        concurrency: int | None = None,
        name: str | None = None,
        shutdown_timeout: float | None = None,
        scheduler: bool | None = None,
        lease: float | None = None,
        imports: Sequence[str] = (),
        source: str | None = None,
        health: int | str | None = None,
        max_jobs: int = 0,
        max_memory: int = 0,
        backend: Backend | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        queues: str | Sequence[str] = "default",
        nats_url: str | None = None,
        concurrency: int | None = None,
        worker_name: str | None = None,
        heartbeat_interval: Seconds | None = None,
        worker_ttl: Seconds | None = None,
        shutdown_timeout: Seconds | None = None,
        *,
        imports: Sequence[str] | None = None,
        health: int | str | None = None,
    ) -> None: ...
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "app" in kwargs or (args and isinstance(args[0], Naq)):
            super().__init__(*args, **kwargs)
        else:
            self._for_queues(*args, **kwargs)

    def _for_queues(
        self,
        queues: str | Sequence[str] = "default",
        nats_url: str | None = None,
        concurrency: int | None = None,
        worker_name: str | None = None,
        heartbeat_interval: Seconds | None = None,
        worker_ttl: Seconds | None = None,
        shutdown_timeout: Seconds | None = None,
        *,
        imports: Sequence[str] | None = None,
        health: int | str | None = None,
    ) -> None:
        given = {
            "broker_url": nats_url,
            "concurrency": concurrency,
            "heartbeat_interval": heartbeat_interval,
            "worker_ttl": worker_ttl,
            "shutdown_timeout": shutdown_timeout,
        }
        app = Naq(**cast("Any", {name: value for name, value in given.items() if value is not None}))
        if imports is None:
            imports = () if app.config.imports else _script()
        names = [queues] if isinstance(queues, str) else list(queues)
        super().__init__(app, queues=names, name=worker_name, imports=imports, health=health)

    @staticmethod
    async def list_workers(nats_url: str | None = None) -> list[WorkerInfo]:
        """As `naq.list_workers`."""
        return await list_workers(nats_url)

    @staticmethod
    def list_workers_sync(nats_url: str | None = None) -> list[WorkerInfo]:
        """As `naq.list_workers_sync`."""
        return list_workers_sync(nats_url)


def _script() -> Sequence[str]:
    """The program's own module, where its functions have names that others can use."""
    main = "__main__"
    try:
        module_name(main)
    except ConfigurationError:  # an interactive session
        return ()
    return (main,)

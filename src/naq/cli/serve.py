"""A worker as a process: its event loop, its signals, what it prints, and the way it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from naq._version import __version__
from naq.app import Naq
from naq.cli.exits import Exit
from naq.cli.logs import Format, set_up
from naq.cli.text import counted
from naq.config.fields import hide_credentials, read_seconds
from naq.config.load import project_app
from naq.exceptions import ConfigurationError
from naq.worker import Worker
from naq.worker.loader import import_named, load_app
from naq.worker.supervisor.ledger import take
from naq.worker.supervisor.membership import Membership, join

if TYPE_CHECKING:
    from types import FrameType

log = logging.getLogger("naq.worker")

#: Task names shown when a worker starts; the rest is counted.
_SHOWN: Final = 12


class Options(NamedTuple):
    """What the command line said; see `naq.cli.worker.worker`."""

    app: str | None
    queues: list[str] | None
    concurrency: int | None
    name: str | None
    shutdown_timeout: str | None
    modules: list[str]
    broker_url: str | None
    log_level: str
    log_format: Format | None
    health: str | None = None
    processes: int = 0
    max_jobs: int = 0
    max_memory: int = 0
    reload: bool = False
    terse: bool = False
    requests: str | None = None
    scheduler: bool | None = None


def serve(options: Options) -> int:
    """Run a worker in this process until it is told to stop; the exit code."""
    form = set_up(options.log_level, options.log_format)
    link, ledger = join(), take()
    if options.reload and link is None:
        from naq.cli.reloading import run_reloading

        return run_reloading(options._replace(app=options.app or project_app(), terse=True), form)
    if options.processes and link is None:
        from naq.cli.supervise import supervise

        return supervise(options, form)
    worker = make_worker(options)
    worker.ledger = ledger
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        loop = runner.get_loop()
        signals = Signals(worker, loop, terse=options.terse)
        signals.install()  # before the runner looks: it leaves handlers alone that are not Python's own
        if link is not None:
            Membership(link, worker, loop).start()
        code = Exit.BUG
        try:
            ready = _introduce(worker, options, "json" if link is not None else form)
            runner.run(_serve(worker, ready, options.requests))
            code = Exit.INTERRUPTED if signals.count > 1 else Exit.DONE
        finally:
            signals.restore()
            if worker.left_behind:
                # Nothing can end them, and they would keep the process: whatever is theirs has been put back.
                log.warning("%d jobs did not even end when told; leaving them behind", worker.left_behind)
                logging.shutdown()
                os._exit(code)
    return code


async def _serve(worker: Worker, ready: Callable[[], None], requests: str | None) -> None:
    if requests is not None:
        from naq.cli.requests import Requests

        Requests(worker.app, Path(requests))
    running = asyncio.ensure_future(worker.run())
    started = asyncio.ensure_future(worker.wait_ready())
    try:
        await asyncio.wait([running, started], return_when=asyncio.FIRST_COMPLETED)
        if started.done() and not running.done():
            ready()
        await running
    finally:
        started.cancel()
        await worker.app.close()


def make_worker(options: Options) -> Worker:
    """The worker that `options` describe.

    Raises:
        ConfigurationError: they describe none; says what to do.
    """
    if options.broker_url is not None:
        os.environ["NAQ_BROKER_URL"] = options.broker_url  # read by the app that is about to be imported
    for module in options.modules:
        import_named(module)
    target = options.app if options.app is not None or options.modules else project_app()
    if target is not None:
        app = load_app(target)
    elif options.modules:
        app = Naq()
    else:
        raise ConfigurationError("naq worker needs an app: naq worker tasks:app (or -m with a module of functions)")
    if options.broker_url is not None and app.config.broker_url != options.broker_url:
        raise ConfigurationError(
            f"--broker-url says {hide_credentials(options.broker_url)}, but the app's code says "
            f"{hide_credentials(app.config.broker_url)}, and its jobs would go there; take broker_url out of the code"
        )
    return Worker(
        app,
        queues=options.queues,
        concurrency=options.concurrency,
        name=options.name,
        shutdown_timeout=None if options.shutdown_timeout is None else _seconds(options.shutdown_timeout),
        scheduler=options.scheduler,
        imports=options.modules,
        source=options.app,
        health=options.health,
        max_jobs=options.max_jobs,
        max_memory=options.max_memory,
    )


def _seconds(text: str) -> float:
    try:
        return read_seconds(text)
    except ValueError:
        raise ConfigurationError(
            f"--shutdown-timeout is {text!r}; write it as 30s, 2m or a number of seconds"
        ) from None


class Signals:
    """SIGINT and SIGTERM: once is `stop`, twice is now, a third time ends the process on the spot."""

    def __init__(self, worker: Worker, loop: asyncio.AbstractEventLoop, *, terse: bool = False) -> None:
        self.count = 0
        self._terse = terse  # whoever sends the first one has said so itself
        self._worker = worker
        self._loop = loop
        self._before: dict[int, object] = {}

    def install(self) -> None:
        """Take the signals over."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._arrived)

    def restore(self) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        self._before.clear()

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        # Counted here, where a blocked loop cannot keep it from being seen; acted on where the worker lives.
        self.count += 1
        if self.count > 2:
            os._exit(Exit.INTERRUPTED)
        self._loop.call_soon_threadsafe(self._stop, self.count, signal.Signals(number).name)

    def _stop(self, count: int, name: str) -> None:
        if count == 1:
            level = logging.DEBUG if self._terse else logging.INFO
            log.log(level, "%s: stopping (%d jobs run); once more stops now", name, self._worker.running)
        else:
            log.warning("%s again: stopping now (%d jobs run)", name, self._worker.running)
        self._worker.stop()


def _introduce(worker: Worker, options: Options, form: Format) -> Callable[[], None]:
    """Say who this is; what is returned says that it is ready."""
    url = hide_credentials(worker.config.broker_url)
    tasks = worker.tasks.names()
    where = options.app or ", ".join(options.modules) or project_app()
    if options.terse:
        return lambda: _introduce_briefly(worker, where, len(tasks))
    if form == "json":
        fields = {"worker": worker.id, "queues": worker.queues, "concurrency": worker.config.concurrency, "broker": url}
        log.info("naq %s: worker %s starts", __version__, worker.id, extra={"event": "starting", **fields})
        return lambda: log.info("ready", extra={"event": "ready", **fields})
    more = f"  and {len(tasks) - _SHOWN} more" if len(tasks) > _SHOWN else ""
    print(
        f"naq {__version__} · worker {worker.id} · {url}\n"
        f"app     {where} · {len(tasks)} task{'' if len(tasks) == 1 else 's'}"
        f"    queues  {', '.join(worker.queues)}    {worker.config.concurrency} jobs at once\n"
        f"tasks   {'  '.join(tasks[:_SHOWN]) or 'none registered'}{more}",
        file=sys.stderr,
        flush=True,
    )
    drains = f"Ctrl-C drains ({worker.config.shutdown_timeout:g} s), twice stops now"
    return lambda: print(f"ready — {drains}", file=sys.stderr, flush=True)


def _introduce_briefly(worker: Worker, where: str | None, tasks: int) -> None:
    """Say what was loaded, where somebody else has said the rest, and where jobs go if that is a surprise."""
    url, given = worker.config.broker_url, os.environ.get("NAQ_BROKER_URL", "")
    elsewhere = f" · its code names its broker: {hide_credentials(url)}" if given and url != given else ""
    log.info("ready: %s, %s%s", where, counted(tasks, "task"), elsewhere, extra={"event": "ready", "worker": worker.id})


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed: it does the same in half the time."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop

"""``naq worker --processes``: a process that runs no jobs and keeps those running that do."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from naq._version import __version__
from naq.cli.logs import Format
from naq.cli.serve import Options
from naq.exceptions import ConfigurationError
from naq.worker.health import HealthServer, listen
from naq.worker.supervisor.supervisor import Supervisor

log = logging.getLogger("naq.worker")


def supervise(options: Options, form: Format) -> int:
    """Run `options.processes` workers until told to stop; the exit code.

    Raises:
        ConfigurationError: a number that cannot be, a health port that is taken, or jobs in one process's memory.
    """
    if options.processes < 0:
        raise ConfigurationError(f"--processes is {options.processes}; expected a whole number, 1 or more")
    url = options.broker_url or os.environ.get("NAQ_BROKER_URL", "")
    if url.startswith("memory:"):
        raise ConfigurationError(f"--processes with {url}: each process would have jobs of its own; use a broker")
    return asyncio.run(_supervise(options, form))


async def _supervise(options: Options, form: Format) -> int:
    supervisor = Supervisor(lambda number: command(options, form, number), options.processes)
    health = (
        None if options.health is None else HealthServer(listen(options.health), supervisor.report, supervisor.numbers)
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _arrived, supervisor, number)
    _introduce(options, form, health)
    if health is not None:
        health.start()
    try:
        return await supervisor.run()
    finally:
        if health is not None:
            await health.stop()


def command(options: Options, form: Format, number: int) -> list[str]:
    """The command line of worker `number`."""
    said: list[str] = [] if options.app is None else [options.app]
    given = {
        "--queues": None if options.queues is None else ",".join(options.queues),
        "--concurrency": options.concurrency,
        "--name": None if options.name is None else f"{options.name}-{number}",
        "--shutdown-timeout": options.shutdown_timeout,
        "--broker-url": options.broker_url,
        "--max-jobs": options.max_jobs or None,
        "--max-memory": options.max_memory or None,
        "--log-level": options.log_level,
        "--log-format": form,
        "--requests": options.requests,
    }
    for name, value in given.items():
        if value is not None:
            said += [name, str(value)]
    if options.scheduler is not None:
        said.append("--scheduler" if options.scheduler else "--no-scheduler")
    if options.terse:
        said.append("--terse")
    for module in options.modules:
        said += ["--module", module]
    return [sys.executable, "-m", "naq", "worker", *said]


def _arrived(supervisor: Supervisor, number: int) -> None:
    log.info("%s: stopping %d worker processes", signal.Signals(number).name, len(supervisor.pids))
    supervisor.stop()


def _introduce(options: Options, form: Format, health: HealthServer | None) -> None:
    where = options.app or ", ".join(options.modules)
    port = 0 if health is None else health.port
    if form == "json":
        fields = {"event": "supervising", "app": where, "processes": options.processes, "health_port": port}
        log.info("naq %s: %d worker processes of %s", __version__, options.processes, where, extra=fields)
        return
    checks = f" · health on port {port}" if port else ""
    print(
        f"naq {__version__} · {options.processes} worker processes of {where}{checks}\nCtrl-C drains, twice stops now",
        file=sys.stderr,
        flush=True,
    )

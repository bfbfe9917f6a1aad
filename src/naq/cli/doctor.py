"""``naq doctor``."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import platform
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING

from naq._version import __version__
from naq.cli.common import DEFAULT, Common, read_config, talk
from naq.cli.findings import print_checks, worst
from naq.cli.views import Check
from naq.exceptions import NaqException

if TYPE_CHECKING:
    from naq.backends.base import Backend, QueueStats, WorkerInfo
    from naq.config import Config


def doctor(target: str | None = None, /, *, monitor_url: str | None = None, common: Common = DEFAULT) -> int:
    """Check everything and say what to do: versions, settings, the app, the broker, workers, queues.

    Exit code 1 if something is a problem.

    Example: naq doctor tasks:app

    Args:
        target: An app to check as well (the same as --app).
        monitor_url: The server's HTTP port, such as http://127.0.0.1:8222, to check how often it syncs to disk.
    """
    common = replace(common, app=target or common.app)
    checks = [Check(level="ok", text=_versions())]
    try:
        config = read_config(common)
        checks.append(Check(level="ok", text=f"the settings are good (namespace {config.namespace})"))
        queues = _app(common, checks)
        checks += _broker(config, queues, monitor_url)
    except NaqException as error:
        checks.append(Check(level="problem", text=str(error)))
    print_checks(checks, common)
    return worst(checks)


def _versions() -> str:
    parts = [f"Python {platform.python_version()}", f"naq {__version__}"]
    return ", ".join([*parts, f"msgspec {metadata.version('msgspec')}"])


def _app(common: Common, checks: list[Check]) -> list[str]:
    if common.app is None:
        return []
    from naq.worker.loader import load_app

    app = load_app(common.app)
    count = len(app.tasks)
    level = "ok" if count else "warning"
    advice = "" if count else "put @app.task on a function of a module that the app's module imports"
    checks.append(Check(level=level, text=f"{common.app} imports and has {count} tasks", advice=advice))
    return sorted({task.declared.queue for task in app.tasks.values()})


def _broker(config: Config, queues: list[str], monitor_url: str | None) -> list[Check]:
    from naq.cli.broker import look

    checks = look(config, queues, monitor_url=monitor_url)
    if worst(checks) or any("stream" in check.text and check.level != "ok" for check in checks):
        return checks  # opening it would make what is missing, and a check changes nothing

    async def ask(backend: Backend) -> tuple[list[WorkerInfo], list[QueueStats]]:
        return await backend.workers(), await backend.stats()

    workers, stats = talk(config, ask)
    return checks + _workers(workers) + _queues(workers, stats)


def _workers(workers: list[WorkerInfo]) -> list[Check]:
    if not workers:
        return [Check(level="warning", text="no worker runs", advice="start one: naq worker APP")]
    text = f"workers that run: {len(workers)}"
    others = sorted({worker.version for worker in workers} - {__version__})
    if others:
        text += f", some of naq {', '.join(others)} while this is {__version__}"
        return [Check(level="warning", text=text, advice="upgrade the workers before the producers")]
    return [Check(level="ok", text=text)]


def _queues(workers: list[WorkerInfo], stats: list[QueueStats]) -> list[Check]:
    checks: list[Check] = []
    for queue in stats:
        if queue.paused:
            text = f"queue {queue.queue} is paused with {queue.queued:,} jobs in it"
            checks.append(Check(level="warning", text=text, advice=f"naq queues resume {queue.queue}"))
        elif queue.queued and not any(queue.queue in worker.queues for worker in workers):
            text = f"queue {queue.queue}, on which no worker works, has waiting jobs: {queue.queued:,}"
            checks.append(Check(level="warning", text=text, advice=f"naq worker APP -q {queue.queue}"))
    return checks

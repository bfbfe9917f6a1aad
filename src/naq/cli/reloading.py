"""``naq worker --reload``: workers that are started anew when their code changes; and how that is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from naq.cli.common import say
from naq.cli.errors import UsageError
from naq.cli.exits import Exit
from naq.cli.logs import Format
from naq.cli.serve import Options
from naq.cli.supervise import command
from naq.config.fields import read_seconds
from naq.dev.tree import Stopped, Tree
from naq.dev.watch import Watch, can_watch
from naq.dev.workers import DRAIN, Workers

_SHOWN: Final = 3  # names of changed files; the rest is counted


def run_reloading(options: Options, form: Format) -> int:
    """Run `options.processes` workers (at least one) until told to stop; the exit code.

    Raises:
        UsageError: the library that sees changes is missing, or --health-port was given.
    """
    if not can_watch():
        raise UsageError('--reload needs watchfiles: pip install "naq[dev]"')
    if options.health is not None:
        raise UsageError("--reload is for development and serves no probes: leave out --health-port")
    drain = DRAIN if options.shutdown_timeout is None else read_seconds(options.shutdown_timeout)
    options = options._replace(shutdown_timeout=f"{drain:g}s")
    count = max(options.processes, 1)

    async def run() -> int:
        tree = Tree()
        workers = Workers(lambda number: command(options, form, number), count, drain=drain, say=say)

        async def body(tree: Tree) -> None:
            watch = Watch(Path.cwd())
            await tree.start(watch)
            await tree.start(workers)
            say("watching for changes — Ctrl-C stops")
            await watch_for(watch, workers)

        try:
            await tree.run(body)
        except Stopped as stopped:
            return Exit.DONE if stopped.asked == 1 else Exit.INTERRUPTED
        return Exit.DONE

    return asyncio.run(run())


async def watch_for(watch: Watch, workers: Workers, say: Callable[[str], None] = say) -> None:
    """Start `workers` anew whenever the program changes, and say so. Does not return."""
    while True:
        files = await watch.changed()
        began = time.monotonic()
        more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
        say(f"changed: {', '.join(files[:_SHOWN])}{more}")
        if await workers.reload():
            say(f"reloaded in {time.monotonic() - began:.1f} s")

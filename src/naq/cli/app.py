"""All commands by name, and what happens to their errors. A command's file is imported when it is the one asked for."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from naq._version import __version__
from naq.cli.exits import Exit, exit_for
from naq.cli.text import plain
from naq.exceptions import NaqException

if TYPE_CHECKING:
    from naq.cli.quick import Line

#: Where each command is, and what the list of all says of it: that list imports none of them.
COMMANDS: Final = {
    "dev": ("naq.cli.dev:dev", "Run a broker and a worker here, and start the worker anew at each change."),
    "init": ("naq.cli.init:init", "Write the files of a project: tasks, tests, Docker, CI."),
    "enqueue": ("naq.cli.enqueue:enqueue", "Enqueue a job, and wait for its result if asked to."),
    "worker": ("naq.cli.worker:worker", "Claim jobs of an app and run them, until it is told to stop."),
    "server": ("naq.cli.server:server", "Keep the history of all jobs in SQL, and serve it: API and live events."),
    "jobs": ("naq.cli.jobs:app", "Look at jobs, wait for them, cancel them, run them again."),
    "tokens": ("naq.cli.tokens:app", "Who may use the server's API: make tokens, list them, revoke them."),
    "errors": ("naq.cli.error_groups:app", "Errors by what they have in common: look, resolve, ignore."),
    "bulk": ("naq.cli.bulk:app", "What a server does to many jobs at once: look, break off."),
    "alerts": ("naq.cli.alerts:app", "What is watched, what is wrong, and who is told."),
    "channels": ("naq.cli.channels:app", "Who alerts are told to: list, make, change, remove."),
    "mark": ("naq.cli.marks:mark", "Mark a moment, such as a deploy, on the charts of the server."),
    "marks": ("naq.cli.marks:app", "Deploys and other moments that charts show: list them, remove one."),
    "openapi": ("naq.cli.openapi:openapi", "Print the OpenAPI document of the server's API."),
    "db": ("naq.cli.db:app", "The tables of the history: bring them up to date, compare them, prune them."),
    "schedules": ("naq.cli.schedules:app", "What runs again and again: look, make, change, pause, leave out."),
    "scheduler": ("naq.cli.scheduler:scheduler", "Keep schedules going without a worker; workers do it by themselves."),
    "outbox": ("naq.cli.outbox:app", "Jobs that are rows of a SQL database until they are sent: look, relay, retry."),
    "events": ("naq.cli.events:app", "Publish events, see them, and who handles them."),
    "queues": ("naq.cli.queues:app", "Look at queues, pause them, limit them, empty them."),
    "workers": ("naq.cli.workers:app", "See who works, and tell them to go."),
    "dead": ("naq.cli.dead:app", "Jobs that failed for good, and messages that are no jobs."),
    "tasks": ("naq.cli.tasks:app", "See what an app can do, and try it; pause a task."),
    "check": ("naq.cli.check:check", "Check an app before a deploy, and what waits against its code."),
    "top": ("naq.cli.top:top", "Watch queues, running jobs and failures, live."),
    "bench": ("naq.cli.bench:bench", "Measure what this broker and machine can do."),
    "job-control": ("naq.cli.job_control:job_control", "Choose a job and what to do with it."),
    "broker": ("naq.cli.broker:app", "Check the broker, see what naq makes on it, and run one."),
    "doctor": ("naq.cli.doctor:doctor", "Check everything and say what to do."),
    "config": ("naq.cli.config:app", "See the settings in force, and where each comes from."),
    "completion": ("naq.cli.completion:completion", "Print a script that completes naq's commands in a shell."),
    "version": ("naq.cli.version:version", "Print the versions of naq, Python and the libraries that matter."),
    "purge": ("naq.cli.old_names:purge", "Remove every waiting job of these queues (naq queues purge)."),
    "list-scheduled": ("naq.cli.old_names:list_scheduled", "List the jobs that wait for a time."),
    "list-workers": ("naq.cli.old_names:list_workers", "List the workers that run now (naq workers list)."),
}


def run(args: Sequence[str]) -> int:
    """Run the command that `args` name; its exit code. Errors are one line on stderr, with --debug a traceback."""
    debug = "--debug" in args
    args = _take_profile([arg for arg in args if arg != "--debug"])
    try:
        line = _read(args)
        if not gc.isenabled():  # as `naq.cli.main` has it while modules are imported: they are here to stay
            gc.freeze()
            gc.enable()
        result: object = line.function(*line.args, **line.kwargs)
        sys.stdout.flush()
    except NaqException as error:
        if debug:
            traceback.print_exc()
        _say(str(error))
        return exit_for(error)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
    except Exception as error:  # noqa: BLE001  the last stop: what nobody foresaw is shown whole, and named what it is
        traceback.print_exc()
        _say(f"this is a bug in naq {__version__}, please report it with the lines above ({type(error).__name__})")
        return exit_for(error)
    return result if isinstance(result, int) else Exit.DONE


def _take_profile(args: list[str]) -> list[str]:
    """``naq --profile NAME COMMAND``: for every command, those among them that have no such option."""
    match args:
        case ["--profile", name, *rest] if rest:
            os.environ["NAQ_PROFILE"] = name
            return rest
        case [first, *rest] if first.startswith("--profile=") and rest:
            os.environ["NAQ_PROFILE"] = first.removeprefix("--profile=")
            return rest
        case _:
            return args


def _read(args: Sequence[str]) -> Line:
    """The command that `args` name, and what to call it with."""
    if "--help" not in args:  # what nothing but the library answers need not be tried
        from naq.cli import quick

        if (line := quick.read({name: place for name, (place, _) in COMMANDS.items()}, args)) is not None:
            return line
    from naq.cli import parser

    return parser.parse(COMMANDS, args)


def _say(text: str) -> None:
    lines = "\n".join(plain(line) for line in text.strip().splitlines())  # errors may quote what a broker sent
    print(f"naq: {lines}", file=sys.stderr)

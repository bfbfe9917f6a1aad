"""``naq __complete``: names that only the broker knows, for the scripts of ``naq completion``.

A key was pressed and somebody waits: it takes a second at most, starts no server, imports no program that the command
line does not name, and whatever goes wrong, it says nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.config import Config

#: Seconds after which what is not known yet is not said.
_PATIENCE: Final = 1.0
#: Names that are offered: more than anybody reads.
_MOST: Final = 200

_FINAL: Final = ("succeeded", "failed", "cancelled", "expired")
_WAITING: Final = ("scheduled", "blocked", "queued", "retrying")
_STATES: Final = (*_WAITING, "running", *_FINAL)
#: Which jobs a command can do something with; of those that are not here, all.
_JOBS: Final = {
    "cancel": (*_WAITING, "running"),
    "wait": (*_WAITING, "running"),
    "follow": (*_WAITING, "running"),
    "why": (*_WAITING, "running"),
    "retry": ("failed", "cancelled", "expired"),
    "run-now": ("scheduled", "retrying"),
    "delete": _FINAL,
    "result": _FINAL,
}
#: What the words after a command name: by group and command ("" for those of a group that are not here), place by
#: place; the last goes on. "" is nothing that the broker knows.
_PLACES: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("jobs", ""): ("job",),
    ("jobs", "list"): (),
    ("jobs", "export"): (),
    ("jobs", "download"): ("job", ""),
    ("queues", ""): ("queue",),
    ("queues", "list"): (),
    ("queues", "move"): ("queue", "queue", ""),
    ("workers", ""): ("worker",),
    ("workers", "list"): (),
    ("dead", ""): ("letter",),
    ("dead", "list"): (),
    ("schedules", ""): ("schedule", ""),
    ("schedules", "list"): (),
    ("schedules", "create"): ("", "task", ""),
    ("tasks", "show"): ("task", "task", ""),
    ("tasks", "run"): ("task", "task", ""),
    ("enqueue", ""): ("task", ""),
    ("purge", ""): ("queue",),
    ("job-control", ""): ("job", ""),
}
_ALONE: Final = frozenset(group for group, _ in _PLACES if (group, "list") not in _PLACES and group != "tasks")
_OPTIONS: Final = {"--queue": "queue", "--queues": "queue", "--task": "task", "--after": "job", "--state": "state"}
#: Options that stand alone; each of the others takes the word behind it.
_FLAGS: Final = frozenset(
    {
        "--json",
        "--quiet",
        "-q",
        "--iso",
        "--yes",
        "-y",
        "--force",
        "--dry-run",
        "--wait",
        "-w",
        "--follow",
        "-f",
        "--all",
    }
    | {"--now", "--due", "--tree", "--debug", "--new", "--demo", "--memory", "--reload", "--no-reload", "--sources"}
)


def complete(args: Sequence[str]) -> NoReturn:
    """Print what may stand at word ``args[0]`` of the command line ``args[1:]``, one a line, and end the process."""
    # Whatever may be wrong here (settings, broker, somebody's program), nobody asked to be told about it now.
    with contextlib.suppress(Exception), contextlib.redirect_stderr(io.StringIO()):
        at, words = int(args[0]), list(args[1:])
        begin = words[at] if at < len(words) else ""
        for name in sorted(set(_names(_whole(words[1:at]))))[:_MOST]:
            if name.startswith(begin):
                print(name)
        sys.stdout.flush()
    # The connection is not closed in order, and nothing else is: that would take longer than the answer.
    os._exit(0)


def wanted(words: Sequence[str]) -> tuple[str, str]:
    """What kind of name comes after `words` ("" for none), and the command that it is for."""
    if not words:
        return "", ""
    if words[-1].removesuffix("=") in _OPTIONS:
        return _OPTIONS[words[-1].removesuffix("=")], ""
    if words[-1].endswith((":", "=")):
        return "", ""  # within a word
    plain: list[str] = []
    for before, word in zip(("", *words), words, strict=False):
        takes = before.startswith("-") and before not in _FLAGS and "=" not in before
        if not (word.startswith("-") or takes):
            plain.append(word)
    last = words[-1]
    if not plain or (last.startswith("-") and last not in _FLAGS and "=" not in last):
        return "", ""  # the value of an option
    group = plain.pop(0)
    command = "" if group in _ALONE else plain.pop(0) if plain else None
    if command is None:
        return "", ""
    places = _PLACES.get((group, command), _PLACES.get((group, ""), ()))
    return (places[min(len(plain), len(places) - 1)] if places else ""), command


def _whole(words: Sequence[str]) -> list[str]:
    """`words` as they were typed: bash takes them apart at ":" and "="."""
    whole: list[str] = []
    for word in words:
        glued = whole and (word in {":", "="} or whole[-1].endswith((":", "=")))
        whole[len(whole) - bool(glued) :] = [f"{whole[-1]}{word}" if glued else word]
    return whole


def _names(words: list[str]) -> list[str]:
    kind, command = wanted(words)
    if kind == "state":
        return list(_STATES)
    if not kind:
        return []
    app = _value(words, "--app") or _value(words, "-A")
    if kind == "task" and words[0] == "tasks":
        from naq.worker.loader import load_app

        target = app or (words[2] if len(words) > 2 else "")
        return list(load_app(target).tasks) if target else []
    config = _config(words, app)
    return asyncio.new_event_loop().run_until_complete(_ask(config, kind, command)) if _runs(config) else []


def _config(words: Sequence[str], app: str) -> Config:
    """As `naq.cli.common.read_config`, without the parser of options, which takes longest to import."""
    if profile := _value(words, "--profile"):
        os.environ["NAQ_PROFILE"] = profile
    given = {name: _value(words, f"--{name.replace('_', '-')}") for name in ("broker_url", "namespace")}
    if not app:
        from naq.config.load import load_from

        return load_from({name: value for name, value in given.items() if value})
    from naq.worker.loader import load_app

    return load_app(app).config


def _value(words: Sequence[str], option: str) -> str:
    """The value of `option`, "" where it is not given."""
    for word, after in zip(words, (*words[1:], ""), strict=True):
        if word == option:
            return after
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return ""


def _runs(config: Config) -> bool:
    """Whether there may be a broker to ask: none is started for this."""
    if not config.broker_url.startswith("embedded:"):
        return not config.broker_url.startswith("memory:")
    from naq.backends.nats.broker.embedded.locks import open_alive
    from naq.config.running import FOLDER

    alive = open_alive(Path(config.broker_url.removeprefix("embedded:") or FOLDER).resolve() / "nats")
    if alive is not None:
        os.close(alive)
    return alive is not None


async def _ask(config: Config, kind: str, command: str) -> list[str]:
    from naq.backends import from_url

    async with asyncio.timeout(_PATIENCE):
        backend = from_url(config)
        await backend.open(wait=_PATIENCE)
        return await _look(backend, kind, command)


async def _look(backend: Backend, kind: str, command: str) -> list[str]:
    match kind:
        case "queue":
            return [stats.queue for stats in await backend.stats()]
        case "worker":
            return [worker.id for worker in await backend.workers()]
        case "task":
            return [name for worker in await backend.workers() for name in worker.tasks]
        case "letter":
            return [letter.id for letter in await backend.dead(limit=_MOST)]
        case "schedule":
            from naq.scheduler.planner import KIND

            return [entry.key for entry in await backend.entries(KIND)]
        case _:
            from naq.job import JobState

            states = [JobState(name) for name in _JOBS.get(command, ())]
            return [record.id for record in await backend.jobs(states=states, limit=_MOST)]

"""Which app ``naq dev`` runs, and on which broker: what was said, what is found, or what a person answers."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final, NamedTuple, cast
from urllib.parse import urlsplit

from naq.backends.nats.broker.binary import find_binary
from naq.cli.common import say
from naq.cli.errors import UsageError
from naq.cli.logs import Format
from naq.config.fields import hide_credentials
from naq.config.load import given_settings, load_config, project_app
from naq.config.running import FOLDER, SOURCE
from naq.dev.alone import NoBroker
from naq.dev.broker import FolderBroker, GivenBroker, PassingBroker
from naq.dev.find import FILES, find_apps
from naq.dev.new import APP, write_tasks
from naq.exceptions import ConfigurationError, NaqConnectionError

DEMO_APP: Final = "naq.dev.shop:app"
#: Seconds in which a broker of somebody else's must take a connection.
_ANSWERS: Final = 2.0
_PORT: Final = 4222
_ALONE: Final = (
    "Until then there is one worker, and its jobs live in its memory: other programs cannot enqueue (the key e can), "
    "naq's commands see nothing, and what waits or runs is lost when the worker is started anew, as at each change"
)

Broker = FolderBroker | GivenBroker | PassingBroker | NoBroker


class Wishes(NamedTuple):
    """What the command line said; see `naq.cli.dev.dev`."""

    app: str | None
    new: bool
    demo: bool
    memory: bool
    data: Path | None
    broker_url: str | None
    workers: int
    server: bool
    port: int | None
    reload: bool
    log_level: str
    log_format: Format


def check(wishes: Wishes) -> None:
    """Refuse what does not go together.

    Raises:
        UsageError: it does not; says what to leave out.
    """
    if wishes.workers < 1:
        raise UsageError(f"--workers is {wishes.workers}; expected 1 or more")
    if wishes.port is not None and not 0 <= wishes.port <= 65535:
        raise UsageError(f"--port is {wishes.port}; expected 0 (any that is free) to 65535")
    if wishes.demo and (wishes.new or wishes.app):
        raise UsageError("--demo runs an app of its own: leave out --new and the name of another")
    if wishes.new and wishes.app:
        raise UsageError(f"--new writes the app to run (tasks.py): leave out {wishes.app}, or --new")
    places = {
        "--broker-url": wishes.broker_url is not None,
        "--data": wishes.data is not None,
        "--memory": wishes.memory and not wishes.demo,
    }
    given = [name for name, is_given in places.items() if is_given]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} each say where jobs are kept: choose one")


def choose_app(wishes: Wishes, folder: Path) -> tuple[str, bool]:
    """The app to run, and whether it has just been written.

    Raises:
        UsageError: there are several or none, and nobody to ask; says what to add.
        ConfigurationError: tasks.py is in the way of --new.
    """
    if wishes.demo:
        return DEMO_APP, False
    if wishes.app is not None:
        return wishes.app, False
    found = [app] if (app := project_app()) is not None else find_apps(folder)
    if len(found) > 1:
        return _pick(found), False
    if found:
        if wishes.new:
            say(f"there is an app already: {found[0]}; --new wrote nothing")
        return found[0], False
    if wishes.new or _agrees_to_write():
        write_tasks(folder)
        return APP, True
    raise UsageError("no app, nothing to run: naq dev --new, naq dev MODULE:APP, or naq dev --demo")


def _is_attended() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ask(question: str) -> str:
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _pick(found: list[str]) -> str:
    if not _is_attended():
        raise UsageError(f"there are several apps; say which: {' or '.join(f'naq dev {app}' for app in found)}")
    for number, app in enumerate(found, 1):
        say(f"  {number}  {app}")
    while True:
        answer = _ask(f"Which app? [1-{len(found)}] ")
        if answer in found:
            return answer
        if answer.isdecimal() and 1 <= int(answer) <= len(found):
            return found[int(answer) - 1]
        if not answer:
            raise UsageError("no app was chosen")


def _agrees_to_write() -> bool:
    if not _is_attended():
        raise UsageError(
            f"there is no app here (looked for app = Naq() in {', '.join(FILES)}, and for app in [tool.naq]): "
            "naq dev --new writes one, naq dev MODULE:APP takes one that is elsewhere, naq dev --demo shows one"
        )
    return _ask("There is no app here. Write tasks.py to begin with? [Y/n] ").lower() in {"", "y", "yes"}


async def choose_broker(wishes: Wishes) -> Broker:
    """The broker to run on, not started yet.

    Raises:
        ConfigurationError: jobs of ``memory:`` cannot be shared with a worker process.
        NaqConnectionError: the one that --broker-url names does not answer.
    """
    if not wishes.memory and wishes.data is None:
        source, url = _asked_for(wishes)
        if url.startswith("memory:"):
            raise ConfigurationError(
                f"{source} says {url}: naq dev runs workers as processes of their own, which would not see the jobs; "
                "leave it out (--memory keeps nothing on disk either)"
            )
        if url.startswith("embedded:"):
            return FolderBroker(Path(url.removeprefix("embedded:") or FOLDER), load_config().durability)
        if url:
            if await _answers(url):
                return GivenBroker(url)
            what = f"{source} says {hide_credentials(url)}, where nothing answers"
            if wishes.broker_url is not None:
                raise NaqConnectionError(f"{what}: start that broker, or leave --broker-url out for one of naq's own")
            say(f"{what}: running a broker of naq's own instead")
    try:
        find_binary()
    except ConfigurationError as error:
        if wishes.data is not None:
            raise
        say(f"WARNING: {error}\n{_ALONE}")
        return NoBroker(Path.cwd())
    return PassingBroker() if wishes.memory else FolderBroker(wishes.data or Path(FOLDER), load_config().durability)


def _asked_for(wishes: Wishes) -> tuple[str, str]:
    """Who says where the broker is, and where; "" if nobody does."""
    if wishes.broker_url is not None:
        load_config(broker_url=wishes.broker_url)  # refuses what is none
        return "--broker-url", wishes.broker_url
    source, url = given_settings({}).get("broker_url", (SOURCE, ""))
    return ("", "") if source == SOURCE else (source, cast("str", url))


async def _answers(url: str) -> bool:
    """Whether one of the servers that `url` names takes a connection."""
    for each in url.split(","):
        server = urlsplit(each.strip())
        try:
            async with asyncio.timeout(_ANSWERS):
                _, writer = await asyncio.open_connection(server.hostname or "", server.port or _PORT)
        except (OSError, TimeoutError):
            continue
        writer.close()
        return True
    return False

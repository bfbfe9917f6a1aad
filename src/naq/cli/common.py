"""What every command that talks to a broker takes: where the jobs are, and how to print."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from naq.cli.errors import UsageError
from naq.cli.parameter import Parameter, spread
from naq.exceptions import ConfigurationError

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.config import Config

T = TypeVar("T")

#: Seconds a command waits for the broker at most; a person is waiting (a worker waits for as long as it takes).
PATIENCE: Final = 5.0


@spread
@dataclass(frozen=True)
class Common:
    """Options of every command that asks a broker."""

    app: Annotated[str | None, Parameter(name=["--app", "-A"])] = None
    """Take the settings of this app, such as tasks:app."""
    broker_url: str | None = None
    """The broker, such as nats://127.0.0.1:4222. Default: NAQ_BROKER_URL, else [tool.naq], else this one."""
    namespace: str | None = None
    """The namespace of the jobs; an app's is its name. Default: NAQ_NAMESPACE, else [tool.naq], else "default"."""
    profile: str | None = None
    """Take the settings of [tool.naq.profiles.NAME]. Default: NAQ_PROFILE."""
    json: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Print one JSON document."""
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="", show_default=False)] = False
    """Print ids or names only, one a line."""
    iso: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Print times as ISO 8601 in UTC instead of "3 min ago"."""


DEFAULT: Final = Common()


@spread
@dataclass(frozen=True)
class Consent:
    """Options of commands that destroy something."""

    yes: Annotated[bool, Parameter(name=["--yes", "-y", "--force"], negative="", show_default=False)] = False
    """Do not ask."""
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Say what would be done, and do nothing."""


ASK: Final = Consent()


def read_config(common: Common) -> Config:
    """The settings that `common` asks for.

    Raises:
        ConfigurationError: they are wrong, or the jobs are where no command can see them.
    """
    if common.profile is not None:
        os.environ["NAQ_PROFILE"] = common.profile  # read wherever settings are, that of an app among them
    given = {"broker_url": common.broker_url, "namespace": common.namespace}
    given = {name: value for name, value in given.items() if value is not None}
    if common.app is None:
        from naq.config.load import load_from

        return load_from(given)
    for name, value in given.items():
        os.environ[f"NAQ_{name.upper()}"] = value  # read by the app that is about to be imported
    from naq.config.fields import hide_credentials
    from naq.worker.loader import load_app

    config = load_app(common.app).config
    for name, value in given.items():
        if getattr(config, name) != value:
            raise ConfigurationError(
                f"--{name.replace('_', '-')} says {hide_credentials(value)!r}, but the code of {common.app} says "
                f"{hide_credentials(getattr(config, name))!r}; take one of them back"
            )
    return config


def ask(common: Common, act: Callable[[Backend], Awaitable[T]]) -> T:
    """What `act` returns, given the backend, open; closed afterwards."""
    return talk(read_config(common), act)


def talk(config: Config, act: Callable[[Backend], Awaitable[T]]) -> T:
    """As `ask`, with settings that are known already."""
    import asyncio

    refuse_memory(config)
    return asyncio.run(_talk(config, act))


def refuse_memory(config: Config) -> None:
    """Say why nothing would be found, where jobs live in the memory of one process.

    Raises:
        ConfigurationError: they do.
    """
    if config.broker_url.startswith("memory:"):
        raise ConfigurationError(
            f"jobs of {config.broker_url!r} live in the process that made them, where no command can see them; "
            "use --broker-url nats://HOST:4222, or embedded:.naq for a broker of naq's own"
        )


async def _talk(config: Config, act: Callable[[Backend], Awaitable[T]]) -> T:
    from naq.backends import from_url

    backend = from_url(config)
    try:
        await backend.open(wait=None if config.broker_url.startswith("embedded:") else patience(config))
        return await act(backend)
    finally:
        await backend.close()


def patience(config: Config) -> float:
    """Seconds to wait for the broker."""
    return min(config.connect_timeout, PATIENCE)


def agree(consent: Consent, question: str) -> bool:
    """Whether to go on: `--yes`, or a person at a terminal says so.

    Raises:
        UsageError: nobody can be asked; names the flag to add.
    """
    if consent.yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{question} Nobody is here to ask: add --yes (or --dry-run to look first)")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def say(text: str) -> None:
    """Talk: a line on stderr, so that stdout holds nothing but data."""
    print(text, file=sys.stderr, flush=True)

"""``naq jobs logs``: the log lines kept with a job."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Struct

from naq.cli.common import DEFAULT, Common, read_config, say, talk
from naq.cli.errors import UsageError
from naq.cli.jobs import get
from naq.cli.output import moment
from naq.cli.parameter import Parameter
from naq.cli.text import plain
from naq.inside.reading import logs as read_logs
from naq.logs import LEVELS

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.inside.notes import Line


class LineView(Struct, frozen=True, kw_only=True):
    """A log line of a job: ``naq jobs logs``."""

    at: datetime | None
    level: str
    logger: str
    text: str
    run: int
    attempt: int


def logs(
    job_id: str,
    /,
    *,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="", show_default=False)] = False,
    tail: Annotated[int | None, Parameter(name=["--tail", "-n"])] = None,
    level: str = "debug",
    common: Common = DEFAULT,
) -> None:
    """Print the log lines kept with a job, all its attempts. With --json one JSON object a line.

    Example: naq jobs logs 01JC4N9W2V --follow

    Args:
        job_id: The job.
        follow: Also those to come, until it has ended.
        tail: Only the last so many.
        level: Only from this level on: debug, info, warning, error.
    """
    if level.lower() not in LEVELS:
        raise UsageError(f"--level is {level!r}; use one of {', '.join(LEVELS)}")
    least, config = logging.getLevelNamesMapping()[level.upper()], read_config(common)

    async def act(backend: Backend) -> bool:
        from naq.connections import Held

        await get(backend, job_id)  # says so where there is no such job
        attempt = 0
        async for line in read_logs(Held(backend, config), job_id, follow=follow, tail=tail):
            if logging.getLevelNamesMapping().get(line.level, logging.INFO) < least:
                continue
            if attempt not in {0, line.attempt} and not common.json and not common.quiet:
                print(f"── attempt {line.attempt} ──", flush=True)
            attempt = line.attempt
            print(_shown(line, common), flush=True)
        return attempt > 0

    if not talk(config, act):
        say("it has no log lines" if least <= logging.DEBUG else f"it has no log lines from level {level.lower()} on")


def _shown(line: Line, common: Common) -> str:
    at = moment(line.at)
    if common.json:
        view = LineView(at=at, level=line.level, logger=line.logger, text=line.text, run=line.run, attempt=line.attempt)
        return msgspec.json.encode(view).decode()
    first, *rest = line.text.split("\n")  # a traceback keeps its lines
    text = "\n".join([plain(first), *(f"    {plain_indented(each)}" for each in rest)])
    if common.quiet:
        return text
    when = "" if at is None else at.isoformat().replace("+00:00", "Z") if common.iso else f"{at.astimezone():%H:%M:%S}"
    return f"{when}  {plain(line.level):7}  {plain(line.logger)}  {text}"


def plain_indented(text: str) -> str:
    """`text` as `plain` makes it, with its indentation."""
    body = text.lstrip(" ")
    return " " * (len(text) - len(body)) + plain(body)

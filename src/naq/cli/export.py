"""``naq jobs export``: jobs as JSON lines."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common and naq.cli.filters

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from naq.cli.common import DEFAULT, Common, read_config, say, talk
from naq.cli.errors import UsageError
from naq.cli.filters import ALL, NONE, Filter, find, read, say_nothing_fits
from naq.cli.jobs import view
from naq.cli.parameter import Parameter
from naq.cli.progress import Progress
from naq.cli.text import counted

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.job import JobRecord

_CHUNK = 1000  # lines written together: some 500 KB, and a step of the bar

Output = Annotated[Path | None, Parameter(name=["--output", "-o"])]


def export(
    *,
    which: Filter = NONE,
    output: Output = None,
    limit: Annotated[int, Parameter(name=["--limit", "-n"])] = ALL,
    common: Common = DEFAULT,
) -> None:
    """Write jobs as JSON lines, each as `naq jobs show --json` prints it, the newest first.

    Example: naq jobs export --state failed -o failed.jsonl

    Args:
        output: The file. Default: stdout.
        limit: At most so many. Default: all that are kept.
    """
    config, wanted = read_config(common), read(which)

    async def act(backend: Backend) -> list[JobRecord]:
        found = await find(backend, config, wanted, limit=limit)
        if not found and which.given:
            await say_nothing_fits(backend, wanted)
        return found

    found = talk(config, act)
    write_lines((view(record, config) for record in found), len(found), output, what="job")


def write_lines(rows: Iterable[Any], total: int, output: Path | None, *, what: str) -> None:
    """Write `rows` as JSON lines to `output`, or to stdout; the file appears when it is whole.

    Raises:
        UsageError: it cannot be written.
    """
    with Progress("exporting", total=total) as progress:
        if output is None:
            for chunk in _chunks(rows):
                sys.stdout.write(_lines(chunk).decode())
                progress.add(len(chunk))
            return
        part = output.with_name(f".{output.name}.part")
        try:
            with part.open("wb") as file:
                for chunk in _chunks(rows):
                    file.write(_lines(chunk))
                    progress.add(len(chunk))
            part.replace(output)
        except OSError as error:
            raise UsageError(f"{output} cannot be written: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)
    say(f"{counted(total, what)} written to {output}")


def _lines(rows: Sequence[Any]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def _chunks(rows: Iterable[Any]) -> Iterable[list[Any]]:
    chunk: list[Any] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk

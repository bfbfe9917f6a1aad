"""``naq jobs artifacts`` and ``naq jobs download``: the files kept with a job."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Struct

from naq.cli.common import DEFAULT, Common, read_config, say, talk
from naq.cli.errors import NotFoundError, UsageError
from naq.cli.jobs import get
from naq.cli.output import Column, ago, moment, print_rows
from naq.cli.parameter import Parameter
from naq.config.suggest import hint
from naq.inside.reading import Artifact
from naq.inside.reading import artifacts as read_artifacts

if TYPE_CHECKING:
    from naq.backends.base import Backend


class ArtifactView(Struct, frozen=True, kw_only=True):
    """A file kept with a job: ``naq jobs artifacts``."""

    name: str
    type: str
    size: int
    sha256: str
    at: datetime | None
    attempt: int


def artifacts(job_id: str, /, *, common: Common = DEFAULT) -> None:
    """List the files kept with a job.

    Example: naq jobs artifacts 01JC4N9W2V

    Args:
        job_id: The job.
    """
    config = read_config(common)

    async def act(backend: Backend) -> list[ArtifactView]:
        from naq.connections import Held

        await get(backend, job_id)
        return [_view(artifact) for artifact in await read_artifacts(Held(backend, config), job_id)]

    columns: list[Column[ArtifactView]] = [
        Column("NAME", lambda each: each.name),
        Column("TYPE", lambda each: each.type),
        Column("BYTES", lambda each: f"{each.size:,}"),
        Column("STORED", lambda each: ago(each.at, common)),
    ]
    print_rows(talk(config, act), columns, common, name="name", empty="it has no artifacts")


def download(
    job_id: str,
    name: str,
    /,
    *,
    output: Annotated[str | None, Parameter(name=["--output", "-o"], allow_leading_hyphen=True)] = None,
    common: Common = DEFAULT,
) -> None:
    """Write a file kept with a job to the current directory, or elsewhere; "-" is stdout.

    Example: naq jobs download 01JC4N9W2V report.csv -o - | head

    Args:
        job_id: The job.
        name: The file's name, as naq jobs artifacts lists it.
        output: A file or a directory. Default: a file of this name here, which must not exist.
    """
    config = read_config(common)
    if output is None and Path(name).exists():
        raise UsageError(f"{name} exists; say where to with --output")

    async def act(backend: Backend) -> Path | None:
        from naq.connections import Held

        await get(backend, job_id)
        found = {each.name: each for each in await read_artifacts(Held(backend, config), job_id)}
        artifact = found.get(name)
        if artifact is None:
            raise NotFoundError(f"job {job_id} has no artifact {name!r}; {hint(name, found)}")
        if output == "-":
            async for chunk in artifact.chunks():
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            return None
        return await artifact.save(output or artifact.name)

    if (path := talk(config, act)) is not None:
        say(f"wrote {path}")


def _view(artifact: Artifact) -> ArtifactView:
    return ArtifactView(
        name=artifact.name,
        type=artifact.type,
        size=artifact.size,
        sha256=artifact.sha256,
        at=moment(artifact.at),
        attempt=artifact.attempt,
    )

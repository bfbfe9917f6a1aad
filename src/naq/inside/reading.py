"""What others see of the inside of a job: the other half of each file beside this one. Behind `naq.Job`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from naq import sync
from naq.connections import Host, on_bridge
from naq.exceptions import JobNotFoundError
from naq.inside.notes import LOG, METRIC, PROGRESS, Line, Lines, Metric, Progress, read_note

if TYPE_CHECKING:
    from naq.backends.base import Backend, Event
    from naq.inside.artifacts import Info
    from naq.inside.steps import Step

PAGE: Final = 500  # events fetched at once
WAIT: Final = 5.0  # seconds of one question to the broker, after which it is looked whether there is such a job
_OMITTED: Final = "… {} lines were left out (job_log_lines, job_log_bytes) …"


class Artifact:
    """A file kept with a job.

    Attributes:
        job_id: whose it is.
        name, type, size: what it is called, its media type, its bytes.
        sha256: of its bytes, in hexadecimal.
        at: when it was stored, UNIX seconds.
        attempt: by which attempt.
    """

    def __init__(self, job_id: str, host: Host, info: Info) -> None:
        self.job_id: Final = job_id
        self.name: Final = info.name
        self.type: Final = info.type
        self.size: Final = info.size
        self.sha256: Final = info.sha256
        self.at: Final = info.at
        self.attempt: Final = info.attempt
        self._host = host
        self._info = info

    def __repr__(self) -> str:
        return f"<Artifact {self.name!r} of {self.job_id}: {self.size} bytes>"

    def chunks(self) -> AsyncGenerator[bytes]:
        """Its bytes, as they come: ``async for chunk in artifact.chunks()``.

        Raises while it is read:
            SerializationError: part of it is missing, or it is not what was stored.
        """
        return self._chunks(self._host)

    async def read(self) -> bytes:
        """All its bytes, in memory."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def save(self, path: str | Path) -> Path:
        """Write it to `path` (a directory: under its own name there); where to. Nothing is left there if it fails."""
        return await self._save(self._host, Path(path))

    def read_sync(self) -> bytes:
        """`read` for code without an event loop."""
        return sync.run("await artifact.read()", self._read, on_bridge(self._host))

    def save_sync(self, path: str | Path) -> Path:
        """`save` for code without an event loop."""
        return sync.run("await artifact.save(...)", self._save, on_bridge(self._host), Path(path))

    async def remove(self) -> bool:
        """Remove it; whether it was there."""
        from naq.inside.artifacts import erase

        return await erase(await self._host.connect(), self._host.config, self.job_id, self.name)

    async def _read(self, host: Host) -> bytes:
        return b"".join([chunk async for chunk in self._chunks(host)])

    async def _save(self, host: Host, path: Path) -> Path:
        target = path / self.name if await asyncio.to_thread(path.is_dir) else path
        part = target.with_name(f"{target.name}.part")
        try:
            with await asyncio.to_thread(part.open, "wb") as file:
                async for chunk in self._chunks(host):
                    await asyncio.to_thread(file.write, chunk)
            await asyncio.to_thread(part.replace, target)
        except BaseException:
            await asyncio.to_thread(part.unlink, missing_ok=True)
            raise
        return target

    async def _chunks(self, host: Host) -> AsyncGenerator[bytes]:
        from naq.inside.artifacts import load

        backend = await host.connect()
        async for chunk in load(backend, host.config, self.job_id, self._info):
            yield chunk


async def progress(host: Host, job_id: str) -> Progress | None:
    """See `Job.progress`."""
    backend = await host.connect()
    found = await backend.newest(job_id, PROGRESS)
    return None if found is None else replace(read_note(host.config, found[1], Progress), at=found[1].at)


async def metrics(host: Host, job_id: str) -> list[Metric]:
    """See `Job.metrics`."""
    backend = await host.connect()
    return [read_note(host.config, event, Metric) async for event in _events(backend, job_id, METRIC)]


async def logs(host: Host, job_id: str, *, follow: bool = False, tail: int | None = None) -> AsyncGenerator[Line]:
    """See `Job.logs`."""
    backend = await host.connect()
    kept: deque[Line] = deque(maxlen=tail)
    after: str | None = None
    while page := await backend.follow(job_id, kinds=(LOG,), after=after, limit=PAGE):
        after = page[-1][0]
        found = [line for _, event in page for line in _lines(host, event)]
        kept.extend(found if tail is not None else ())
        for line in found if tail is None else ():
            yield line
    for line in kept:
        yield line
    if follow:
        async for line in _to_come(host, backend, job_id, after):
            yield line


async def _to_come(host: Host, backend: Backend, job_id: str, after: str | None) -> AsyncIterator[Line]:
    """The lines of a job behind the cursor, until it has ended."""
    known = after is not None
    while True:
        page = await backend.follow(job_id, kinds=(LOG, "record"), after=after, limit=PAGE, wait=WAIT)
        for _, event in page:
            if event.kind == "record":
                return
            for line in _lines(host, event):
                yield line
        if page:
            after = page[-1][0]
        elif not known:
            if await backend.get(job_id) is None:
                raise JobNotFoundError(f"there is no job {job_id!r} in this namespace, and no record of one")
            known = True


async def all_logs(host: Host, job_id: str, tail: int | None) -> list[Line]:
    """See `Job.logs_sync`."""
    return [line async for line in logs(host, job_id, tail=tail)]


async def artifacts(host: Host, job_id: str) -> list[Artifact]:
    """See `Job.artifacts`."""
    from naq.inside.artifacts import all_of

    return [Artifact(job_id, host, info) for info in await all_of(await host.connect(), host.config, job_id)]


async def steps(host: Host, job_id: str) -> list[Step]:
    """See `Job.steps`."""
    from naq.inside.steps import KIND, read_step

    backend = await host.connect()
    entries = await backend.entries(KIND, under=job_id)
    run = max((int(entry.key.split(".")[1]) for entry in entries), default=1)
    found = [read_step(host.config, entry.key, entry.value) for entry in entries if f".{run}." in entry.key]
    return sorted(found, key=lambda step: step.at)


async def _events(backend: Backend, job_id: str, kind: str) -> AsyncIterator[Event]:
    after: str | None = None
    while page := await backend.follow(job_id, kinds=(kind,), after=after, limit=PAGE):
        after = page[-1][0]
        for _, event in page:
            yield event


def _lines(host: Host, event: Event) -> list[Line]:
    note = read_note(host.config, event, Lines)
    found = [replace(line, run=note.run, attempt=note.attempt) for line in note.lines]
    if note.dropped > 0:
        at = found[0].at if found else event.at
        omitted = Line(at, "INFO", "naq", _OMITTED.format(f"{note.dropped:,}"), note.run, note.attempt)
        found.insert(0, omitted)
    return found

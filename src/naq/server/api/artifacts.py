"""Files of jobs, streamed both ways and never held whole."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from fastapi import Header, Request, Response
from starlette.responses import StreamingResponse

from naq.inside import artifacts
from naq.inside.artifacts import Info
from naq.server.api.gate import core_of, note
from naq.server.api.jobs import must_be
from naq.server.api.models import Done, Model, Moment, Page, at_seconds
from naq.server.api.routes import BROKER, Routes
from naq.server.names import ArtifactName, JobId
from naq.server.problems import Problem

routes = Routes("artifacts")
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})", re.ASCII)
_ONE = ("job_not_found", "not_found", *BROKER)
#: Shown by the page itself where it can be; whatever a task has stored, it is never a document of this origin.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Accept-Ranges": "bytes",
}


class _Where(NamedTuple):
    """What `artifacts.save` asks of an attempt."""

    job_id: str
    run: int
    attempt: int


class ArtifactView(Model):
    """A file."""

    name: str
    type: str
    size: int
    sha256: str
    at: Moment | None
    run: int
    attempt: int

    @classmethod
    def of(cls, info: Info) -> ArtifactView:
        """As it is shown."""
        return cls(
            name=info.name, type=info.type, size=info.size, sha256=info.sha256, at=at_seconds(info.at), run=info.run,
            attempt=info.attempt,
        )  # fmt: skip


@routes.add(
    "GET",
    "/jobs/{job_id}/artifacts",
    "listArtifacts",
    "List a job's files",
    scope="job",
    problems=("job_not_found", *BROKER),
)
async def list_artifacts(request: Request, job_id: JobId) -> Page[ArtifactView]:
    """By name."""
    core = core_of(request)
    await must_be(core, job_id)
    async with core.asking() as backend:
        found = await artifacts.all_of(backend, core.config, job_id)
    return Page(items=[ArtifactView.of(info) for info in found])


@routes.add("GET", "/jobs/{job_id}/artifacts/{name}", "downloadArtifact", "Download a file", scope="job",
            problems=(*_ONE, "range_not_satisfiable"), response_class=StreamingResponse,
            responses={200: {"description": "The file.", "content": {"application/octet-stream": {}}},
                       304: {"description": "As `If-None-Match` has it."},
                       206: {"description": "The part that Range asked for.",
                             "content": {"application/octet-stream": {}}}})  # fmt: skip
async def download(
    request: Request,
    job_id: JobId,
    name: ArtifactName,
    range_: Annotated[str | None, Header(alias="Range", max_length=100)] = None,
    known: Annotated[str | None, Header(alias="If-None-Match", max_length=1000)] = None,
) -> Response:
    """As an attachment, whatever it is. `Range` of one range; the digest is that of the whole file."""
    core = core_of(request)
    async with core.asking() as backend:
        info = await artifacts.find(backend, core.config, job_id, name)
        if info is None:
            raise Problem("not_found", f"job {job_id} has no file {name!r}")
    etag = f'"{info.sha256}"'
    if known is not None and etag in [each.strip() for each in known.split(",")]:
        return Response(status_code=304, headers={"ETag": etag})
    first, last = _read_range(range_, info.size)
    headers = {
        **_HEADERS,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(info.name, safe='')}",
        "Content-Length": str(last - first),
        "ETag": etag,
        "Repr-Digest": f"sha-256=:{_base64(info.sha256)}:",
    }
    part = (first, last) != (0, info.size)
    if part:
        headers["Content-Range"] = f"bytes {first}-{last - 1}/{info.size}"
    kind = info.type if re.fullmatch(r"[\w.+-]{1,60}/[\w.+-]{1,60}", info.type, re.ASCII) else ""
    if kind in {"", "text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml"}:
        kind = "application/octet-stream"  # what could run as a page is bytes
    body = _part(artifacts.load(backend, core.config, job_id, info), first, last)
    return StreamingResponse(body, 206 if part else 200, headers=headers, media_type=kind)


@routes.add("PUT", "/jobs/{job_id}/artifacts/{name}", "uploadArtifact", "Upload a file",
            scope="job", role="operator", status=201,
            problems=_ONE, openapi_extra={"x-naq-stream": True, "requestBody": {"required": True, "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}})  # fmt: skip
async def upload(request: Request, job_id: JobId, name: ArtifactName) -> ArtifactView:
    """Streamed, up to `max_artifact`; one of this name is replaced when all of it has arrived."""
    core = core_of(request)
    row = await must_be(core, job_id)
    where: Any = _Where(job_id, *((1, 1) if row is None else (row.run, row.attempt)))
    backend = await core.connect()
    info = await artifacts.save(backend, core.config, where, name, request.stream(), None)
    note(request, after={"size": info.size, "sha256": info.sha256})
    return ArtifactView.of(info)


@routes.add(
    "DELETE",
    "/jobs/{job_id}/artifacts/{name}",
    "deleteArtifact",
    "Remove a file",
    scope="job",
    role="admin",
    problems=_ONE,
)
async def delete(request: Request, job_id: JobId, name: ArtifactName) -> Done:
    """The job stays."""
    core = core_of(request)
    async with core.asking() as backend:
        if not await artifacts.erase(backend, core.config, job_id, name):
            raise Problem("not_found", f"job {job_id} has no file {name!r}")
    return Done(id=name, done=True, outcome="deleted", audit_id=note(request))


async def _part(chunks: AsyncGenerator[bytes], first: int, last: int) -> AsyncIterator[bytes]:
    """The bytes from `first` up to `last`; what comes before is read, so that it is checked, and not sent."""
    place = 0
    try:
        async for chunk in chunks:
            begin, end = max(first - place, 0), min(last - place, len(chunk))
            if begin < end:
                yield chunk[begin:end]
            place += len(chunk)
            if place >= last > 0 and first > 0:
                return
    finally:
        await chunks.aclose()


def _read_range(text: str | None, size: int) -> tuple[int, int]:
    """From where up to where; a form that is not known asks for all, as the RFC has it.

    Raises:
        Problem: ``range_not_satisfiable``.
    """
    found = None if text is None else _RANGE.fullmatch(text.strip())
    if found is None or found[0] == "bytes=-":
        return 0, size
    first, last = found[1], found[2]
    begin = max(size - int(last), 0) if not first else int(first)
    end = size if not first or not last else min(int(last) + 1, size)
    if begin >= end:
        raise Problem(
            "range_not_satisfiable", f"the file has {size} bytes", headers={"Content-Range": f"bytes */{size}"}
        )
    return begin, end


def _base64(digest: str) -> str:
    import base64

    return base64.b64encode(bytes.fromhex(digest)).decode()

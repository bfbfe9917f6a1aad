"""Files of a job: stored in chunks as they come, read in chunks as they are asked for, never whole in memory.

Each chunk is an entry, and so is what is known of the whole, written last (docs/adr/0013).
"""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from naq import clock
from naq.codec.sealing import close_value, open_value
from naq.exceptions import ConfigurationError, PayloadTooLarge, SerializationError
from naq.inside.sources import Source, in_chunks
from naq.inside.steps import token
from naq.job import new_id

if TYPE_CHECKING:
    from naq.backends.base import Entries
    from naq.config import Config
    from naq.context import Context

KIND: Final = "artifact"
CHUNK: Final = 262_144  # bytes; the memory that a transfer takes is this times IN_FLIGHT
IN_FLIGHT: Final = 4  # chunks on their way at once
MAX_NAME: Final = 128  # characters
_encode: Final = msgspec.json.Encoder().encode


class Info(Struct, frozen=True):
    """What is known of an artifact.

    Attributes:
        name: what it is called; one of a name for each job, the last one stored.
        type: its media type, such as ``text/csv``.
        size: bytes.
        sha256: of its bytes, in hexadecimal.
        at: when it was stored, UNIX seconds.
        run, attempt: by which run and attempt of the job.
        upload: names its chunks.
        chunks: how many there are.
    """

    name: str
    type: str
    size: int
    sha256: str
    at: float
    run: int
    attempt: int
    upload: str
    chunks: int


_decode: Final = msgspec.json.Decoder(Info).decode


def check_name(name: str) -> str:
    """`name`, if it is safe as the name of a file.

    Raises:
        ConfigurationError: says what is allowed.
    """
    if (
        not isinstance(name, str)  # pyright: ignore[reportUnnecessaryIsInstance]
        or not 1 <= len(name) <= MAX_NAME
        or not name.isprintable()
        or name != name.strip(" .")
        or set(name) & set('/\\<>:"|?*')
    ):
        raise ConfigurationError(
            f"artifact {name!r:.80} is not allowed: use 1 to {MAX_NAME} printable characters without "
            '/ \\ < > : " | ? * that neither begin nor end with a dot or a space'
        )
    return name


async def save(
    store: Entries, config: Config, context: Context, name: str, source: Source, media_type: str | None
) -> Info:
    """Store what `source` gives under `name`; there is either all of it or nothing.

    Raises:
        PayloadTooLarge: it is more than `max_artifact`.
        ConfigurationError: the name is not safe, or `source` gives no bytes.
    """
    check_name(name)
    upload, digest, size = new_id(), hashlib.sha256(), 0
    job_id = context.job_id
    chunk = min(CHUNK, config.max_payload // 2)
    going: set[asyncio.Task[object]] = set()
    count = 0
    try:
        async for part in in_chunks(source, chunk):
            size += len(part)
            if size > config.max_artifact:
                raise PayloadTooLarge(
                    f"artifact {name!r} is over the limit of {config.max_artifact} bytes (max_artifact): nothing of it "
                    "is kept. Store it elsewhere and return a reference, or raise the limit"
                )
            digest.update(part)
            key = f"{job_id}.c.{upload}.{count}"
            data = close_value(config, part, KIND, key)
            going.add(asyncio.ensure_future(store.put(KIND, key, data, expect=0, ttl=config.record_ttl)))
            count += 1
            if len(going) >= IN_FLIGHT:
                done, going = await asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
                for each in done:
                    each.result()
        await asyncio.gather(*going)
        kind = media_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
        info = Info(name, kind, size, digest.hexdigest(), clock.now(), context.run, context.attempt, upload, count)
        key = f"{job_id}.m.{token(name)}"
        before = await store.entry(KIND, key)
        await store.put(KIND, key, close_value(config, _encode(info), KIND, key), ttl=config.record_ttl)
    except BaseException:
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)
        await _erase_chunks(store, job_id, upload, count)  # what is missed here runs out by itself
        raise
    if before is not None:
        old = read_info(config, key, before.value)
        await _erase_chunks(store, job_id, old.upload, old.chunks)
    return info


async def load(store: Entries, config: Config, job_id: str, info: Info) -> AsyncGenerator[bytes]:
    """The bytes of an artifact, chunk by chunk; some are fetched ahead, no more than `IN_FLIGHT`.

    Raises:
        SerializationError: part of it is missing, or it is not what was stored.
    """
    digest = hashlib.sha256()
    ahead: list[asyncio.Task[bytes]] = []
    following = 0
    try:
        for _ in range(info.chunks):
            while following < info.chunks and len(ahead) < IN_FLIGHT:
                ahead.append(asyncio.ensure_future(_chunk(store, config, job_id, info, following)))
                following += 1
            part = await ahead.pop(0)
            digest.update(part)
            yield part
    finally:
        for task in ahead:
            task.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)
    if digest.hexdigest() != info.sha256:
        raise SerializationError(f"artifact {info.name!r} of job {job_id} is not what was stored: its digest differs")


async def all_of(store: Entries, config: Config, job_id: str) -> list[Info]:
    """The artifacts of a job, by name."""
    found = await store.entries(KIND, under=f"{job_id}.m")
    return sorted((read_info(config, entry.key, entry.value) for entry in found), key=lambda info: info.name)


async def find(store: Entries, config: Config, job_id: str, name: str) -> Info | None:
    """The artifact `name` of a job."""
    key = f"{job_id}.m.{token(check_name(name))}"
    entry = await store.entry(KIND, key)
    return None if entry is None else read_info(config, key, entry.value)


async def erase(store: Entries, config: Config, job_id: str, name: str) -> bool:
    """Remove an artifact; whether there was one."""
    info = await find(store, config, job_id, name)
    if info is None or not await store.remove(KIND, f"{job_id}.m.{token(name)}"):
        return False
    await _erase_chunks(store, job_id, info.upload, info.chunks)
    return True


def read_info(config: Config, key: str, data: bytes) -> Info:
    """What is kept of an artifact under `key`.

    Raises:
        SerializationError: it is nothing of the kind, or not sealed as `config` asks.
    """
    try:
        return _decode(open_value(config, data, KIND, key))
    except msgspec.MsgspecError as error:
        raise SerializationError(f"what is kept of an artifact in {key} cannot be read: {error}") from error


async def _chunk(store: Entries, config: Config, job_id: str, info: Info, number: int) -> bytes:
    key = f"{job_id}.c.{info.upload}.{number}"
    entry = await store.entry(KIND, key)
    if entry is None:
        raise SerializationError(
            f"artifact {info.name!r} of job {job_id} is not there any more: it was replaced, removed, or has run out"
        )
    return open_value(config, entry.value, KIND, key)


async def _erase_chunks(store: Entries, job_id: str, upload: str, count: int) -> None:
    for number in range(count):
        await store.remove(KIND, f"{job_id}.c.{upload}.{number}")

"""What an artifact may be made of, read in chunks: bytes, files, and whatever gives bytes."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from pathlib import Path
from typing import Any, BinaryIO, cast

from naq.exceptions import ConfigurationError

Source = bytes | bytearray | memoryview | Path | BinaryIO | Iterable[bytes] | AsyncIterable[bytes]


async def in_chunks(source: Source, size: int) -> AsyncIterator[bytes]:
    """What `source` gives, in chunks of `size` bytes but for the last. What may block is read in a thread.

    Raises:
        ConfigurationError: it gives no bytes.
    """
    pending = bytearray()
    async for part in _parts(source, size):
        if not isinstance(part, bytes | bytearray | memoryview):
            raise ConfigurationError(
                f"an artifact gave a {type(part).__name__} where bytes were expected: open files in binary mode, "
                "encode text"
            )
        view = memoryview(cast("bytes", part)).cast("B")
        for start in range(0, len(view), size):
            pending += view[start : start + size]
            while len(pending) >= size:
                yield bytes(pending[:size])
                del pending[:size]
    if pending:
        yield bytes(pending)


def _parts(source: Any, size: int) -> AsyncIterator[Any]:
    if isinstance(source, bytes | bytearray | memoryview):
        return _whole(cast("bytes", source))
    if isinstance(source, Path):
        return _path(source, size)
    if callable(getattr(source, "read", None)):
        return _file(source, size)
    if isinstance(source, AsyncIterable):
        return aiter(cast("AsyncIterable[Any]", source))
    if isinstance(source, Iterable) and not isinstance(source, str):
        return _iterable(cast("Iterable[Any]", source))
    raise ConfigurationError(
        f"an artifact cannot be made of a {type(source).__name__}: give bytes, a Path, a binary file, or something "
        "that gives bytes, also asynchronously"
    )


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _path(path: Path, size: int) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        async for part in _file(file, size):
            yield part
    finally:
        await asyncio.to_thread(file.close)


async def _file(file: Any, size: int) -> AsyncIterator[Any]:
    while True:
        part = file.read(size) if inspect.iscoroutinefunction(file.read) else await asyncio.to_thread(file.read, size)
        if inspect.isawaitable(part):
            part = await part
        if not part:
            return
        yield part


async def _iterable(source: Iterable[Any]) -> AsyncIterator[Any]:
    parts, end = iter(source), object()
    while (part := await asyncio.to_thread(next, parts, end)) is not end:
        yield part

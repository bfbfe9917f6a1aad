"""Writing a stream: what the task gives while a write is under way goes with the next, and only so much of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec import Raw

from naq import clock
from naq.codec.streamed import Streamed
from naq.exceptions import NaqBackpressureError, NaqConnectionError
from naq.faults import fault
from naq.inside.ground import Ground, current_ground
from naq.inside.notes import write_note
from naq.streaming.items import ITEM, Part

if TYPE_CHECKING:
    from naq.backends.base import Backend, Event
    from naq.codec.signature import Signature
    from naq.context import Context

#: Items and bytes that a task may be ahead of the broker: then it is not asked for more.
MOST_ITEMS, MOST_BYTES = 256, 262_144
#: Seconds until a part that the broker did not take is sent again (at first, at most), and until it is given up.
PAUSE_FIRST, PAUSE_MOST, PATIENCE = 0.1, 2.0, 60.0
_INSTEAD: Final = "an asynchronous generator"


class Writer:
    """Writes the stream of one attempt. Lives on the event loop of `backend`.

    Attributes:
        count: items so far.
    """

    def __init__(self, backend: Backend, context: Context, ground: Ground) -> None:
        self.count = 0
        self._backend = backend
        self._context = context
        self._config = ground.config
        self._items: list[Raw] = []
        self._bytes = 0
        self._first = 0
        self._writing: asyncio.Task[None] | None = None

    async def put(self, raw: Raw) -> None:
        """Take an item; waits while the broker is behind.

        Raises:
            NaqException: an earlier item could not be written.
        """
        while len(self._items) >= MOST_ITEMS or self._bytes >= MOST_BYTES:
            await self._flush()
        self._items.append(raw)
        self._bytes += len(bytes(raw))
        self.count += 1
        writing = self._writing
        if writing is None:
            self._writing = asyncio.ensure_future(self._write(end=False))
        elif writing.done():
            writing.result()
            self._writing = asyncio.ensure_future(self._write(end=False))

    async def close(self) -> None:
        """The generator has ended: write the rest, and that it was all."""
        await self._settle()
        await self._write(end=True)

    async def give_up(self) -> None:
        """It has ended otherwise: write what it gave."""
        await self._settle()
        if self._items:
            await self._write(end=False)

    async def _flush(self) -> None:
        if self._writing is None or self._writing.done():
            await self._settle()
            self._writing = asyncio.ensure_future(self._write(end=False))
        # Shielded, so that a cancelled task does not tear a write in two.
        await asyncio.shield(self._writing)

    async def _settle(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            await asyncio.shield(writing)

    async def _write(self, *, end: bool) -> None:
        items, self._items, self._bytes = self._items, [], 0
        context = self._context
        part = Part(
            run=context.run,
            attempt=context.attempt,
            claims=context.claims,
            task=context.task,
            first=self._first,
            items=items,
            end=end,
        )
        self._first += len(items)
        await self._append(write_note(self._config, ITEM, part, context))

    async def _append(self, event: Event) -> None:
        until, pause = clock.monotonic() + PATIENCE, PAUSE_FIRST
        while True:
            try:
                await self._backend.append([event])
            except (NaqConnectionError, NaqBackpressureError):
                if clock.monotonic() >= until:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, PAUSE_MOST)
            else:
                fault("stream.written")
                return


async def stream(items: AsyncIterator[Any], signature: Signature, context: Context) -> Streamed[Any]:
    """Write what `items` gives to the stream of the job, as it comes; how many that were."""
    ground = current_ground()
    writer = await ground.ask(lambda backend: _made(backend, context, ground))
    limit = ground.config.max_payload // 2
    async with aclosing(cast("AsyncGenerator[Any]", items)) as generator:
        try:
            async for value in generator:
                raw = signature.encode_item(value, limit=limit)
                await ground.ask(partial(_put, writer, raw))
        except BaseException:
            await ground.ask(lambda _: writer.give_up())
            raise
    await ground.ask(lambda _: writer.close())
    return Streamed(writer.count)


def stream_sync(
    func: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    signature: Signature,
    context: Context,
) -> Streamed[Any]:
    """As `stream`, what the plain generator function `func` gives, in the thread that calls this."""
    ground = current_ground()
    writer = ground.ask_sync(_INSTEAD, lambda backend: _made(backend, context, ground))
    limit = ground.config.max_payload // 2
    generator = func(*args, **kwargs)
    try:
        for value in generator:
            raw = signature.encode_item(value, limit=limit)
            ground.ask_sync(_INSTEAD, partial(_put, writer, raw))
    except BaseException:
        ground.ask_sync(_INSTEAD, lambda _: writer.give_up())
        raise
    finally:
        generator.close()
    ground.ask_sync(_INSTEAD, lambda _: writer.close())
    return Streamed(writer.count)


async def _put(writer: Writer, raw: Raw, _backend: Backend) -> None:
    await writer.put(raw)


async def _made(backend: Backend, context: Context, ground: Ground) -> Writer:
    return Writer(backend, context, ground)

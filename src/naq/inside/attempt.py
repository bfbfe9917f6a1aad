"""One attempt of a job, as its own code uses it: everything behind `naq.Context`, on whatever it stands."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from naq.exceptions import ConfigurationError
from naq.faults import fault
from naq.inside import artifacts, checkpoint, waiting
from naq.inside.ground import Ground, Notes, current_ground
from naq.inside.sources import Source
from naq.inside.steps import Steps, returned_by
from naq.names import check_event

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.context import Context


class Attempt:
    """Made when the job's code first asks for any of it.

    Attributes:
        notes: what takes progress, metrics and log lines.

    Raises:
        NaqException: no worker runs this.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ground: Final[Ground] = current_ground()
        self.notes: Final[Notes] = self._ground.notes(context)
        self._steps = Steps(context, self._ground.config)

    def metric(self, name: str, value: float) -> None:
        """See `Context.record_metric`."""
        if not isinstance(name, str) or not 1 <= len(name) <= 100 or not name.isprintable():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"metric {name!r:.80} is not allowed: use 1 to 100 printable characters")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"metric {name} is {value!r}: use a finite number")
        self.notes.metric(name, value)

    async def checkpoint(self, value: Any, version: int) -> None:
        """See `Context.checkpoint`."""
        await self._ground.ask(self._checkpoint(value, version))

    def checkpoint_sync(self, value: Any, version: int) -> None:
        """See `Context.checkpoint_sync`."""
        self._ground.ask_sync("await context.checkpoint(...)", self._checkpoint(value, version))

    async def restore(self, type_: Any, version: int, upcast: Mapping[int, checkpoint.Upcaster]) -> Any:
        """See `Context.restore`."""
        kept = await self._ground.ask(self._restore(type_, version))
        return self._read(kept, type_, version, upcast)

    def restore_sync(self, type_: Any, version: int, upcast: Mapping[int, checkpoint.Upcaster]) -> Any:
        """See `Context.restore_sync`."""
        kept = self._ground.ask_sync("await context.restore(...)", self._restore(type_, version))
        return self._read(kept, type_, version, upcast)

    async def artifact(self, name: str, source: Source, media_type: str | None) -> artifacts.Info:
        """See `Context.artifact`."""
        return await self._ground.ask(self._artifact(name, source, media_type))

    def artifact_sync(self, name: str, source: Source, media_type: str | None) -> artifacts.Info:
        """See `Context.artifact_sync`."""
        return self._ground.ask_sync("await context.artifact(...)", self._artifact(name, source, media_type))

    async def step(
        self, name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """See `Context.step`."""
        name, reader = self._steps.name(name), checkpoint.reader(returned_by(function), f"step {name!r}")
        found = await self._ground.ask(lambda backend: self._steps.find(backend, name))
        if found is None:
            if inspect.iscoroutinefunction(function):
                value = await function(*args, **kwargs)
            else:
                value = await asyncio.to_thread(function, *args, **kwargs)
                if inspect.isawaitable(value):
                    value = await value
            raw = reader.encode_result(value, limit=self._ground.config.max_result)
            fault("step.ran")
            found = await self._ground.ask(lambda backend: self._steps.keep(backend, name, raw))
        return reader.decode_result(found)

    def step_sync(self, name: str, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """See `Context.step_sync`."""
        instead = "await context.step(...)"
        name, reader = self._steps.name(name), checkpoint.reader(returned_by(function), f"step {name!r}")
        found = self._ground.ask_sync(instead, lambda backend: self._steps.find(backend, name))
        if found is None:
            raw = reader.encode_result(function(*args, **kwargs), limit=self._ground.config.max_result)
            fault("step.ran")
            found = self._ground.ask_sync(instead, lambda backend: self._steps.keep(backend, name, raw))
        return reader.decode_result(found)

    async def sleep(self, delay: float | timedelta | None, **parts: float) -> None:
        """See `Context.sleep`."""
        await self._ground.ask(self._sleep(delay, parts))

    def sleep_sync(self, delay: float | timedelta | None, **parts: float) -> None:
        """See `Context.sleep_sync`."""
        self._ground.ask_sync("await context.sleep(...)", self._sleep(delay, parts))

    async def wait_for_event(self, event: str, type_: Any, match: str, timeout: float | timedelta | None) -> Any:
        """See `Context.wait_for_event`."""
        reader = checkpoint.reader(type_, f"event {event!r}")
        return reader.decode_result(await self._ground.ask(self._wait(event, match, timeout)))

    def wait_for_event_sync(self, event: str, type_: Any, match: str, timeout: float | timedelta | None) -> Any:
        """See `Context.wait_for_event_sync`."""
        reader = checkpoint.reader(type_, f"event {event!r}")
        instead = "await context.wait_for_event(...)"
        return reader.decode_result(self._ground.ask_sync(instead, self._wait(event, match, timeout)))

    # ------------------------------------------------------------------ what is asked of the backend

    def _checkpoint(self, value: Any, version: int) -> Callable[[Backend], Awaitable[None]]:
        config, context = self._ground.config, self._context
        what = f"task {context.task!r}: the checkpoint"
        raw = checkpoint.encode(value, what, limit=config.max_payload // 2)
        checkpoint.check_version(version)
        return lambda backend: checkpoint.save(backend, config, context, raw, version)

    def _restore(self, type_: Any, version: int) -> Callable[[Backend], Awaitable[checkpoint.Kept | None]]:
        checkpoint.check_version(version)
        checkpoint.reader(type_, "the checkpoint")  # what cannot be read shows before there is one
        return lambda backend: checkpoint.load(backend, self._ground.config, self._context.job_id)

    def _read(
        self, kept: checkpoint.Kept | None, type_: Any, version: int, upcast: Mapping[int, checkpoint.Upcaster]
    ) -> Any:
        what = f"task {self._context.task!r}: its checkpoint"
        return None if kept is None else checkpoint.read(kept, type_, version, upcast, what)

    def _artifact(
        self, name: str, source: Source, media_type: str | None
    ) -> Callable[[Backend], Awaitable[artifacts.Info]]:
        config = self._ground.config
        return lambda backend: artifacts.save(backend, config, self._context, name, source, media_type)

    def _sleep(self, delay: float | timedelta | None, parts: dict[str, float]) -> Callable[[Backend], Awaitable[None]]:
        seconds = waiting.read_delay(delay, **parts)
        ttl = self._ground.config.record_ttl
        return partial(waiting.sleep, steps=self._steps, name=self._steps.name("sleep"), seconds=seconds, keep_for=ttl)

    def _wait(self, event: str, match: str, timeout: float | timedelta | None) -> Callable[[Backend], Awaitable[Any]]:
        name = self._steps.name(f"event {check_event(event)}")
        seconds = None if timeout is None else waiting.read_delay(timeout)
        config, context = self._ground.config, self._context
        return lambda backend: waiting.wait_for_event(
            backend, self._steps, context, config, name, event, match, seconds
        )

"""Durable steps: what an attempt did once and every later one knows, because it is stored before it is returned."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw, Struct

from naq import clock
from naq.codec.sealing import close_value, open_value
from naq.exceptions import ConfigurationError, SerializationError
from naq.faults import fault

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.config import Config
    from naq.context import Context

KIND: Final = "step"
MAX_NAME: Final = 200  # characters of a step's name
_encode: Final = msgspec.json.Encoder().encode


class Step(Struct, frozen=True, omit_defaults=True):
    """A step that was done.

    Attributes:
        name: what it is called; the second of a name is called ``name#2``.
        at: when it was done, UNIX seconds.
        attempt: by which attempt.
        value: what came of it, JSON.
    """

    name: str
    at: float
    attempt: int
    value: Raw


_decode: Final = msgspec.json.Decoder(Step).decode


class Steps:
    """The steps of one run of a job, as one attempt goes through them."""

    def __init__(self, context: Context, config: Config) -> None:
        self._context = context
        self._config = config
        self._counts: Counter[str] = Counter()
        self._done: dict[str, Step] | None = None

    def name(self, name: str) -> str:
        """The name of the next step that its task calls `name`: the second of a name gets ``#2``, and so on.

        Raises:
            ConfigurationError: it cannot be one.
        """
        if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME or not name.isprintable():  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"step {name!r:.80} is not allowed: use 1 to {MAX_NAME} printable characters")
        self._counts[name] += 1
        count = self._counts[name]
        return name if count == 1 else f"{name}#{count}"

    async def find(self, backend: Backend, name: str) -> Raw | None:
        """What came of the step `name`, if it was done."""
        if self._done is None:
            found = await backend.entries(KIND, under=f"{self._context.job_id}.{self._context.run}")
            steps = [self._read(entry.key, entry.value) for entry in found]
            self._done = {step.name: step for step in steps}
        step = self._done.get(name)
        return None if step is None else step.value

    async def keep(self, backend: Backend, name: str, value: Raw, *, ttl: float | None = None) -> Raw:
        """Keep what came of a step; what is kept then, which is another's where that was quicker."""
        context = self._context
        key = f"{context.job_id}.{context.run}.{token(name)}"
        step = Step(name=name, at=clock.now(), attempt=context.attempt, value=value)
        data = close_value(self._config, _encode(step), KIND, key)
        while await backend.put(KIND, key, data, expect=0, ttl=ttl or self._config.record_ttl) is None:
            there = await backend.entry(KIND, key)
            if there is not None:
                step = self._read(key, there.value)
                break
        fault("step.kept")
        assert self._done is not None, "looked for before it was done"
        self._done[name] = step
        return step.value

    async def keep_longer(self, backend: Backend, seconds: float) -> None:
        """Keep all that was done for `seconds` beyond what records are kept, where that matters."""
        if seconds < self._config.record_ttl / 2 or not self._done:
            return
        for step in self._done.values():
            key = f"{self._context.job_id}.{self._context.run}.{token(step.name)}"
            data = close_value(self._config, _encode(step), KIND, key)
            await backend.put(KIND, key, data, ttl=math.ceil(seconds + self._config.record_ttl))

    def _read(self, key: str, data: bytes) -> Step:
        return read_step(self._config, key, data)


def read_step(config: Config, key: str, data: bytes) -> Step:
    """A step from what is kept under `key`.

    Raises:
        SerializationError: it is none, or not sealed as `config` asks.
    """
    try:
        return _decode(open_value(config, data, KIND, key))
    except msgspec.MsgspecError as error:
        raise SerializationError(f"a step of the job in {key} cannot be read: {error}") from error


def token(name: str) -> str:
    """`name` as a part of a key."""
    return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]


def returned_by(function: Any) -> Any:
    """The type that `function` is annotated to return; Any where it does not say."""
    from typing import get_type_hints

    try:
        found = get_type_hints(function, include_extras=True).get("return", Any)
    except (NameError, TypeError, AttributeError):  # an annotation that is not resolved, or nothing that has any
        return Any
    return Any if found is None else found

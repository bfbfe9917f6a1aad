"""What an attempt leaves for the next one: a value with a version, kept beside the job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw, Struct

from naq import clock
from naq.codec.sealing import close_value, open_value
from naq.codec.signature import Signature
from naq.exceptions import ConfigurationError, LeaseLost, SerializationError

if TYPE_CHECKING:
    from naq.backends.base import Entries
    from naq.config import Config
    from naq.context import Context

KIND: Final = "checkpoint"
Upcaster = Callable[[Any], Any]
_encode: Final = msgspec.json.Encoder().encode


class Kept(Struct, frozen=True):
    """A checkpoint as it is stored.

    Attributes:
        version: of the form of its value, as the task counts them.
        fence: the `Context.fence` of the claim that wrote it.
        value: JSON.
        at: UNIX seconds.
    """

    version: int
    fence: int
    value: Raw
    at: float


_decode: Final = msgspec.json.Decoder(Kept).decode


def encode(value: Any, what: str, *, limit: int) -> Raw:
    """`value` as JSON.

    Raises:
        SerializationError: it has no JSON form.
        PayloadTooLarge: it is longer than `limit` bytes.
    """
    return Signature.of(_anything, what).encode_result(value, limit=limit)


def check_version(version: int) -> int:
    """`version`, if it can be one.

    Raises:
        ConfigurationError: it is no whole number from 1.
    """
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"version is {version!r}: use a whole number from 1, one higher for every new form")
    return version


async def save(store: Entries, config: Config, context: Context, value: Raw, version: int) -> None:
    """Keep `value` as the checkpoint of the job; durable when this returns.

    Raises:
        LeaseLost: an attempt that was claimed later has left one already.
    """
    kept = Kept(version=version, fence=context.fence, value=value, at=clock.now())
    data = close_value(config, _encode(kept), KIND, context.job_id)
    while True:
        entry = await store.entry(KIND, context.job_id)
        if entry is not None and _read(config, context.job_id, entry.value).fence > context.fence:
            raise LeaseLost(
                f"the checkpoint of job {context.job_id} is one of a later claim: this attempt has lost its lease"
            )
        expect = 0 if entry is None else entry.version
        if await store.put(KIND, context.job_id, data, expect=expect, ttl=config.record_ttl) is not None:
            return


async def load(store: Entries, config: Config, job_id: str) -> Kept | None:
    """The checkpoint of a job."""
    entry = await store.entry(KIND, job_id)
    return None if entry is None else _read(config, job_id, entry.value)


def read(kept: Kept, type_: Any, version: int, upcast: Mapping[int, Upcaster], what: str) -> Any:
    """The value of a checkpoint in the form of `version`, of the type `type_`.

    An upcaster makes of the plain JSON value of its version that of the next.

    Raises:
        SerializationError: it is newer than `version`, an upcaster is missing, or the value is not of the type.
    """
    if kept.version > version:
        raise SerializationError(
            f"{what} is of version {kept.version}, this code reads {version}: newer code wrote it and is still deployed"
        )
    raw = kept.value
    if kept.version < version:
        value = msgspec.json.decode(raw)
        for step in range(kept.version, version):
            if step not in upcast:
                raise SerializationError(
                    f"{what} is of version {kept.version}, this code reads {version}: there is no upcaster for {step}"
                )
            value = upcast[step](value)
        raw = Raw(_encode(value))
    return reader(type_, what).decode_result(raw)


def reader(type_: Any, what: str) -> Signature:
    """Reads values of the type `type_`.

    Raises:
        ConfigurationError: JSON cannot carry it.
    """

    def returns() -> Any:
        """Stands for what gives the value."""

    returns.__annotations__["return"] = type_
    return Signature.of(returns, what)


def _read(config: Config, job_id: str, data: bytes) -> Kept:
    try:
        return _decode(open_value(config, data, KIND, job_id))
    except msgspec.MsgspecError as error:
        raise SerializationError(f"the checkpoint of job {job_id} cannot be read: {error}") from error


def _anything() -> Any:
    """Stands for what gives any value."""

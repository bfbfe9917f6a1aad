"""The codecs there are: how the arguments of jobs are written, and read by whoever opted in.

Whatever the codec, a job is an envelope of JSON that names it, and a result and a record are JSON: nothing that comes
back to a producer, and no dead letter, is ever unpickled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Protocol

from msgspec import Raw

from naq.codec.envelope import JSON, PICKLE
from naq.codec.signature import Signature
from naq.exceptions import ConfigurationError


class Codec(Protocol):
    """One way to write arguments."""

    name: ClassVar[str]
    """What it is called in settings and in `Envelope.codec`."""

    def signature(self, func: Callable[..., Any], task: str) -> Signature:
        """How the arguments and the result of `func` travel.

        Its `encode`, `encode_result` and `decode_result` write and read them; its `decode` reads arguments that are
        JSON, whatever the codec.

        Raises:
            ConfigurationError: a parameter or the result is of a type that cannot travel.
        """
        ...

    def decode(self, signature: Signature, args: Raw, kwargs: Raw) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """What to call a task with, from the arguments of a message that names this codec.

        Raises:
            SerializationError: they do not fit the task, or cannot be read; says why.
        """
        ...


class JsonCodec:
    """Arguments as JSON, checked against annotations: the default, and read everywhere."""

    name: ClassVar[str] = JSON

    def signature(self, func: Callable[..., Any], task: str) -> Signature:
        """See `Codec.signature`."""
        return Signature.of(func, task)

    def decode(self, signature: Signature, args: Raw, kwargs: Raw) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """See `Codec.decode`."""
        return signature.decode(args, kwargs)


_JSON: Final = JsonCodec()
NAMES: Final = (JSON, PICKLE)


def get_codec(name: str) -> Codec:
    """The codec called `name`, ready to use.

    Raises:
        ConfigurationError: there is none, or what it needs is not installed; says which command installs it.
    """
    if name == JSON:
        return _JSON
    if name == PICKLE:
        from naq.codec.pickled import PickleCodec  # only for those who opted in: nothing else imports a pickle module

        return PickleCodec()
    raise ConfigurationError(f"there is no codec {name!r}; there are {', '.join(NAMES)}")

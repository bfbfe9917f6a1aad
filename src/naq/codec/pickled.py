"""Arguments that JSON cannot express, pickled (cloudpickle). Opted into by name, on the client and on the worker.

Reading a pickle runs whatever code its writer put into it. So this module is imported only where ``codec="pickle"`` is
set, and it reads nothing but the arguments of jobs whose envelope says that they are pickled.
"""

from __future__ import annotations

import binascii
import pickle
from collections.abc import Callable, Container, Mapping
from typing import Any, ClassVar, Final, cast

from msgspec import Raw
from msgspec.json import Decoder

from naq.codec.envelope import NO_KWARGS, PICKLE
from naq.codec.parameters import Parameters, read_parameters
from naq.codec.signature import Signature
from naq.codec.values import READ_ERRORS, shown, why
from naq.exceptions import ConfigurationError, SerializationError

#: The protocol every supported Python reads, so that client and worker may differ.
PROTOCOL: Final = 5
_read_text: Final = Decoder(tuple[str]).decode  # args of a pickled job: one string of base64


class PickledSignature(Signature):
    """How the arguments of one task travel pickled; its result is JSON, as everywhere.

    Values are not checked against annotations, so a parameter may be of any type; that the function can be called like
    this is checked on both sides.
    """

    __slots__ = ()
    codec: ClassVar[str] = PICKLE

    @staticmethod
    def _read_parameters(func: Callable[..., Any], task: str) -> Parameters:
        return read_parameters(func, task, pickled=True)

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Raw, Raw]:
        """`args` and `kwargs`, pickled, as an array of one string.

        Raises:
            SerializationError: they do not fit the function, or cannot be pickled.
        """
        self._check_call(len(args), kwargs)
        try:
            data = _cloudpickle().dumps((args, dict(kwargs)), protocol=PROTOCOL)
        except Exception as error:  # pickling runs the users' classes, which may raise anything
            raise SerializationError(
                f"task {self.task!r}: {shown((*args, *kwargs.values()))} cannot be pickled: {why(error)}"
            ) from error
        return Raw(b'["' + binascii.b2a_base64(data, newline=False) + b'"]'), NO_KWARGS

    def encode_around(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], holes: Container[int | str]
    ) -> tuple[Raw, Raw]:
        """See `Signature.encode_around`."""
        given = tuple(None if at in holes else value for at, value in enumerate(args))
        return self.encode(given, {name: None if name in holes else value for name, value in kwargs.items()})

    def unpickle(self, args: Raw, kwargs: Raw) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """What `encode` was given. Runs what the pickle says: whether it may be read is decided before.

        Raises:
            SerializationError: it cannot be unpickled here, or does not fit the function.
        """
        try:
            (text,) = _read_text(args)
            data = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
        except (*READ_ERRORS, binascii.Error) as error:
            raise SerializationError(f"task {self.task!r}: pickled arguments must be one string of base64") from error
        if bytes(kwargs).strip() != b"{}":
            raise SerializationError(f"task {self.task!r}: pickled arguments are all in args; kwargs must be empty")
        try:
            read: Any = pickle.loads(data)  # noqa: S301 - the point of this module, behind two opt-ins
        except (Exception, SystemExit) as error:  # it runs the writer's code, which may raise anything
            raise SerializationError(
                f"task {self.task!r}: its arguments cannot be unpickled: {type(error).__name__}: {error}"
                " (the worker needs the modules and versions that the client pickled with)"
            ) from error
        if not _is_call(read):
            raise SerializationError(f"task {self.task!r}: the pickle holds no arguments")
        positional, named = cast("tuple[tuple[Any, ...], dict[str, Any]]", read)
        self._check_call(len(positional), named)
        return positional, named


class PickleCodec:
    """Arguments pickled.

    Raises:
        ConfigurationError: cloudpickle is not installed.
    """

    name: ClassVar[str] = PICKLE

    def __init__(self) -> None:
        _cloudpickle()

    def signature(self, func: Callable[..., Any], task: str) -> Signature:
        """See `Codec.signature`."""
        return PickledSignature.of(func, task)

    def decode(self, signature: Signature, args: Raw, kwargs: Raw) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """See `Codec.decode`."""
        assert isinstance(signature, PickledSignature), "one app, one codec"
        return signature.unpickle(args, kwargs)


def _is_call(read: Any) -> bool:
    match read:
        case (tuple(), dict()):
            return all(isinstance(name, str) for name in cast("dict[object, object]", read[1]))
        case _:
            return False


def _cloudpickle() -> Any:
    try:
        import cloudpickle  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise ConfigurationError(
            "codec='pickle' needs cloudpickle, which is not installed: pip install 'naq[pickle]'"
        ) from error
    return cloudpickle

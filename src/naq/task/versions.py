"""Versions of a task's parameters: what makes the arguments of an older one those of the next, step by step.

An upcaster has the parameters that the task had in its version, and returns what the next version has. It is pure: it
sees the arguments and nothing else, so that the same job reads the same wherever it is tried again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar, cast

from msgspec import Raw

from naq.codec.codecs import get_codec
from naq.codec.envelope import JSON
from naq.codec.signature import Signature
from naq.codec.values import ENCODER, why
from naq.exceptions import ConfigurationError, SerializationError

#: What an upcaster returns: the arguments of the next version by name, or all of them by position.
Upcasted = Mapping[str, Any] | tuple[Any, ...]
U = TypeVar("U", bound=Callable[..., Upcasted])
Arguments = tuple[Sequence[Any], Mapping[str, Any]]


class Versions:
    """The version of one task's parameters, and its upcasters."""

    __slots__ = ("_signature", "_steps", "_task", "current")

    def __init__(self, task: str, signature: Signature, current: int) -> None:
        self._task = task
        self._signature = signature
        self.current: Final = current
        self._steps: Final[dict[int, tuple[Callable[..., Upcasted], Signature]]] = {}

    def add(self, version: int, func: U) -> U:
        """Let `func` make of arguments of `version` those of the next; returned as it is.

        Raises:
            ConfigurationError: there is nothing to make of that version, it has an upcaster already, or `func` is a
                coroutine function or has parameters that cannot come out of a message.
        """
        where = f"task {self._task}: an upcaster from version {version!r}"
        if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version < self.current:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(
                f"{where} leads nowhere: the task is of version {self.current}; count that up where the parameters "
                "change (@app.task(version=...)), and make of each earlier version (from 1) the next"
            )
        if version in self._steps:
            raise ConfigurationError(f"{where} is there already; there is one way from a version to the next")
        if not callable(func) or inspect.iscoroutinefunction(func):
            raise ConfigurationError(f"{where} is a plain function of the old arguments, without anything to await")
        name = f"{self._task} (version {version})"
        self._steps[version] = (func, get_codec(self._signature.codec).signature(func, name))
        return func

    def check(self, version: int) -> None:
        """Refuse a version that cannot be read here.

        Raises:
            SerializationError: it is newer than the task, or a step is missing; says which.
        """
        if version > self.current:
            raise SerializationError(
                f"task {self._task!r}: the arguments are of version {version}, this code reads {self.current}: "
                "newer code enqueued it"
            )
        if gap := [step for step in range(version, self.current) if step not in self._steps]:
            raise SerializationError(
                f"task {self._task!r}: the arguments are of version {version}, this code reads {self.current}, and "
                f"nothing makes version {gap[0] + 1} of version {gap[0]}: add @task.upcast({gap[0]})"
            )

    def gaps(self) -> list[int]:
        """The versions without an upcaster behind the first that has one: jobs of those before them cannot be read."""
        return [step for step in range(min(self._steps, default=self.current), self.current) if step not in self._steps]

    def signature(self, version: int) -> Signature:
        """How arguments of `version` are read.

        Raises:
            SerializationError: as `check`.
        """
        if version == self.current:
            return self._signature
        self.check(version)
        return self._steps[version][1]

    def upcast(self, version: int, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Arguments:
        """The arguments of the task, of those of `version` as its `signature` read them.

        Raises:
            SerializationError: what an upcaster returned does not fit the next version; says which. What it raises
                itself comes as it is.
        """
        for step in range(version, self.current):
            returned: object = self._steps[step][0](*args, **kwargs)
            args, kwargs = self._read(step, self.signature(step + 1), returned)
        return args, kwargs

    def _read(self, step: int, signature: Signature, returned: object) -> Arguments:
        """What an upcaster returned, as arguments of the next version: typed as if they had come in a message."""
        what = f"task {self._task!r}: the upcaster from version {step}"
        if isinstance(returned, Mapping):
            args, kwargs = (), dict(cast("Mapping[str, Any]", returned))
        elif isinstance(returned, tuple):
            args, kwargs = cast("tuple[Any, ...]", returned), {}
        else:
            raise SerializationError(
                f"{what} returned a {type(returned).__qualname__}; expected a dict of the arguments by name, or a "
                "tuple of them by position"
            )
        try:
            if signature.codec != JSON:
                return get_codec(signature.codec).decode(signature, *signature.encode(args, kwargs))
            return signature.decode(Raw(ENCODER.encode(args)), Raw(ENCODER.encode(kwargs)))
        except SerializationError as error:
            raise SerializationError(f"{what} returned what version {step + 1} does not take: {error}") from error
        except Exception as error:  # writing runs the users' classes, which may raise anything
            raise SerializationError(f"{what} returned what cannot be stored: {why(error)}") from error


def check_version(where: str, version: object) -> int:
    """`version` as that of a task's parameters.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= MOST:
        raise ConfigurationError(
            f"{where}: version is {version!r}; expected a whole number from 1, one higher for each change of parameters"
        )
    return version


MOST: Final = 1_000_000  # what the wire takes; nobody changes a task that often

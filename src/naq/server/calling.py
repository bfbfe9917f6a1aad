"""Jobs of tasks whose code is not here: made, and checked, by what their workers have said of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from jsonschema_rs import Draft202012Validator, ReferencingError, ValidationError

from naq.app import Naq
from naq.backends.base import Backend
from naq.codec.envelope import JSON
from naq.config import Config
from naq.exceptions import SerializationError
from naq.server.problems import Problem
from naq.server.recall import Recall
from naq.task import JobSettings, Task, describe
from naq.task.call import Call
from naq.task.describe import Described

log = logging.getLogger("naq.server")

KNOWN_FOR: Final = 5.0  # seconds that what was said of a task is not looked up again
MOST: Final = 1_000  # tasks that are remembered
_MOST_ERRORS: Final = 20  # of one job that are told
_Error = dict[str, Any]


async def _anything(*args: Any, **kwargs: Any) -> Any:
    """A task of which nothing is known but its name."""


class Known:
    """A task as the server knows it: by what workers said (`described`; None: nothing), ready to be called.

    Attributes:
        version: that of its parameters.
    """

    def __init__(self, config: Config, name: str, described: Described | None) -> None:
        self._pickled: Final = described is not None and described.codec != JSON
        self.version: Final = 1 if described is None else described.version
        options: dict[str, Any] = {}
        if described is not None:
            options = {"queue": described.queue, "priority": described.priority, "version": described.version}
        fields: dict[str, Any] = {field: getattr(config, field) for field in config.__struct_fields__}
        app = Naq(config.namespace, **fields)
        app.task(name=name, **options)(_anything)
        self._task: Final[Task[..., Any]] = app.get_task(name)
        schema = {} if described is None else described.arguments
        self._positional: Final[list[str]] = schema.get("x-positional", [])
        self._named: Final = _validator(schema)
        self._rest: Final = _validator(schema.get("x-rest"))
        self._takes_more: Final = "x-rest" in schema

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any], **options: Any) -> Call[Any]:
        """A call, to be enqueued.

        Raises:
            Problem: ``invalid``; its arguments are none that the task takes, each with its place.
            ConfigurationError, SerializationError: its options cannot be.
        """
        self.check(args, kwargs)
        settings = cast("JobSettings", {name: value for name, value in options.items() if value is not None})
        return self._task.options(**settings).call(*args, **kwargs)

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Refuse arguments that the task does not take, as far as its workers have said what it takes.

        Raises:
            Problem: ``invalid``, with each place as a JSON Pointer into ``{"args": [...], "kwargs": {...}}``.
        """
        if errors := self._errors(args, kwargs):
            raise Problem("invalid", f"{self._task.name}: {errors[0]['message']}", errors=errors)

    def _errors(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[_Error]:
        if self._pickled:
            return [_error("", f"the arguments of {self._task.name} are pickled: only Python can call it", "pickled")]
        if self._named is None:
            return []
        found = list(self._misplaced(args, kwargs))
        by_place = self._positional[: len(args)]
        named = {**dict(zip(by_place, args, strict=False)), **kwargs}
        found += [_wrong(_pointer(error, by_place), error) for error in self._named.iter_errors(named)]
        if self._rest is not None:
            for place, value in enumerate(args[len(by_place) :], len(by_place)):
                found += [_wrong(f"/args/{place}{_steps(error.instance_path)}", error)
                          for error in self._rest.iter_errors(value)]  # fmt: skip
        return found[:_MOST_ERRORS]

    def _misplaced(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[_Error]:
        most = len(self._positional)
        if len(args) > most and not self._takes_more:
            yield _error(f"/args/{most}", f"it takes {most} by position, and {len(args)} are given", "too_many")
        for name in self._positional[: len(args)]:
            if name in kwargs:
                yield _error(f"/kwargs/{name}", f"{name} is given by position as well", "given_twice")


class Caller:
    """What the server has heard of tasks."""

    def __init__(self, config: Config) -> None:
        self.config: Final = config
        self._known: Final = Recall[str, Known](ttl=KNOWN_FOR, most=MOST)

    async def know(self, backend: Backend, task: str) -> Known:
        """What is known of `task`, as its workers have said it last."""
        if (known := self._known.get(task)) is None:
            entry = await backend.entry(describe.KIND, describe.key_of(task))
            known = Known(self.config, task, None if entry is None else _read(entry.value))
            self._known.put(task, known)
        return known


def _read(value: bytes) -> Described | None:
    try:
        return describe.decode(value)
    except SerializationError:  # of another version: the worker will check
        return None


def _validator(schema: dict[str, Any] | None) -> Draft202012Validator | None:
    """What checks by `schema`; None where there is none, or it is none that we can read: then the worker checks."""
    if not schema:
        return None
    try:
        return Draft202012Validator(schema, retriever=_refuse)
    except (ValueError, ReferencingError) as error:
        log.warning("the arguments of a task are not checked, its schema cannot be read: %s", error)
        return None


def _refuse(uri: str) -> Any:
    raise ValueError(f"schemas are not fetched: {uri}")


def _wrong(pointer: str, error: ValidationError) -> _Error:
    return _error(pointer, error.message, str(error.schema_path[-1]) if error.schema_path else "invalid")


def _error(pointer: str, message: str, code: str) -> _Error:
    return {"pointer": pointer, "code": code, "message": message}


def _pointer(error: ValidationError, by_place: Sequence[str]) -> str:
    """Where in ``{"args": ..., "kwargs": ...}`` that is which lies there among the named."""
    path = list(error.instance_path)
    if path and path[0] in by_place:
        return f"/args/{by_place.index(str(path[0]))}{_steps(path[1:])}"
    return f"/kwargs{_steps(path)}"


def _steps(path: Sequence[str | int]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)

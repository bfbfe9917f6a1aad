"""Whether a task takes arguments, by what its workers have said of it (`naq.task.describe`): its code is not needed.

Types are checked where jsonschema-rs is installed (``naq[server]``); names and numbers of arguments anywhere.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from naq.codec.envelope import JSON

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator, ValidationError

    from naq.task.describe import Described

log = logging.getLogger("naq.task")

_MOST: Final = 20  # errors of one job that are told
Error = dict[str, Any]
"""``pointer`` (a JSON Pointer into ``{"args": [...], "kwargs": {...}}``), ``code`` and ``message``."""


class Taken:
    """What a task takes; made once for many calls.

    Attributes:
        signature: its parameters, as one would write them.
    """

    def __init__(self, described: Described) -> None:
        schema = described.arguments
        self.signature: Final = described.signature
        self._name: Final = described.name
        self._pickled: Final = described.codec != JSON
        self._schema: Final = schema
        self._positional: Final[list[str]] = schema.get("x-positional", [])
        self._named: Final = _validator(schema)
        self._rest: Final = _validator(schema.get("x-rest"))
        self._takes_more: Final = "x-rest" in schema

    def errors(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Error]:
        """What is wrong with a call, as far as it can be told here; at most 20 errors, none where nothing is known."""
        if self._pickled:
            return [_error("", f"the arguments of {self._name} are pickled: only Python can call it", "pickled")]
        if not self._schema:
            return []
        found = list(self._misplaced(args, kwargs))
        by_place = self._positional[: len(args)]
        named = {**dict(zip(by_place, args, strict=False)), **kwargs}
        if self._named is None:
            found += self._misnamed(named)
        else:
            found += [_wrong(_pointer(error, by_place), error) for error in self._named.iter_errors(named)]
        if self._rest is not None:
            for place, value in enumerate(args[len(by_place) :], len(by_place)):
                found += [_wrong(f"/args/{place}{_steps(error.instance_path)}", error)
                          for error in self._rest.iter_errors(value)]  # fmt: skip
        return found[:_MOST]

    def _misplaced(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[Error]:
        most = len(self._positional)
        if len(args) > most and not self._takes_more:
            yield _error(f"/args/{most}", f"it takes {most} by position, and {len(args)} are given", "too_many")
        for name in self._positional[: len(args)]:
            if name in kwargs:
                yield _error(f"/kwargs/{name}", f"{name} is given by position as well", "given_twice")

    def _misnamed(self, named: Mapping[str, Any]) -> Iterator[Error]:
        for name in self._schema.get("required", []):
            if name not in named:
                yield _error("/kwargs", f'"{name}" is a required property', "required")
        known = self._schema.get("properties", {})
        for name in named:
            if name not in known and not self._schema.get("additionalProperties", True):
                yield _error("/kwargs", f"'{name}' was unexpected", "additionalProperties")


def _validator(schema: dict[str, Any] | None) -> Draft202012Validator | None:
    """What checks by `schema`; None where there is none, or it is none that we can read: then the worker checks."""
    if not schema:
        return None
    try:
        from jsonschema_rs import Draft202012Validator, ReferencingError
    except ImportError:  # naq alone
        return None
    try:
        return Draft202012Validator(schema, retriever=_refuse)
    except (ValueError, ReferencingError) as error:
        log.warning("the arguments of a task are not checked, its schema cannot be read: %s", error)
        return None


def _refuse(uri: str) -> Any:
    raise ValueError(f"schemas are not fetched: {uri}")


def _wrong(pointer: str, error: ValidationError) -> Error:
    return _error(pointer, error.message, str(error.schema_path[-1]) if error.schema_path else "invalid")


def _error(pointer: str, message: str, code: str) -> Error:
    return {"pointer": pointer, "code": code, "message": message}


def _pointer(error: ValidationError, by_place: Sequence[str]) -> str:
    """Where in ``{"args": ..., "kwargs": ...}`` that is which lies there among the named."""
    path = list(error.instance_path)
    if path and path[0] in by_place:
        return f"/args/{by_place.index(str(path[0]))}{_steps(path[1:])}"
    return f"/kwargs{_steps(path)}"


def _steps(path: Sequence[str | int]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)

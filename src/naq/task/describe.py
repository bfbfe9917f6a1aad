"""Tasks as others see them who do not have their code: what they are called with, as JSON Schema, and their options.

Workers keep a description of each of their tasks where the jobs are (entries of kind ``task``), so that a server, a
form or another language can call it.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import msgspec
from msgspec import Struct

from naq.backends.base import Entries
from naq.codec.envelope import JSON
from naq.codec.parameters import Parameter
from naq.exceptions import SerializationError
from naq.job import Priority

if TYPE_CHECKING:
    from naq.task.task import Task

log = logging.getLogger("naq.task")

RunsIn = Literal["event loop", "thread", "process"]

KIND: Final = "task"  # of entries, by `key_of` the task's name, which may have characters that keys have not
_LONGEST: Final = 4000  # characters of a docstring that are kept
_DEFS: Final = "#/$defs/"
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class Described(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task.

    Attributes:
        name, queue, priority, version, timeout, max_attempts: as declared; `timeout` in seconds, None: no limit.
        runs_in: where its attempts run.
        module: where its function is.
        help: its docstring.
        signature: as one would write it.
        arguments: JSON Schema of an object with a property a parameter; those that may be given by position are in
            ``x-positional``, in their order.
        result: JSON Schema of what it returns.
        codec: "json", or "pickle": nobody but Python can call it then.
        app: of which app.
        at: UNIX seconds of when a worker said so.
    """

    name: str
    queue: str = "default"
    priority: Priority = "normal"
    version: int = 1
    timeout: float | None = None
    max_attempts: int = 1
    module: str = ""
    help: str = ""
    signature: str = ""
    arguments: dict[str, Any] = {}
    result: dict[str, Any] = {}
    codec: str = JSON
    runs_in: RunsIn = "event loop"
    app: str = ""
    at: float = 0.0


_decode: Final = msgspec.json.Decoder(Described).decode


def key_of(name: str) -> str:
    """The key of a task's entry."""
    return blake2b(name.encode(), digest_size=16).hexdigest()


def describe(task: Task[..., Any], *, app: str, at: float) -> Described:
    """`task` as others see it."""
    parameters = task.signature.parameters
    declared = task.declared
    return Described(
        name=task.name,
        queue=declared.queue,
        priority=declared.priority,
        version=declared.version,
        timeout=declared.timeout,
        max_attempts=declared.retry.max_attempts,
        module=str(getattr(task.func, "__module__", "")),
        help=(inspect.getdoc(task.func) or "")[:_LONGEST],
        signature=str(parameters.signature)[:_LONGEST],
        arguments=_arguments(task),
        result=schema_of(parameters.result.annotation),
        codec=task.signature.codec,
        runs_in="process" if task.in_process else "event loop" if task.is_async else "thread",
        app=app,
        at=at,
    )


def encode(described: Described) -> bytes:
    """The form in which it is kept."""
    return _encode(described)


def decode(value: bytes) -> Described:
    """What `encode` made.

    Raises:
        SerializationError: it is something else.
    """
    try:
        return _decode(value)
    except msgspec.MsgspecError as error:
        raise SerializationError(f"this is no description of a task: {error}") from error


async def said(backend: Entries) -> dict[str, Described]:
    """The tasks that workers have described within `record_ttl`, by name; what cannot be read is left out, and logged.

    Raises:
        NaqConnectionError: the backend cannot be asked.
    """
    found: dict[str, Described] = {}
    for entry in await backend.entries(KIND):
        try:
            one = decode(entry.value)
        except SerializationError as error:
            log.warning("what a worker said of a task is left out: %s", error)
        else:
            found[one.name] = one
    return found


def schema_of(annotation: Any) -> dict[str, Any]:
    """JSON Schema of a type; {} (anything) where it has none that can be told."""
    if hasattr(annotation, "model_json_schema"):
        found: dict[str, Any] = annotation.model_json_schema()
        return found
    try:
        return msgspec.json.schema(annotation)
    except (TypeError, RecursionError):
        return {}


def _arguments(task: Task[..., Any]) -> dict[str, Any]:
    parameters = task.signature.parameters
    named = {**{one.name: one for one in parameters.positional}, **parameters.by_name}
    shared: dict[str, Any] = {}
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: _lifted(_property(one, parameters.signature), shared) for name, one in named.items()},
        "required": [name for name, one in named.items() if one.required],
        "additionalProperties": parameters.extra is not None,
        "x-positional": [one.name for one in parameters.positional],
    }
    if parameters.rest is not None:
        schema["x-rest"] = schema_of(parameters.rest.annotation)
    if shared:
        schema["$defs"] = shared
    return schema


def _lifted(schema: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """`schema` of one parameter as a part of that of all.

    References count from the root, so that its ``$defs`` go to `shared`; a name that is taken there gets a number.
    """
    defs = schema.pop("$defs", {})
    names: dict[str, str] = {}
    for name, meaning in defs.items():
        new, number = name, 1
        while shared.get(new, meaning) != meaning:
            number += 1
            new = f"{name}_{number}"
        names[name] = new
    for name, new in names.items():
        shared[new] = _renamed(defs[name], names)
    return _renamed(schema, names)


def _renamed(part: Any, names: Mapping[str, str]) -> Any:
    if isinstance(part, dict):
        found = cast("dict[str, Any]", part)
        return {
            key: f"{_DEFS}{names.get(value.removeprefix(_DEFS), value.removeprefix(_DEFS))}"
            if key == "$ref" and isinstance(value, str) and value.startswith(_DEFS)
            else _renamed(value, names)
            for key, value in found.items()
        }
    return [_renamed(each, names) for each in cast("list[Any]", part)] if isinstance(part, list) else part


def _property(one: Parameter, signature: inspect.Signature) -> dict[str, Any]:
    found = dict(schema_of(one.annotation))
    default = signature.parameters[one.name].default
    if default is not inspect.Parameter.empty:
        try:
            found["default"] = msgspec.to_builtins(default)
        except (TypeError, RecursionError):
            found.pop("default", None)
    return found

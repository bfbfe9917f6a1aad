"""Encoded arguments -> what to call a task with; in the worker, or in the child process that runs the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Raw

from naq.codec.codecs import get_codec
from naq.codec.envelope import JSON

if TYPE_CHECKING:
    from naq.task import Task


def read_arguments(
    task: Task[..., Any], codec: str, args: Raw, kwargs: Raw
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """What to call `task` with. `codec` is one that this worker has opted into: the reader let the message through.

    Raises:
        SerializationError: they do not fit the task. Validators of the user's types may raise anything else.
    """
    if codec == JSON:
        return task.signature.decode(args, kwargs)
    return get_codec(codec).decode(task.signature, args, kwargs)

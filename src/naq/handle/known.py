"""What this process knows of the task of a job that it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from naq.connections import Host

if TYPE_CHECKING:
    from naq.task import Task
    from naq.task.call import Call


def item_reader(call: Call[Any] | None, host: Host) -> Callable[[str, Raw], Any]:
    """What decodes items of a stream: typed where the task is known here, plain JSON where it is not."""
    if call is not None:
        signature = call.plan.signature
        return lambda _, raw: signature.decode_item(raw)
    tasks: Mapping[str, Task[..., Any]] = getattr(host, "tasks", {})

    def decode(task: str, raw: Raw) -> Any:
        known = tasks.get(task)
        return msgspec.json.decode(raw) if known is None else known.signature.decode_item(raw)

    return decode


def tasks_of(call: Call[Any] | None, host: Host) -> Mapping[str, Task[..., Any]]:
    """The tasks that are known here: those of the app that `host` is, or the one that `call` is of."""
    known: Mapping[str, Task[..., Any]] = getattr(host, "tasks", {})
    if not known and call is not None:
        known = getattr(call.plan.host, "tasks", {})
    return known

"""Putting back what was hidden: who edits arguments sends those that nobody may see back as they were shown."""

from __future__ import annotations

from typing import Any, cast

from naq.server.access.redact import HIDDEN, Redactor
from naq.server.problems import wrong


def restored(given: Any, stored: Any, redact: Redactor, *path: str) -> Any:
    """`given`, which lies at `path`, with what is ``[hidden]`` in it as it is in `stored` at the same place.

    Raises:
        Problem: ``invalid``; there is nothing hidden at that place, so nobody knows what was meant.
    """
    if given == HIDDEN:
        if redact(stored, *path) != HIDDEN:
            pointer = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)
            raise wrong(pointer, f"{HIDDEN} stands for a value that is not here: give the value")
        return stored
    if isinstance(given, dict):
        before: dict[str, Any] = cast("dict[str, Any]", stored) if isinstance(stored, dict) else {}
        items = cast("dict[str, Any]", given)
        return {key: restored(item, before.get(key), redact, *path, key) for key, item in items.items()}
    if isinstance(given, list):
        there: list[Any] = cast("list[Any]", stored) if isinstance(stored, list) else []
        listed = cast("list[Any]", given)
        return [
            restored(item, there[at] if at < len(there) else None, redact, *path, str(at))
            for at, item in enumerate(listed)
        ]
    return given

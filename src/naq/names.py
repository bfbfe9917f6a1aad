"""Which names are names: the one place that says what a queue, task, job id, tag or namespace may be called.

A name travels in broker subjects, file names, URLs and logs, so the rule is narrow and the same everywhere: letters,
digits, ``_`` and ``-``; task names also ``.`` and ``:``. Everything else is refused before the wire.
"""

from __future__ import annotations

import re
from typing import Final

from naq.exceptions import ConfigurationError

MAX_TOKEN: Final = 64  # characters; keeps a full subject well under the server's 4 KiB control line
MAX_TASK: Final = 200  # characters; module path plus qualified name
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_TASK: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,199}", re.ASCII)

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,3}", re.ASCII)

_EVENT: Final = re.compile(r"[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,7}", re.ASCII)

is_token = _TOKEN.fullmatch
is_task_name = _TASK.fullmatch


def _refuse(kind: str, value: object, rule: str) -> ConfigurationError:
    shown = repr(value)
    return ConfigurationError(f"{kind} {shown[:80]}{'…' if len(shown) > 80 else ''} is not allowed: use {rule}")


def check_token(kind: str, value: str) -> str:
    """`value`, if it may name a `kind` ("queue", "job id", "namespace", "tag").

    Raises:
        ConfigurationError: says what is allowed.
    """
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _refuse(kind, value, "1 to 64 letters, digits, '_' or '-'")
    return value


def check_task(value: str) -> str:
    """`value`, if it may name a task.

    Raises:
        ConfigurationError: says what is allowed.
    """
    if not isinstance(value, str) or not _TASK.fullmatch(value):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _refuse("task name", value, "1 to 200 letters, digits, '_', '-', '.' or ':', beginning with a letter")
    return value


def check_key(kind: str, key: str) -> str:
    """`key`, if it may name an entry of `kind`: one to four names joined by ``.``.

    Raises:
        ConfigurationError: says what is allowed.
    """
    if not isinstance(key, str) or not _KEY.fullmatch(key):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _refuse(f"key of {kind}", key, "1 to 4 names joined by '.', each 1 to 64 letters, digits, '_' or '-'")
    return key


def check_event(name: str) -> str:
    """`name`, if it may name an event: one to eight words joined by ``.``, such as ``order.placed``.

    Raises:
        ConfigurationError: says what is allowed.
    """
    if not isinstance(name, str) or not _EVENT.fullmatch(name):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _refuse("event", name, "1 to 8 words joined by '.', each 1 to 64 letters, digits, '_' or '-'")
    return name

"""What nobody is shown: values of arguments and results, by the names and paths that the settings list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, Final, cast

import msgspec

HIDDEN: Final = "[hidden]"
#: Whether who asks now is shown no arguments and results at all (`Curtain`); set for each request.
curtained: Final[ContextVar[bool]] = ContextVar("naq_server_curtained", default=False)
_ESCAPED: Final = re.compile(r'["\\/\x00-\x1f]')  # what JSON may write otherwise, but for \\u


class Redactor:
    """Hides what `rules` say: a name hides the value of every key of that name, at any depth; a path such as
    ``args.0.card`` or ``kwargs.user.*`` what lies there (a ``*`` is any one step).
    """  # noqa: D205

    def __init__(self, rules: Sequence[str]) -> None:
        self._names = frozenset(rule.casefold() for rule in rules if "." not in rule)
        self._paths = [tuple(rule.split(".")) for rule in rules if "." in rule]
        # Of a path, what must be in the JSON as the name of a key: its first step may be but said, a digit counts.
        self._needed = [[step for step in rule[1:] if step != "*" and not step.isdigit()] for rule in self._paths]
        self._is_plain = not any(_ESCAPED.search(rule) or rule.isdigit() for rule in rules)

    def hide(self, text: str, *path: str) -> str:
        """JSON `text`, which lies at `path`, with what is to be hidden hidden; most has no such names, and stays."""
        if not self._may_fit(text, path):
            return text
        return msgspec.json.encode(self(msgspec.json.decode(text), *path)).decode()

    def _may_fit(self, text: str, path: tuple[str, ...]) -> bool:
        """Whether a rule may fit something in JSON `text`: seen without reading it, fifty times as fast."""
        if not self._is_plain or "\\u" in text:  # names may be written otherwise than they are
            return True
        folded = ".".join((text, *path)).casefold()
        for name in self._names:  # no `any`: this is asked twice for each job of the history, and takes a third so
            if name in folded:
                return True
        return any(all(step in text for step in steps) for steps in self._needed) if self._needed else False

    def __call__(self, value: Any, *path: str) -> Any:
        """`value`, which lies at `path`, with what is to be hidden hidden; the original stays as it is."""
        if path and (path[-1].casefold() in self._names or any(_fits(rule, path) for rule in self._paths)):
            return HIDDEN
        if isinstance(value, dict):
            items = cast("dict[str, Any]", value)
            return {key: self(item, *path, str(key)) for key, item in items.items()}
        if isinstance(value, list):
            listed = cast("list[Any]", value)
            return [self(item, *path, str(number)) for number, item in enumerate(listed)]
        return value


class Curtain(Redactor):
    """Hides all arguments and results: of arguments it shows how many there are, and what they are called."""

    def __call__(self, value: Any, *path: str) -> Any:
        """See `Redactor`."""
        if value is None or not path or path[0] not in {"args", "kwargs", "result"}:
            return super().__call__(value, *path)
        if path == ("args",) and isinstance(value, list):
            return [HIDDEN for _ in cast("list[Any]", value)]
        if path == ("kwargs",) and isinstance(value, dict):
            return dict.fromkeys(cast("dict[str, Any]", value), HIDDEN)
        return HIDDEN


def _fits(rule: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return len(rule) == len(path) and all(one in {"*", step} for one, step in zip(rule, path, strict=True))

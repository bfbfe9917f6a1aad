"""What nobody is shown: values of arguments and results, by the names and paths that the settings list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

HIDDEN: Final = "[hidden]"


class Redactor:
    """Hides what `rules` say: a name hides the value of every key of that name, at any depth; a path such as
    ``args.0.card`` or ``kwargs.user.*`` what lies there (a ``*`` is any one step).
    """  # noqa: D205

    def __init__(self, rules: Sequence[str]) -> None:
        self._names = frozenset(rule.casefold() for rule in rules if "." not in rule)
        self._paths = [tuple(rule.split(".")) for rule in rules if "." in rule]

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


def _fits(rule: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return len(rule) == len(path) and all(one in {"*", step} for one, step in zip(rule, path, strict=True))

"""What a filter may go on with while somebody writes it: keys, and values that the history knows."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, Final, Literal, cast

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.job import PRIORITIES, JobState
from naq.server.filters import IS, KEYS
from naq.server.store.queries import errors, fleet, sample

RECENT: Final = 100  # jobs whose arguments say which paths there are
DEPTH: Final = 3  # steps of a path that is suggested
_LONGEST: Final = 100  # characters of a value that is suggested
_LAST: Final = re.compile(r'-?(?:"(?:[^"\\]|\\.)*"?|[^\s"])*\Z')
_NO_QUOTES: Final = re.compile(r'[^\s",*<>]+')
_MOMENTS: Final = ("<5m", "<1h", "<24h", "<7d")
_FIXED: Final[dict[str, tuple[str, ...]]] = {
    "state": tuple(state.value for state in JobState), "priority": PRIORITIES, "is": tuple(IS),
    "created": _MOMENTS, "started": _MOMENTS, "finished": _MOMENTS, "due": _MOMENTS,
    "duration": (">1s", ">10s", ">1m"), "wait": (">1s", ">10s", ">1m"), "attempt": (">1",), "run": (">1",),
}  # fmt: skip
Find = Callable[[AsyncConnection, str, int], Awaitable[Iterable[str]]]


class Suggestion(BaseModel):
    """A term, or the beginning of one that needs a value."""

    text: str
    kind: Literal["key", "value"]


async def suggest(connection: AsyncConnection, text: str, *, most: int) -> tuple[int, list[Suggestion]]:
    """Where the last term of `text` begins, and what it may become."""
    found = _LAST.search(text)
    at = len(text) if found is None else found.start()
    term = text[at:]
    sign, term = ("-", term[1:]) if term.startswith("-") else ("", term)
    key, colon, begin = term.partition(":")
    if not colon:
        names = await _keys(connection, key)
        keys = [Suggestion(text=f"{sign}{name}:", kind="key") for name in names if name.startswith(key)]
        tasks = await _tasks(connection, key, most) if key else []
        return at, [*keys, *(_value(sign, "task", task) for task in tasks)][:most]
    *before, begin = begin.split(",")
    taken = "".join(f"{each}," for each in before)
    values = await _values(connection, key, begin.strip('"'), most)
    return at, [_value(sign, key, value, taken) for value in values][:most]


async def _keys(connection: AsyncConnection, begin: str) -> list[str]:
    if begin.startswith("args."):
        return [f"args.{path}" for path, _ in await _paths(connection)]
    if begin.startswith("meta."):
        return [f"meta.{name}" for name in await sample.tag_names(connection, begin[5:], most=RECENT)]
    return [key.replace("NAME", "").replace("PATH", "") for key in KEYS]


async def _values(connection: AsyncConnection, key: str, begin: str, most: int) -> list[str]:
    """Values of `key`; of those that are found by a part of them, the ones that begin with it first."""
    if key in _FIXED:
        return [value for value in _FIXED[key] if value.startswith(begin)]
    if key == "tag":
        return await _tags(connection, begin, most)
    if key.startswith("meta."):
        return await sample.tag_values(connection, key[5:], begin, most=most)
    if key.startswith("args."):
        values = next((values for path, values in await _paths(connection) if path == key[5:]), Counter[str]())
        return [value for value, _ in values.most_common() if value.startswith(begin)]
    find = _FINDS.get(key)
    return [] if find is None else list(await find(connection, begin, most))


async def _tags(connection: AsyncConnection, begin: str, most: int) -> list[str]:
    name, sign, value = begin.partition("=")
    if not sign:
        return [f"{found}=" for found in await sample.tag_names(connection, name, most=most)]
    return [f"{name}={found}" for found in await sample.tag_values(connection, name, value, most=most)]


async def _tasks(connection: AsyncConnection, part: str, most: int) -> list[str]:
    return _fitting((one.name for one in await fleet.find_tasks(connection)), part, most)


async def _queues(connection: AsyncConnection, part: str, most: int) -> list[str]:
    return _fitting((one.name for one in await fleet.find_queues(connection)), part, most)


async def _workers(connection: AsyncConnection, part: str, most: int) -> list[str]:
    return _fitting((one.id for one in await fleet.find_workers(connection)), part, most)


async def _types(connection: AsyncConnection, part: str, most: int) -> list[str]:
    return _fitting((one.type for one in await errors.find(connection, limit=RECENT)), part, most)


async def _fingerprints(connection: AsyncConnection, part: str, most: int) -> list[str]:
    return _fitting((one.fingerprint for one in await errors.find(connection, limit=RECENT)), part, most)


async def _schedules(connection: AsyncConnection, begin: str, most: int) -> list[str]:
    return await sample.schedules(connection, begin, most=most)


_FINDS: Final[dict[str, Find]] = {
    "task": _tasks, "queue": _queues, "worker": _workers, "type": _types, "fingerprint": _fingerprints,
    "schedule": _schedules,
}  # fmt: skip


def _fitting(names: Iterable[str], part: str, most: int) -> list[str]:
    folded = part.casefold()
    found = [name for name in dict.fromkeys(names) if folded in name.casefold()]
    return sorted(found, key=lambda name: (not name.casefold().startswith(folded), name))[:most]


async def _paths(connection: AsyncConnection) -> list[tuple[str, Counter[str]]]:
    """Paths into the arguments of recent jobs, the most frequent first, each with the values that lie there."""
    found: dict[str, Counter[str]] = {}
    for text in await sample.arguments(connection, (), most=RECENT):
        try:
            called = json.loads(text)
        except ValueError:  # it was cut
            continue
        for part in ("args", "kwargs"):
            for path, value in _leaves(called.get(part), ()):
                found.setdefault(".".join(path), Counter())[value] += 1
    return sorted(found.items(), key=lambda item: (-item[1].total(), item[0]))


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict | list):
        if len(path) >= DEPTH:
            return
        inside = cast("dict[Any, Any] | list[Any]", value)
        for step, each in inside.items() if isinstance(inside, dict) else enumerate(inside):
            if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", str(step), re.ASCII):
                yield from _leaves(each, (*path, str(step)))
    elif path:
        text = value if isinstance(value, str) else json.dumps(value)
        if text and len(text) <= _LONGEST:
            yield path, text


def _value(sign: str, key: str, value: str, taken: str = "") -> Suggestion:
    begun = key == "tag" and value.endswith("=")
    plain = key in _FIXED or _NO_QUOTES.fullmatch(value) is not None
    shown = value if plain else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return Suggestion(text=f"{sign}{key}:{taken}{shown}", kind="key" if begun else "value")

"""The words that say which jobs: ``state:failed,expired -queue:mail duration:>5s created:<1h "two words"``.

Terms are separated by spaces and must all hold. ``key:value[,value]`` is one of the values, ``-key:...`` none of them;
``args.to:bob``, ``args.n:>5`` and ``result.rows.0:5`` look into
arguments and results, by names and positions; ``meta.team:shop`` is another way to write ``tag:team=shop``.
``*`` at the end of a value is any ending. ``key:>v``, ``key:<v`` and ``key:a..b`` are bounds of numbers, durations
(``5s``, ``2h``) and moments (``2026-11-28``, ``2026-11-28T10:00Z``, or an age: ``created:<1h`` is the last hour). A
word without a key is the beginning of an id, or somewhere in a task's name. Quotes keep spaces together.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Literal, cast

from msgspec import Struct
from msgspec.json import encode as _encode
from msgspec.structs import replace

from naq import clock
from naq.config.fields import read_seconds
from naq.config.suggest import hint
from naq.job import PRIORITIES, JobState
from naq.server.problems import Problem
from naq.server.store.conditions import (
    Absent,
    Among,
    At,
    Begins,
    Between,
    Condition,
    Contains,
    Document,
    Every,
    Field,
    Long,
    Measure,
    Tagged,
    Than,
)
from naq.server.store.rows import micros

_TERM: Final = re.compile(
    r'(-?)(?:((?:args|result|meta)\.[A-Za-z0-9_.-]+|[A-Za-z_]+):)?("(?:[^"\\]|\\.)*"?|[^\s"]+)', re.ASCII
)
_STEP: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_MOST_STEPS: Final = 8  # of a path
_SPACE: Final = re.compile(r"\s+")
_AMONG: Final[dict[str, Field]] = {
    "id": "id", "task": "task", "queue": "queue", "priority": "priority", "state": "state", "worker": "worker",
    "parent": "parent_id", "root": "root_id", "schedule": "schedule", "key": "key", "fingerprint": "fingerprint",
    "type": "error_type", "trace": "trace",
}  # fmt: skip
_MOMENTS: Final[dict[str, Measure]] = {
    "created": "created_at", "started": "started_at", "finished": "finished_at", "due": "run_at",
}  # fmt: skip
_DURATIONS: Final[dict[str, Measure]] = {"duration": "duration_us", "wait": "wait_us"}
_NUMBERS: Final[dict[str, Measure]] = {"attempt": "attempt", "run": "run"}
_LONG: Final[dict[str, Long]] = {"error": "error", "reason": "reason", "args": "args", "result": "result"}
LATE: Final = 60.0  # seconds behind its time after which a job that has not started is late
STUCK: Final = 3600.0  # seconds that a job runs after which somebody should look
_DUE: Final = Among("state", ("queued", "scheduled", "retrying"))
IS: Final[dict[str, Callable[[float], Condition]]] = {
    "retried": lambda _: Between("attempt", 2),
    "rerun": lambda _: Between("run", 2),
    "dead": lambda _: Among("state", ("failed",)),
    "slow": lambda _: Between("duration_us", 60_000_000),
    "unfinished": lambda _: Among("state", ("scheduled", "blocked", "queued", "running", "retrying")),
    "root": lambda _: Absent("parent_id"),
    "late": lambda now: Every((_DUE, Between("due_at", None, micros(now - LATE)))),
    "stuck": lambda now: Every((Among("state", ("running",)), Between("started_at", None, micros(now - STUCK)))),
}
KEYS: Final = (*_AMONG, *_MOMENTS, *_DURATIONS, *_NUMBERS, *_LONG, "tag", "meta.NAME", "args.PATH", "result.PATH", "is")
_CLOSED: Final[dict[str, tuple[str, ...]]] = {"state": tuple(JobState), "priority": PRIORITIES}
_LONGEST: Final = 500  # characters of one value
_MOST_VALUES: Final = 50
_PLAIN: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?|true|false|null", re.ASCII)  # what is no text in JSON
Bound = Literal[">", ">=", "<", "<="]
_BOUND: Final = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)
_ID_LIKE: Final = re.compile(r"[0-9][0-9A-Z]{2,}", re.ASCII)


class Filter(Struct, frozen=True):
    """A filter that was read: its conditions, and itself in one fixed spelling."""

    conditions: tuple[Condition, ...]
    text: str


NONE: Final = Filter((), "")


def read_filter(text: str, *, most: int, pointer: str = "/query/filter") -> Filter:
    """`text` as conditions.

    Raises:
        Problem: ``invalid_filter``, with every term that is wrong.
    """
    conditions: list[Condition] = []
    errors: list[dict[str, Any]] = []
    terms: list[str] = []
    place = 0
    while place < len(text):
        if space := _SPACE.match(text, place):
            place = space.end()
            continue
        found = _TERM.match(text, place)
        end = found.end() if found else place + 1
        term = text[place:end]
        try:
            if found is None:
                raise ValueError("a quote or a sign stands alone here")
            conditions += _read(found[2], _unquote(found[3]), negated=bool(found[1]), quoted=found[3].startswith('"'))
            terms.append(term)
        except ValueError as error:
            errors.append(
                {"pointer": pointer, "code": "invalid_filter", "message": f"{term[:80]!r} at {place}: {error}"}
            )
        place = end
        if len(terms) + len(errors) > most:
            errors.append({"pointer": pointer, "code": "invalid_filter", "message": f"more than {most} terms"})
            break
    if errors:
        raise Problem("invalid_filter", "; ".join(str(error["message"]) for error in errors[:3]), errors=errors)
    return Filter(tuple(conditions), " ".join(terms))


def _read(  # noqa: C901, PLR0911, PLR0912 - one for each kind of key
    key: str | None, value: str, *, negated: bool, quoted: bool
) -> list[Condition]:
    """One term as conditions. Raises ValueError with what is wrong."""
    if not value:
        raise ValueError("there is no value behind it")
    if len(value) > _LONGEST:
        raise ValueError(f"its value is longer than {_LONGEST} characters")
    if "\0" in value:
        raise ValueError("it has a NUL character")
    if key is None:
        if value.endswith(":") and not quoted:
            raise ValueError("there is no value behind it")
        if _ID_LIKE.fullmatch(value) and not quoted:
            return [Begins("id", value, negated)]
        return [Contains("task", value, negated)]
    if "." in key:
        return [_inside(*key.split("."), value=value, negated=negated, quoted=quoted)]
    if key in _LONG:
        return [Contains(_LONG[key], value, negated)]
    if key == "tag":
        return [_tag(value, negated=negated)]
    if key == "is":
        return _is(value, negated=negated)
    if key in _AMONG:
        return [_among(key, value, negated=negated, quoted=quoted)]
    for known, read in ((_MOMENTS, _moment), (_DURATIONS, _duration), (_NUMBERS, _number)):
        if key in known:
            return [_between(known[key], value, read, negated=negated)]
    raise ValueError(f"there is no key {key!r}; {hint(key, KEYS)}")


def _among(key: str, value: str, *, negated: bool, quoted: bool) -> Condition:
    values = (value,) if quoted else tuple(dict.fromkeys(part for part in value.split(",") if part))
    if not values or len(values) > _MOST_VALUES:
        raise ValueError(f"give 1 to {_MOST_VALUES} values")
    for each in values:
        if key in _CLOSED and each not in _CLOSED[key]:
            raise ValueError(f"there is no {key} {each[:40]!r}; {hint(each, [str(known) for known in _CLOSED[key]])}")
    if not quoted and any("*" in each for each in values):
        if key not in {"id", "task", "queue", "worker"} or len(values) > 1 or value.find("*") != len(value) - 1:
            raise ValueError("a * may stand at the end of one id, task, queue or worker")
        return Begins(cast("Any", key), value[:-1], negated)
    return Among(_AMONG[key], values, negated)


def _tag(value: str, *, negated: bool) -> Condition:
    name, sign, rest = value.partition("=")
    if not name or not sign:
        raise ValueError("write a tag as tag:name=value")
    return Tagged(name, rest, negated)


def _inside(what: str, *path: str, value: str, negated: bool, quoted: bool) -> Condition:
    """A term about what lies at a path."""
    if what == "meta":
        return Tagged(".".join(path), value, negated)
    if len(path) > _MOST_STEPS or not all(map(_STEP.fullmatch, path)):
        raise ValueError(f"a path is up to {_MOST_STEPS} names or positions, with dots between")
    document = cast("Document", what)
    if document == "args":
        path = ("args" if path[0].isdecimal() else "kwargs", *path)
    if not quoted and (value[0] in "<>" or ".." in value):
        return Than(document, path, _bounds(value), negated)
    if not quoted and value.endswith("*"):
        return At(document, path, (_encode(value[:-1])[:-1].decode(),), begins=True, negated=negated)
    given = (value,) if quoted else tuple(dict.fromkeys(part for part in value.split(",") if part))
    if not 1 <= len(given) <= _MOST_VALUES:
        raise ValueError(f"give 1 to {_MOST_VALUES} values")
    texts = [_encode(each).decode() for each in given]
    plain = [each for each in given if not quoted and _PLAIN.fullmatch(each)]
    return At(document, path, (*texts, *plain), negated=negated)


def _bounds(value: str) -> tuple[tuple[Bound, str], ...]:
    """``>5``, ``<=0.5`` or ``1..5``, of which either end may be left open, as bounds of a number."""
    if value[0] in "<>":
        sign: Bound = cast("Bound", value[: 2 if value[1:2] == "=" else 1])
        found: list[tuple[Bound, str]] = [(sign, value.removeprefix(sign))]
    else:
        low, _, high = value.partition("..")
        ends: tuple[tuple[Bound, str], ...] = ((">=", low), ("<=", high))
        found = [(end, bound) for end, bound in ends if bound]
    if not found:
        raise ValueError("give at least one end of the range")
    if (wrong := next((bound for _, bound in found if not _BOUND.fullmatch(bound)), None)) is not None:
        raise ValueError(
            f"{wrong[:40]!r} is no number, and what lies at a path is compared with no other bounds;"
            " put it in quotes if it is a value"
        )
    return tuple(found)


def _is(value: str, *, negated: bool) -> list[Condition]:
    if (make := IS.get(value)) is None:
        raise ValueError(f"there is no is:{value[:40]}; {hint(value, IS)}")
    found = make(clock.now())
    if isinstance(found, Every) and not negated:
        return [*found.parts]  # each by itself, so that an index may serve it
    return [replace(found, negated=negated)]


Reader = Callable[[str], tuple[int, int]]


def _between(measure: Measure, value: str, read: Reader, *, negated: bool) -> Condition:
    """Bounds. A reader says the interval that its text stands for; of an age, it is turned round already."""
    if ".." in value:
        first, _, last = value.partition("..")
        low = read(first)[0] if first else None
        high = read(last)[1] if last else None
        if low is not None and high is not None and low > high:
            low, high = read(last)[0], read(first)[1]  # of ages, the longer one is the earlier moment
        if low is None and high is None:
            raise ValueError("give at least one end of the range")
        return Between(measure, low, high, negated)
    sign, rest = (value[0], value[1:]) if value[0] in "<>" else ("", value)
    equal = rest.startswith("=")
    low, high = read(rest.removeprefix("="))
    if sign and measure.endswith("_at") and _is_age(rest.removeprefix("=")):
        sign = "<" if sign == ">" else ">"  # older than an hour is before the moment an hour ago
    match sign:
        case ">":
            return Between(measure, low if equal else high, None, negated)
        case "<":
            return Between(measure, None, high if equal else low, negated)
        case _:
            return Between(measure, low, high, negated)


def _is_age(text: str) -> bool:
    try:
        read_seconds(text)
    except ValueError:
        return False
    return not re.fullmatch(r"[0-9]{4}", text.strip())


def _moment(text: str) -> tuple[int, int]:
    if _is_age(text):
        at = micros(clock.now() - read_seconds(text))
        return at, at + 1
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text[:40]!r} is no moment: write 2026-11-28, 2026-11-28T10:00Z, or an age such as 1h"
        ) from None
    at = micros((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
    return at, at + (86_400_000_000 if len(text) <= 10 else 1)


def _duration(text: str) -> tuple[int, int]:
    try:
        us = micros(read_seconds(text))
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no duration: write 250ms, 5s, 2h") from None
    return us, us + 1


def _number(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise ValueError(f"{text[:40]!r} is no whole number")
    return int(text), int(text) + 1


def _unquote(text: str) -> str:
    if not text.startswith('"'):
        return text
    if len(text) < 2 or not text.endswith('"') or (text.endswith('\\"') and not text.endswith('\\\\"')):
        raise ValueError("its quote has no end")
    return re.sub(r"\\(.)", r"\1", text[1:-1])

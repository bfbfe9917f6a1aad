"""What a list of jobs is narrowed down by. Frozen values; which index serves them is `queries.plan`'s matter."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Field = Literal[
    "id", "task", "queue", "priority", "state", "worker", "parent_id", "root_id", "schedule", "key", "fingerprint",
    "error_type", "trace",
]  # fmt: skip
Measure = Literal[
    "created_at", "started_at", "finished_at", "run_at", "due_at", "duration_us", "wait_us", "attempt", "run"
]  # fmt: skip
Document = Literal["args", "result"]
Long = Literal["task", "error", "reason", "args", "result"]


class Among(Struct, frozen=True):
    """`field` has one of `values`; none of them where `negated`."""

    field: Field
    values: tuple[str, ...]
    negated: bool = False


class Between(Struct, frozen=True):
    """``low <= measure < high``; None: no bound. What has no value is never between.

    ``due_at`` is `run_at`, and `created_at` of a job that had no time to wait for.
    """

    measure: Measure
    low: int | None = None
    high: int | None = None
    negated: bool = False


class Begins(Struct, frozen=True):
    """`field` begins with `text`."""

    field: Literal["id", "task", "queue", "worker"]
    text: str
    negated: bool = False


class Contains(Struct, frozen=True):
    """`text` is somewhere in a long `field`; capitals of ASCII or not."""

    field: Long
    text: str
    negated: bool = False


class Tagged(Struct, frozen=True):
    """It has the tag `name`, with this `value`."""

    name: str
    value: str
    negated: bool = False


class At(Struct, frozen=True):
    """What lies at `path` in the JSON of `document` is one of `values`, or where `begins` a text that begins with it.

    Steps that are digits count from 0 in an array. `values` are JSON. What was not stored whole has nothing anywhere.
    """

    document: Document
    path: tuple[str, ...]
    values: tuple[str, ...]
    begins: bool = False
    negated: bool = False


class Than(Struct, frozen=True):
    """The number at `path` in the JSON of `document` keeps to all of `bounds`; what is no number never does.

    Numbers of a bound are as they are written in JSON. Otherwise as `At`.
    """

    document: Document
    path: tuple[str, ...]
    bounds: tuple[tuple[Literal[">", ">=", "<", "<="], str], ...]
    negated: bool = False


class Absent(Struct, frozen=True):
    """`field` has no value; one, where `negated`."""

    field: Field
    negated: bool = False


class Every(Struct, frozen=True):
    """Every one of `parts` holds; not all of them, where `negated`."""

    parts: tuple[Among | Between, ...]
    negated: bool = False


Condition = Among | Between | Begins | Contains | Tagged | At | Than | Absent | Every


def looks_inside(condition: Condition) -> bool:
    """Whether it is about arguments or results."""
    return isinstance(condition, At | Than) or (
        isinstance(condition, Contains) and condition.field in {"args", "result"}
    )


Sort = Literal["created_at", "started_at", "finished_at", "duration_us"]


class JobQuery(Struct, frozen=True, kw_only=True):
    """A page of jobs.

    Attributes:
        conditions: all of them hold.
        sort: by what; jobs without a value are left out (those that have not started, ended).
        descending: the newest, or longest, first.
        limit: at most so many, 1 to 1,000.
        after: the sort value and id of the row behind which the page begins; None: the first one.
        backwards: the page that ends before `after` instead, in the same order.
    """

    conditions: tuple[Condition, ...] = ()
    sort: Sort = "created_at"
    descending: bool = True
    limit: int = 50
    after: tuple[int, str] | None = None
    backwards: bool = False

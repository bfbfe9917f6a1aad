"""Finding jobs: what a filter's jobs have in common, when they were and how long they took, and what to write next."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Final, Literal

from fastapi import Query, Request

from naq.server.access.redact import curtained
from naq.server.api.gate import asked_filter, core_of
from naq.server.api.job_views import ms, parsed
from naq.server.api.jobs import FilterText
from naq.server.api.lists import total
from naq.server.api.models import Model, Moment, Total, at
from naq.server.api.routes import Routes
from naq.server.store.changes import bucket_end, bucket_of
from naq.server.store.queries import sample
from naq.server.store.queries.sample import Sampled
from naq.server.store.queries.trends import percentile, step_for
from naq.server.store.rows import MICRO
from naq.server.suggest import Suggestion, suggest

routes = Routes("jobs")
TOP: Final = 20  # values of a facet: what a panel shows
_FACETS: Final = {"state": "state", "task": "task", "queue": "queue", "priority": "priority", "worker": "worker",
                  "type": "error_type"}  # fmt: skip


class FacetValue(Model):
    """A value, as a filter has it, and how many of the counted jobs have it."""

    value: str
    count: int


class Facets(Model):
    """What the newest jobs of a filter have: by key of the filter, the most frequent values first."""

    counted: Total
    facets: dict[str, list[FacetValue]]


class Bar(Model):
    """Jobs from `at` on, for a step; or that took at most `upto_ms`, and longer than the bar before."""

    at: Moment | None = None
    upto_ms: int | None = None
    count: int
    states: dict[str, int]


class Histogram(Model):
    """The newest jobs of a filter in bars. Percentiles are of durations or waits, at most a quarter too high."""

    counted: Total
    step_s: int | None
    p50_ms: int | None
    p95_ms: int | None
    bars: list[Bar]


class Suggestions(Model):
    """What may stand from `at` (characters) of the text on."""

    at: int
    items: list[Suggestion]


@routes.add(
    "GET", "/jobs/facets", "getFacets", "Say what jobs have in common", scope="itself", problems=("invalid_filter",)
)
async def get_facets(request: Request, filter: FilterText = "") -> Facets:  # noqa: A002 - its name in the address
    """Of the newest two thousand that fit, each value with its count; `counted` says whether there may be more."""
    core = core_of(request)
    wanted = asked_filter(request, filter).conditions
    async with core.reading() as connection:
        some = await sample.newest(connection, wanted)
    counts = {key: Counter(value for row in some.jobs if (value := getattr(row, field)))
              for key, field in _FACETS.items()}  # fmt: skip
    counts["tag"] = Counter(
        f"{name}={value}" for row in some.jobs if row.tags for name, value in parsed(row.tags, {}).items()
    )
    found = {key: [FacetValue(value=value, count=count) for value, count in _top(each)] for key, each in counts.items()}
    return Facets(counted=total(len(some.jobs), sample.MOST, whole=some.whole), facets=found)


@routes.add("GET", "/jobs/histogram", "getHistogram", "Show jobs in bars", scope="itself", problems=("invalid_filter",))
async def get_histogram(
    request: Request,
    filter: FilterText = "",  # noqa: A002 - its name in the address
    by: Annotated[Literal["created", "finished", "duration", "wait"], Query(description="What the bars are of.")] = (
        "created"
    ),
) -> Histogram:
    """When the newest two thousand that fit were, or how long they took, on a logarithmic scale."""
    core = core_of(request)
    wanted = asked_filter(request, filter).conditions
    async with core.reading() as connection:
        some = await sample.newest(connection, wanted)
    counted = total(len(some.jobs), sample.MOST, whole=some.whole)
    if by in {"duration", "wait"}:
        return _by_length(counted, some.jobs, "duration_us" if by == "duration" else "wait_us")
    return _by_time(counted, some.jobs, "created_at" if by == "created" else "finished_at")


@routes.add("GET", "/jobs/suggest", "suggestFilter", "Say what a filter may go on with")
async def suggest_filter(
    request: Request,
    q: Annotated[str, Query(max_length=4000, description="The filter up to where somebody writes.")] = "",
) -> Suggestions:
    """Keys, and values that the history knows, for the last term of `q`."""
    core = core_of(request)
    if curtained.get() and "args." in q:
        return Suggestions(at=len(q), items=[])
    async with core.reading() as connection:
        at_, items = await suggest(connection, q, most=TOP)
    return Suggestions(at=at_, items=items)


def _top(counted: Counter[str]) -> list[tuple[str, int]]:
    """The most frequent, those of the same number by name."""
    return sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:TOP]


def _by_time(counted: Total, rows: list[Sampled], field: str) -> Histogram:
    timed = [(int(when), row.state) for row in rows if (when := getattr(row, field)) is not None]
    if not timed:
        return Histogram(counted=counted, step_s=None, p50_ms=None, p95_ms=None, bars=[])
    first, last = min(timed)[0], max(timed)[0]
    step = step_for(first, last, points=60)
    width = step * MICRO
    states: dict[int, Counter[str]] = {}
    for when, state in timed:
        states.setdefault(when - when % width, Counter())[state] += 1
    bars = [Bar(at=at(begin), count=each.total(), states=each) for begin, each in sorted(states.items())]
    return Histogram(counted=counted, step_s=step, p50_ms=None, p95_ms=None, bars=bars)


def _by_length(counted: Total, rows: list[Sampled], field: str) -> Histogram:
    states: dict[int, Counter[str]] = {}
    for row in rows:
        if (length := getattr(row, field)) is not None:
            states.setdefault(bucket_of(length), Counter())[row.state] += 1
    buckets = Counter({bucket: each.total() for bucket, each in states.items()})
    p50, p95 = (ms(percentile(buckets, share)) for share in (0.5, 0.95))
    bars = [
        Bar(upto_ms=ms(bucket_end(bucket)), count=each.total(), states=each) for bucket, each in sorted(states.items())
    ]
    return Histogram(counted=counted, step_s=None, p50_ms=p50, p95_ms=p95, bars=bars)

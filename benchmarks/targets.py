"""What naq must reach, worked out from the rows of one run. Ratios compare calibrated medians."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence

from benchmarks.measure import Row
from benchmarks.registry import SYSTEMS

ASYNC_PEERS = ("saq", "taskiq-nats", "taskiq-redis", "pgqueuer")

SERVERS = ("naq, sqlite", "naq, postgresql")
GROWTH = 1.0  # MB that still counts as flat: the allocator's own breathing

#: Measures whose limits are what a person waits for: on this machine, not on one to compare with.
AS_MEASURED = frozenset({"cli", "dev", "sse"})

Find = Callable[..., float]


def table(rows: Sequence[Row]) -> str:
    """Markdown: each target, what was measured, and whether it is met; targets without rows are left out."""
    lines = ["| target | limit | measured | met |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {name} | {sign} {limit:g} | {value:.3g} | {'yes' if met else '**no**'} |"
        for name, sign, limit, value, met in judged(rows)
    ]
    return "### targets\n\n" + "\n".join(lines) + "\n"


def judged(rows: Sequence[Row]) -> Iterator[tuple[str, str, float, float, bool]]:
    """Each target as name, sign, limit, value and whether it is met."""
    compare = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}

    def find(measure: str, key: str, *systems: str, **facts: int) -> float:
        """The largest `key` among `systems`, calibrated but for `AS_MEASURED`; LookupError: nothing was measured."""
        found = [
            (row if measure in AS_MEASURED else row["calibrated"])[key]
            for row in rows
            if row["measure"] == measure
            and row["system"] in systems
            and all(row.get(name) == value for name, value in facts.items())
        ]
        if not found:
            raise LookupError(measure)
        return max(found)

    for name, sign, limit, value in TARGETS:
        try:
            measured = value(find)
        except LookupError:
            continue
        yield name, sign, limit, measured, compare[sign](measured, limit)
    ours = [row for row in rows if row["system"] == "naq" and "lost" in row]
    for word in ("lost", "twice") if ours else ():
        count = sum(row[word] for row in ours)
        yield f"jobs {'lost' if word == 'lost' else 'run twice'}, all runs", "<=", 0, count, count == 0


def keeping_results() -> list[str]:
    return [system.name for system in SYSTEMS.values() if system.results and not system.own]


def _backlog(find: Find) -> float:
    return find("backlog", "jobs_per_s", "naq", jobs=1_000_000) / find("backlog", "jobs_per_s", "naq", jobs=10_000)


def _tail(find: Find, what: str) -> float:
    return find("latency", f"{what}_p99_ms", "naq") / find("latency", f"{what}_p50_ms", "naq")


def _idle(find: Find, what: str) -> float:
    return find("latency", f"{what}_p50_ms", "naq") / find("latency", f"{what}_p50_ms", "huey")


def _drain(find: Find, *systems: str, processes: int = 1) -> float:
    return find("drain", "jobs_per_s", *systems, processes=processes)


TARGETS: tuple[tuple[str, str, float, Callable[[Find], float]], ...] = (
    (
        "drain, one process: times the best peer that keeps results",
        ">=",
        4,
        lambda find: _drain(find, "naq") / _drain(find, *keeping_results()),
    ),
    ("drain, one process: share of the raw loop", ">=", 0.5, lambda find: _drain(find, "naq") / _drain(find, "raw")),
    (
        "drain, two processes: times one",
        ">=",
        1.5,
        lambda find: _drain(find, "naq", processes=2) / _drain(find, "naq"),
    ),
    (
        "batched enqueue: times pgqueuer's list insert",
        ">",
        1,
        lambda find: find("enqueue", "batched_per_s", "naq") / find("enqueue", "batched_per_s", "pgqueuer"),
    ),
    (
        "one awaited enqueue at a time: times the best async peer",
        ">",
        1,
        lambda find: find("enqueue", "one_by_one_per_s", "naq") / find("enqueue", "one_by_one_per_s", *ASYNC_PEERS),
    ),
    ("idle latency, enqueue to start, p50: times huey's", "<=", 1, lambda find: _idle(find, "start")),
    ("idle latency, enqueue to result, p50: times huey's", "<=", 1, lambda find: _idle(find, "result")),
    ("idle latency, enqueue to start: p99 over p50", "<=", 5, lambda find: _tail(find, "start")),
    ("idle latency, enqueue to result: p99 over p50", "<=", 5, lambda find: _tail(find, "result")),
    ("drain with 1,000,000 queued: share of that with 10,000", ">=", 0.85, _backlog),
    ("worker RSS after 100,000 jobs, MB", "<", 80, lambda find: find("memory", "rss_mb", "naq", jobs=100_000)),
    (
        "worker RSS growth to 500,000 jobs, MB",
        "<=",
        GROWTH,
        lambda find: find("memory", "growth_mb", "naq", jobs=100_000),
    ),
    ("delayed jobs taken in, a second", ">=", 15_000, lambda find: find("delays", "in_per_s", "naq")),
    ("broker with 1,000,000 delays, percent of a core", "<", 2, lambda find: find("delays", "idle_percent", "naq")),
    ("5,000 a second due: the latest, ms", "<=", 1_000, lambda find: find("delays", "late_max_ms", "naq")),
    ("idle worker, percent of a core", "<", 1, lambda find: find("idle", "worker_percent", "naq")),
    ("`naq --version`, ms", "<", 80, lambda find: find("cli", "version_ms", "naq")),
    ("`naq --help`, ms", "<", 200, lambda find: find("cli", "help_ms", "naq")),
    ("`naq queues list` over a bare Python, ms", "<", 120, lambda find: find("cli", "list_ms", "naq")),
    ("`naq dev --new` until its first job is done, s", "<", 30, lambda find: find("dev", "green_s", "naq")),
    ("reload by `naq dev` after a change, s", "<", 2, lambda find: find("dev", "reload_s", "naq")),
    (
        "idle `naq dev`, its worker and its server, percent of a core",
        "<",
        1,
        lambda find: find("dev", "idle_percent", "naq"),
    ),
    ("live events, 500 clients at 1,000 a second: p95, ms", "<", 1_000, lambda find: find("sse", "p95_ms", *SERVERS)),
    (
        "live events, 500 clients: growth over a quarter of the time, MB",
        "<=",
        GROWTH,
        lambda find: find("sse", "growth_mb", "naq, postgresql"),
    ),
    ("`import naq` over a bare Python, ms", "<", 60, lambda find: find("import", "import_ms", "naq")),
)

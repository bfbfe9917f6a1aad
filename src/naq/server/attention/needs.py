"""A line that needs a person: what is wrong, since when, and what to do first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal
from urllib.parse import quote

from msgspec import Struct

from naq.server.alerts.message import span
from naq.server.store.rows import MICRO

Kind = Literal[
    "unserved_queue", "paused_queue", "late_queue", "lost_jobs", "slow_jobs", "new_error", "failing_task",
    "missed_schedule", "dead_letters", "storage", "ingest_lag",
]  # fmt: skip
KINDS: Final[tuple[Kind, ...]] = Kind.__args__  # in the order in which they are shown: the worst first
SLOW: Final = 3  # times the time that 99 of 100 jobs of its task take, after which a job is too slow
FLOOR: Final = 60 * MICRO  # microseconds below which none is
USUAL: Final = 20  # runs below which nothing is usual
LAG: Final = 5.0  # seconds that the history may be behind
IDS: Final = 100  # jobs of a line that are named
_WINDOW: Final = 2 * 60 * MICRO  # microseconds: what was noted longer ago is not so any more


class Action(Struct, frozen=True, kw_only=True):
    """What to do first. `GET`: `path` is a page; `POST`: a route behind ``/api/v1``, and `body` what it takes."""

    code: str
    label: str
    method: Literal["GET", "POST"] = "GET"
    path: str
    body: dict[str, Any] | None = None


class Need(Struct, frozen=True, kw_only=True):
    """A line. `since` in microseconds, None: not known; `count`: of jobs, errors, or whatever it is about."""

    kind: Kind
    subject: str = ""
    sentence: str
    since: int | None = None
    count: int = 1
    action: Action

    @property
    def id(self) -> str:
        """What it is known by, as long as it is so."""
        return f"{self.kind}:{self.subject}"


class Runner(Struct, frozen=True):
    """A job that runs, as the history knows it."""

    id: str
    task: str
    worker: str
    started_at: int


def ordered(needs: Iterable[Need]) -> list[Need]:
    """The worst first, of a kind the longest first."""
    return sorted(needs, key=lambda need: (KINDS.index(need.kind), need.since or 0, need.subject))


def unserved(queue: str, queued: int, since: int | None) -> Need:
    """A queue in which jobs wait and that no worker serves."""
    return Need(
        kind="unserved_queue", subject=queue, since=since, count=queued,
        sentence=f"{_jobs(queued)} in queue {queue}, which no worker serves",
        action=_page("open_queue", "Open queue", "queues", queue),
    )  # fmt: skip


def paused(queue: str, queued: int, since: int | None, by: str) -> Need:
    """A queue that somebody paused, in which jobs wait."""
    whom = f" by {by}" if by else ""
    return Need(
        kind="paused_queue", subject=queue, since=since, count=queued,
        sentence=f"queue {queue} is paused{whom}; {_jobs(queued)} in it",
        action=Action(
            code="resume_queue", label="Resume queue", method="POST", path=f"/queues/{quote(queue, safe='')}/resume"
        ),
    )  # fmt: skip


def late(queue: str, seconds: float, limit: float, now: int) -> Need:
    """A queue whose oldest job has waited for longer than it should."""
    return Need(
        kind="late_queue", subject=queue, since=now - round(seconds * MICRO),
        sentence=f"the oldest job of queue {queue} has waited for {span(seconds)} (more than {span(limit)})",
        action=_jobs_page(f"queue:{queue} state:queued"),
    )  # fmt: skip


def lost(running: Sequence[Runner], gone: Mapping[str, int]) -> Iterable[Need]:
    """Jobs that run as far as anybody knows, on workers that have gone (when, by worker)."""
    by_worker: dict[str, list[Runner]] = {}
    for one in running:
        # A job that another worker has by now is of that one; so is one that began after this one was taken for dead.
        if one.worker in gone and one.started_at <= gone[one.worker]:
            by_worker.setdefault(one.worker, []).append(one)
    for worker, jobs in by_worker.items():
        yield Need(
            kind="lost_jobs", subject=worker, since=gone[worker], count=len(jobs),
            sentence=f"worker {worker} has vanished with {_jobs(len(jobs), 'running')}; another takes them over",
            action=_jobs_page(f"worker:{worker} state:running"),
        )  # fmt: skip


def slow(running: Sequence[Runner], usual: Mapping[str, int], now: int) -> Iterable[Need]:
    """Jobs that run for much longer than those of their task do (`usual`, microseconds)."""
    by_task: dict[str, list[Runner]] = {}
    for one in running:
        limit = usual.get(one.task)
        if limit is not None and now - one.started_at > max(SLOW * limit, FLOOR):
            by_task.setdefault(one.task, []).append(one)
    for task, jobs in by_task.items():
        since = min(one.started_at for one in jobs)
        yield Need(
            kind="slow_jobs", subject=task, since=since, count=len(jobs),
            sentence=f"{_jobs(len(jobs), 'of')} {task} for {span((now - since) / MICRO)}"
            f" (usually under {span(usual[task] / MICRO)})",
            action=_jobs_page(f"id:{jobs[0].id}" if len(jobs) == 1 else f"task:{task} state:running"),
        )  # fmt: skip


def error(fingerprint: str, task: str, kind: str, since: int, count: int, *, back: bool) -> Need:
    """An error that nobody has seen before, or that was resolved and came back."""
    return Need(
        kind="new_error", subject=fingerprint, since=since, count=count,
        sentence=f"{kind.removeprefix('builtins.')} in {task} {'came back' if back else 'is new'}",
        action=_page("open_error", "Open error", "errors", fingerprint),
    )  # fmt: skip


def failing(task: str, share: float, limit: float, window_s: int, now: int) -> Need:
    """A task of which too many jobs fail."""
    return Need(
        kind="failing_task", subject=task, since=now - window_s * MICRO,
        sentence=f"{share:.0%} of {task} failed within {span(window_s)} (more than {limit:.0%})",
        action=_jobs_page(f"task:{task} state:failed"),
    )  # fmt: skip


def missed(schedule: str, seconds: float, now: int) -> Need:
    """A schedule of which a run was due that was not made."""
    return Need(
        kind="missed_schedule", subject=schedule, since=now - round(seconds * MICRO),
        sentence=f"schedule {schedule} should have run {span(seconds)} ago",
        action=_page("open_schedule", "Open schedule", "schedules", schedule),
    )  # fmt: skip


def dead(count: int, window_s: int, now: int) -> Need:
    """Jobs that failed for good and lie among the dead letters."""
    return Need(
        kind="dead_letters", since=now - window_s * MICRO, count=count,
        sentence=f"{count:,} {'job has' if count == 1 else 'jobs have'} failed for good within {span(window_s)}",
        action=Action(
            code="retry_jobs", label=f"Retry {count:,}", method="POST", path="/bulk-actions",
            body={"action": "retry", "filter": f"state:failed finished:<{window_s}s"},
        ),
    )  # fmt: skip


def full(store: str, share: float, limit: float, since: int) -> Need:
    """A store that is nearly full."""
    return Need(
        kind="storage", subject=store, since=since,
        sentence=f"{store} is {share:.0%} full (more than {limit:.0%}); full, it takes no more",
        action=Action(code="open_settings", label="See what is kept", path="/settings"),
    )  # fmt: skip


def behind(seconds: float, events: int, now: int) -> Need:
    """The history lags: what is shown is old."""
    return Need(
        kind="ingest_lag", since=now - round(seconds * MICRO), count=events,
        sentence=f"the history is {span(seconds)} behind: {events:,} events to go",
        action=Action(code="open_settings", label="Open settings", path="/settings"),
    )  # fmt: skip


def standing(
    rows: Iterable[tuple[str, str, int, float]], limits: Mapping[str, float], now: int
) -> Iterable[tuple[str, str, int, float]]:
    """Of what was noted by the minute (kind, subject, minute, value; in that order) what is still over its limit.

    That is kind, subject, the minute since when, and the latest value.
    """
    open_: dict[tuple[str, str], tuple[int, int, float]] = {}
    for kind, subject, at, value in rows:
        key = (kind, subject)
        if value <= limits[kind]:
            open_.pop(key, None)
            continue
        first, last, _ = open_.get(key, (at, at, value))
        open_[key] = (first if at - last <= _WINDOW else at, at, value)
    for (kind, subject), (first, last, value) in open_.items():
        if now - last <= _WINDOW:
            yield kind, subject, first, value


def _jobs(count: int, doing: str = "wait") -> str:
    if doing == "wait":
        return f"{count:,} {'job waits' if count == 1 else 'jobs wait'}"
    if doing == "running":
        return f"{count:,} running {'job' if count == 1 else 'jobs'}"
    return f"{count:,} {'job runs' if count == 1 else 'jobs run'} {doing}"


def _page(code: str, label: str, noun: str, name: str) -> Action:
    return Action(code=code, label=label, path=f"/{noun}/{quote(name, safe='')}")


def _jobs_page(text: str) -> Action:
    return Action(code="open_jobs", label="Show jobs", path=f"/jobs?filter={quote(text, safe=':')}")

"""Why a job does not run: the first thing that keeps it, the earliest time it can run, and what to do about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Literal

from msgspec import Struct

from naq import clock
from naq.backends.base import Backend, QueueStats, WorkerInfo
from naq.exceptions import JobNotFoundError
from naq.job import FINAL, JobRecord, JobState
from naq.limits import bucket, permits
from naq.limits.admission import WAITED, ask_group, ask_rate
from naq.limits.kinds import GROUPS, RATES
from naq.limits.pauses import HELD, note_of, paused_tasks, said
from naq.limits.rates import Rate

Cause = Literal[
    "ended", "running", "not due", "next attempt", "overdue", "parents", "paused", "task paused", "no worker",
    "unknown task", "queue limit", "group", "rate", "busy", "next", "expired",
]  # fmt: skip
LATE: Final = 10.0  # seconds past its time after which a timer is not just about to fire (a failover takes up to 9)
NOBODY_KNOWS: Final = "no worker here knows "  # what a worker says that hands back what it cannot run
SILENT: Final = 20.0  # seconds without a word of a worker: two of its heartbeats, unless it has other settings
NAMED: Final = 3  # parents, holders, and tasks that are named; the rest is counted


class Why(Struct, frozen=True, kw_only=True):
    """Why a job does not run now.

    Attributes:
        job_id, state, queue, task: which job, and where it stands.
        cause: what keeps it, in one word or two.
        text: the same as a sentence.
        earliest: UNIX seconds before which it cannot run; 0 where nobody knows.
        command: what to type next; empty where there is nothing to do.
        key: its unique key, if it has one.
        expires_at: UNIX seconds from which on no attempt of it begins; 0: never.
    """

    job_id: str
    state: JobState
    queue: str = ""
    task: str = ""
    cause: Cause
    text: str
    earliest: float = 0.0
    command: str = ""
    key: str = ""
    expires_at: float = 0.0


class _Found(Struct, frozen=True):
    """The part of a `Why` that differs."""

    cause: Cause
    text: str
    earliest: float = 0.0
    command: str = ""


async def explain(backend: Backend, job_id: str) -> Why:
    """Why the job does not run; changes nothing.

    Raises:
        JobNotFoundError: there is no such job.
        NaqConnectionError: the backend cannot be reached.
    """
    record = await backend.get(job_id)
    if record is None:
        raise JobNotFoundError(f"there is no job {job_id!r} in this namespace, and no record of one (kept for 7 days)")
    found = await _explain(backend, record)
    return Why(
        job_id=record.id,
        state=record.state,
        queue=record.queue,
        task=record.task,
        cause=found.cause,
        text=found.text,
        earliest=found.earliest,
        command=found.command,
        key=record.key,
        expires_at=record.expires_at,
    )


async def _explain(backend: Backend, record: JobRecord) -> _Found:
    match record.state:
        case state if state in FINAL:
            return _ended(record)
        case JobState.RUNNING:
            return _running(record, await backend.workers())
        case _ if record.expires_at and record.expires_at <= clock.now():
            return _expired(record)
        case JobState.BLOCKED:
            return await _blocked(backend, record)
        case JobState.SCHEDULED | JobState.RETRYING:
            return _waiting(record)
        case _:
            return await _queued(backend, record)


def _ended(record: JobRecord) -> _Found:
    when = f" at {_time(record.finished_at)}" if record.finished_at else ""
    why = f": {record.reason}" if record.reason else ""
    again = record.state is not JobState.SUCCEEDED
    error = f": {record.error.type.removeprefix('builtins.')}: {record.error.message[:200]}" if record.error else why
    command = f"naq jobs retry {record.id}" if record.state is JobState.FAILED else f"naq jobs show {record.id}"
    return _Found("ended", f"it has ended as {record.state}{when}{error if again else ''}", command=command)


def _expired(record: JobRecord) -> _Found:
    text = f"it has not started before it expired, at {_time(record.expires_at)}; nothing of it runs any more, and the "
    return _Found(
        "expired", f"{text}worker that takes it next ends it as expired", command=f"naq jobs show {record.id}"
    )


def _running(record: JobRecord, workers: list[WorkerInfo]) -> _Found:
    since = f" since {_time(record.started_at)}" if record.started_at else ""
    holder = next((worker for worker in workers if any(job.id == record.id for job in worker.jobs)), None)
    where = "" if holder is None else f" on worker {holder.id}"
    text = f"it runs{since}{where}, attempt {record.attempt}" + (f" ({record.reason})" if record.reason else "")
    if holder is not None and (silent := clock.now() - holder.seen_at) > SILENT:
        text += f"; that worker has said nothing for {silent:.0f} s: if it is dead, another one takes the job over"
        return _Found("running", text, command=f"naq workers show {holder.id}")
    return _Found("running", text, command=f"naq jobs show {record.id}")


async def _blocked(backend: Backend, record: JobRecord) -> _Found:
    ended = await backend.finals(record.after)
    waits = [job_id for job_id in record.after if job_id not in ended]
    if not waits:
        text = "the jobs that it waits for have ended; a worker is about to put it in line"
        return _Found("parents", text, earliest=clock.now(), command="naq workers list")
    many = f"{len(waits)} of {len(record.after)} jobs: {_some(waits)}"
    text = f"it waits for {many}" if len(waits) > 1 else f"it waits for job {waits[0]}"
    return _Found("parents", text, command=f"naq jobs why {waits[0]}")


def _waiting(record: JobRecord) -> _Found:
    now = clock.now()
    if record.run_at and record.run_at < now - LATE:
        text = f"its time was {_time(record.run_at)}, and the broker has not put it in line"
        return _Found("overdue", f"{text}; a running worker mends that within a minute", now, "naq doctor")
    command = f"naq jobs run-now {record.id}"
    if record.reason.startswith(WAITED):
        cause: Cause = "group" if " of group " in record.reason else "rate"
        return _Found(cause, record.reason, record.run_at, f"naq jobs show {record.id}")
    if record.reason.startswith(HELD):
        text = f"{record.reason}; it is looked at again at {_time(record.run_at)}"
        return _Found("task paused", text, record.run_at, f"naq tasks resume {record.task}")
    if record.reason.startswith(NOBODY_KNOWS):
        return _unknown(f"{record.reason}; it is offered again at {_time(record.run_at)}", record.run_at)
    if record.state is JobState.RETRYING:
        text = f"it waits until {_time(record.run_at)} for attempt {record.attempt}"
        return _Found(
            "next attempt", text + (f", after: {record.reason}" if record.reason else ""), record.run_at, command
        )
    text = f"it is not due before {_time(record.run_at)}"
    return _Found("not due", text + (f" ({record.reason})" if record.reason else ""), record.run_at, command)


async def _queued(backend: Backend, record: JobRecord) -> _Found:
    [stats], workers = await backend.stats([record.queue]), await backend.workers()
    serving = [worker for worker in workers if record.queue in worker.queues and worker.state != "stopping"]
    return (
        await _paused(backend, stats)
        or _unserved(record, serving)
        or await _held(backend, record)
        or _full(stats)
        or await _limited(backend, record)
        or _in_line(record, stats, serving)
    )


async def _paused(backend: Backend, stats: QueueStats) -> _Found | None:
    if not stats.paused:
        return None
    note = await note_of(backend, stats.queue)
    text = f"queue {stats.queue} is paused{said(note)}"
    return _Found("paused", text, command=f"naq queues resume {stats.queue}")


async def _held(backend: Backend, record: JobRecord) -> _Found | None:
    pause = (await paused_tasks(backend)).get(record.task)
    if pause is None:
        return None
    return _Found(
        "task paused", f"task {record.task} is paused{said(pause)}", command=f"naq tasks resume {record.task}"
    )


def _unserved(record: JobRecord, serving: list[WorkerInfo]) -> _Found | None:
    if not serving:
        text = f"no running worker serves queue {record.queue}"
        return _Found("no worker", text, command=f"naq worker APP -q {record.queue}")
    task = record.task.replace(":", ".")
    if task and not any(task in worker.tasks for worker in serving):
        count = f"{len(serving)} running worker" + ("s serve" if len(serving) > 1 else " serves")
        return _unknown(f"{count} queue {record.queue}, but none knows the task {record.task!r}")
    return None


def _unknown(text: str, earliest: float = 0.0) -> _Found:
    text = f"{text}: deploy the code that has it, or have a worker import its module (-m)"
    return _Found("unknown task", text, earliest, "naq workers list")


def _full(stats: QueueStats) -> _Found | None:
    if stats.limit is None or stats.running < stats.limit:
        return None
    text = f"queue {stats.queue} runs {stats.running} jobs, its limit is {stats.limit}; one of them has to end first"
    return _Found("queue limit", text, command=f"naq queues limit {stats.queue} {stats.limit * 2}")


async def _limited(backend: Backend, record: JobRecord) -> _Found | None:
    """What a worker that claimed the job now would be told: the same question, and nothing of the answer is kept."""
    now = clock.now()
    for name in sorted(record.limits):  # groups are asked before rates
        kind, _, key = name.partition(".")
        entry = await backend.entry(kind, key) if kind in {RATES, GROUPS} else None
        if entry is None:
            continue
        if kind == GROUPS and (group := permits.peek(entry.value)) is not None:
            asked = ask_group(group, "", now, want=1, until=now)
            if not asked.held:
                holders = [f"{holder.worker} ({holder.count})" for holder in permits.living(group, now)]
                held = f"{permits.held(group, now)} of {group.most}"
                text = f"group {group.name} is full: {held} permits are held by {_some(holders)}"
                return _Found("group", text, command="naq jobs list --state running")
        if kind == RATES and (there := bucket.peek(entry.value)) is not None:
            tokens = ask_rate(there, now, want=1, waited=record.reason.startswith(WAITED))
            if not tokens.got:
                rate = Rate(there.count, there.seconds)
                text = f"the rate of task {there.name} ({rate}) is used up until {_time(tokens.back[0])}"
                return _Found("rate", text, tokens.back[0], f"naq jobs why {record.id}")
    return None


def _in_line(record: JobRecord, stats: QueueStats, serving: list[WorkerInfo]) -> _Found:
    slots, busy = sum(worker.concurrency for worker in serving), sum(worker.running for worker in serving)
    if busy >= slots:
        text = f"all {slots} slots of the {len(serving)} workers of queue {record.queue} are taken"
        text += f"; {stats.queued} jobs are in line"
        return _Found("busy", text, command="naq workers list")
    return _Found(
        "next", f"nothing keeps it: it is in line with {stats.queued} jobs, and workers have slots", clock.now()
    )


def _some(names: list[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

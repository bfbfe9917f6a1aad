"""What happens to a claim before any of the task's code runs: small steps, in order, the first that objects wins.

Each step takes the flight and returns None to go on, or the outcome that ends it here. None of them waits.
"""

from __future__ import annotations

import logging
from typing import Final

from msgspec import Struct

from naq import clock
from naq.codec.arguments import carried
from naq.codec.failure import describe
from naq.codec.headers import TRACEPARENT, read_tags, read_trace
from naq.codec.reader import Reader
from naq.context import Context
from naq.exceptions import ConfigurationError, SerializationError, WorkerLost
from naq.job import AttemptError, JobState
from naq.retry import Retry
from naq.worker.arguments import read_arguments
from naq.worker.flights import Flight
from naq.worker.holding import Holding
from naq.worker.outcome import Discarded, Outcome, Rejected, Released
from naq.worker.records import final_record
from naq.worker.tasks import ImportPathRefused, Tasks
from naq.worker.throttle import Throttle

log = logging.getLogger("naq.worker")

_WORKER_LOST: Final = f"{WorkerLost.__module__}.{WorkerLost.__qualname__}"
_NO_TAGS: Final[dict[str, str]] = {}

#: Seconds a job for an unknown task waits before it is offered again: at first, and at most.
UNKNOWN_FIRST, UNKNOWN_MOST = 1.0, 30.0
#: Of a job's age: the wait for a task that no worker knows. A deploy takes minutes, a typing mistake for ever.
UNKNOWN_SHARE: Final = 0.5
#: Seconds between two log lines about the same unknown task.
UNKNOWN_LOGGED: Final = 60.0


class Rules(Struct, frozen=True, kw_only=True):
    """What of the configuration decides over single jobs. `worker` is this worker's id."""

    worker: str
    crash_limit: int
    max_payload: int
    max_result: int
    record_arguments: int


class Preparation:
    """The steps, with what they need: which tasks there are, and which rules hold."""

    def __init__(self, tasks: Tasks, rules: Rules, read: Reader, holding: Holding) -> None:
        self._tasks = tasks
        self._read = read
        self._rules = rules
        self._holding = holding
        self._unknown = Throttle(UNKNOWN_LOGGED)

    def begin(self, flight: Flight) -> Outcome | None:
        """The steps that need nothing but the message."""
        return self.read_envelope(flight) or self.count_deliveries(flight) or self.find_task(flight)

    def finish(self, flight: Flight) -> Outcome | None:
        """The others: it is ready to run, or this is its outcome. Results that are arguments are there by now."""
        return self.read_arguments(flight) or self.set_out(flight)

    def read_envelope(self, flight: Flight) -> Outcome | None:
        """Bytes -> envelope. What is none goes to the dead letters; what came too late is expired."""
        try:
            envelope = self._read(flight.claim.job)
        except SerializationError as error:
            return Rejected(str(error))
        flight.envelope = envelope
        flight.name = envelope.task
        flight.arguments = carried(envelope.codec, envelope.args, envelope.kwargs, self._rules.record_arguments)
        if envelope.expires_at is not None and clock.now() >= envelope.expires_at:
            again = "again " if flight.claim.job.attempt > 1 else ""
            reason = f"not started {again}before its expires_at"
            return Discarded(final_record(flight, self._rules.worker, JobState.EXPIRED, reason=reason))
        return None

    def count_deliveries(self, flight: Flight) -> Outcome | None:
        """A job that was handed out too often without any outcome is taken for poison, before it can strike again."""
        delivered, limit = flight.claim.delivered, self._rules.crash_limit
        if delivered <= limit:
            return None
        error = AttemptError(
            type=_WORKER_LOST,
            message=f"delivered {delivered - 1} times without an outcome (crash_limit is {limit}): "
            "each worker that took it died, was cut off, or was stopped",
            attempt=flight.claim.job.attempt,
            at=clock.now(),
        )
        return Discarded(final_record(flight, self._rules.worker, JobState.FAILED, error=error))

    def find_task(self, flight: Flight) -> Outcome | None:
        """Name -> task. One that nobody here knows, or is paused, goes back and waits; an import path is refused."""
        name = flight.name
        try:
            task = self._tasks.find(name)
        except ImportPathRefused:
            return Rejected(
                f"refused import path {name!r}: a worker runs only what it was told to import (-m, imports)"
            )
        if task is None:
            delay = unknown_delay(flight)
            if self._unknown.ready(name):
                log.warning(
                    "no worker here knows task %r: job %s waits (next look in %.0f s). Deploy the code that has it, "
                    "or import its module (-m)",
                    name,
                    flight.claim.job.id,
                    delay,
                )
            return Released(delay, f"no worker here knows task {name!r}")
        if (held := self._holding.objection(name)) is not None:
            return held
        flight.task = task
        envelope = flight.envelope
        if envelope is not None and envelope.version > task.versions.current:
            return self._too_new(flight, envelope.version, task.versions.current)
        return None

    def _too_new(self, flight: Flight, version: int, current: int) -> Outcome:
        """Newer code enqueued it, and a worker that runs that code can read it: it waits, as for an unknown task."""
        name, delay = flight.name, unknown_delay(flight)
        if self._unknown.ready(name):
            log.warning(
                "task %r is of version %d here, and job %s was enqueued for version %d: it waits (next look in %.0f s)."
                " Deploy the workers as well",
                name,
                current,
                flight.claim.job.id,
                version,
                delay,
            )
        return Released(delay, f"no worker here knows version {version} of task {name!r}, only up to {current}")

    def read_arguments(self, flight: Flight) -> Outcome | None:
        """Encoded arguments -> values of the annotated types. What does not fit now never will: no retry."""
        task, envelope = flight.task, flight.envelope
        assert task is not None
        assert envelope is not None
        if task.in_process:
            return None  # its child reads them
        try:
            flight.args, flight.kwargs = read_arguments(
                task, envelope.codec, envelope.args, envelope.kwargs, flight.values, envelope.version
            )
        except Exception as error:  # noqa: BLE001  validators of the user's types may raise anything; it becomes the record
            described = describe(error, attempt=flight.claim.job.attempt, at=clock.now())
            return Discarded(final_record(flight, self._rules.worker, JobState.FAILED, error=described))
        return None

    def set_out(self, flight: Flight) -> Outcome | None:
        """The policy and the timeout in force, and what the task will see as its context."""
        task, envelope, job = flight.task, flight.envelope, flight.claim.job
        assert task is not None
        assert envelope is not None
        declared = task.declared
        timeout = declared.timeout if envelope.timeout is None else envelope.timeout
        try:
            policy = declared.retry if envelope.retry is None else Retry.from_wire(envelope.retry, declared.retry)
        except ConfigurationError as error:
            return Rejected(f"malformed job: {error}")
        flight.policy = policy
        flight.timeout = timeout
        flight.context = Context(
            job_id=job.id,
            task=flight.name,
            queue=job.queue,
            attempt=job.attempt,
            max_attempts=policy.max_attempts,
            run=job.run,
            claims=job.claims + flight.claim.delivered,
            tags=_NO_TAGS if job.headers is None else read_tags(job.headers),
            enqueued_at=envelope.at,
            deadline=None if timeout is None else clock.monotonic() + timeout,
            parent=envelope.parent,
            root=envelope.root,
            headers=_NO_TAGS if job.headers is None else job.headers,
            trace="" if job.headers is None else read_trace(job.headers).get(TRACEPARENT, ""),
            links=flight.links,
        )
        return None


def unknown_delay(flight: Flight) -> float:
    """How long a job of an unknown task waits: longer the older it is, so that nothing has to be remembered."""
    at = 0.0 if flight.envelope is None else flight.envelope.at
    if at <= 0.0:  # a foreign producer that does not say when
        return UNKNOWN_MOST / 2
    return min(max((clock.now() - at) * UNKNOWN_SHARE, UNKNOWN_FIRST), UNKNOWN_MOST)

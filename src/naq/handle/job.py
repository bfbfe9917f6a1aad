"""A job as its producer holds it: ask how it goes, wait for its result, cancel it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack, cast

from naq import clock, sync
from naq.codec.sealing import opened
from naq.connections import Host, on_bridge, run_now, settings, shared
from naq.exceptions import (
    JobNotFoundError,
    ResultTimeout,
)
from naq.handle.known import item_reader, tasks_of
from naq.handle.outcome import failure, failure_of
from naq.inside import reading as inside
from naq.job import JobRecord, JobState, new_id
from naq.names import check_token
from naq.portable import Carried, unpack

if TYPE_CHECKING:
    from naq.backends.base import Backend, CancelResult
    from naq.codec.streamed import Streamed
    from naq.handle.edit import Edits
    from naq.inside.notes import Line, Metric, Progress
    from naq.inside.reading import Artifact
    from naq.inside.steps import Step
    from naq.limits.why import Why
    from naq.streaming.reading import Stream, SyncStream
    from naq.task.call import Call
    from naq.task.retries import RetryDelay

R = TypeVar("R")
T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)


class Job(Carried, Generic[R_co]):
    """One job, by its id: what is asked of it goes to the backend. Holding one costs next to nothing.

    ``task.enqueue(...)`` and ``queue.enqueue(...)`` return it; ``app.job(id)`` makes one from an id alone. One that was
    enqueued here, or made of a function, also knows its function and arguments: `execute` runs it without a queue,
    `serialize` makes bytes of it.

    Args (of a job that is not enqueued):
        function: a function at the top of a module, or a task.
        args, kwargs: what to call it with.
        job_id: its id; default: a new one.
        enqueue_time: UNIX seconds; default: now.
        max_retries, retry_delay: how often to try again, and the seconds before each retry, or a list of them.
        queue_name: where it would wait; default: the task's queue, or "default".
        timeout: seconds that an attempt may run.

    Attributes:
        id: the job's id.
        duplicate: True if the id was taken when this handle enqueued it, or its unique key, so that nothing was added.
        dropped: True if a rate limit with the mode "drop" kept it from being stored: there is no such job.
        stored: whether this process has enqueued it itself.
        error: what `execute` failed with, or what the bytes said that ended the last attempt.

    Raises:
        ConfigurationError: no worker could find the function by import, or an option cannot be.
    """

    __slots__ = ("_decode", "_host", "dropped", "duplicate", "stored")

    duplicate: bool
    dropped: bool
    stored: bool

    def __init__(
        self,
        function: Callable[..., Coroutine[Any, Any, R_co] | R_co],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        job_id: str | None = None,
        enqueue_time: float | None = None,
        max_retries: int | None = None,
        retry_delay: RetryDelay | None = None,
        queue_name: str | None = None,
        timeout: float | None = None,
    ) -> None:
        from naq.task.direct import direct_call

        host = shared(settings())
        call = direct_call(
            function,
            tuple(args),
            kwargs or {},
            host.config,
            max_retries=max_retries,
            retry_delay=retry_delay,
            queue=queue_name,
            timeout=timeout,
            job_id=job_id,
        )
        super().__init__(job_id or new_id(), call, clock.now() if enqueue_time is None else enqueue_time)
        self.dropped = self.duplicate = self.stored = False
        self._host: Host = host
        self._decode: Callable[[JobRecord], R_co] = call.plan.decode

    @classmethod
    def of(
        cls,
        job_id: str,
        host: Host,
        decode: Callable[[JobRecord], R],
        duplicate: bool = False,
        call: Call[Any] | None = None,
        at: float = 0.0,
    ) -> Job[R]:
        """A handle on the job `job_id` of `host`, whose result `decode` reads; for naq's own use."""
        job = cast("Job[R]", cls.__new__(cls))
        Carried.__init__(job, job_id, call, at)
        job.duplicate = duplicate
        job.dropped = False
        job.stored = call is not None
        job._host = host
        job._decode = decode
        return job

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self.id

    def __repr__(self) -> str:
        return f"<Job {self.id}>"

    async def connect(self) -> Backend:
        """The backend that the job lives in, open."""
        return await self._host.connect()

    async def result(self, timeout: float | None = None) -> R_co:
        """What the task returned, as soon as it is known (pushed, never polled).

        `timeout` is in seconds; None waits for as long as it takes, 0 only looks.

        Raises:
            JobExecutionError: it failed for good; `error` says with what. As `TaskTimeoutError` where it ran too
                long, `WorkerLost` where its workers died, `ProcessDied` where only the child process that ran it did,
                `JobExpired` where it was not started in time.
            JobCancelled: it was cancelled.
            ResultTimeout: it has not ended yet; it goes on, ask again.
            JobNotFoundError: there is no such job, or its record is older than `record_ttl`.
            SerializationError: it succeeded, but the result is not of the type that the task declares.
            NaqConnectionError: the backend cannot be reached.
        """
        return self._outcome(await self._final(self._host, timeout))

    def result_sync(self, timeout: float | None = None) -> R_co:
        """`result` for code without an event loop; safe in threads (see `naq.sync`).

        Raises:
            ConfigurationError: an event loop runs in this thread.
            NaqException: as `result`.
        """
        final = sync.run("await job.result(...)", self._final, on_bridge(self._host), timeout)
        return self._outcome(final)

    async def status(self) -> JobState:
        """Where it stands now.

        Raises:
            JobNotFoundError: there is no such job, or its record is older than `record_ttl`.
        """
        return (await self._stored(self._host)).state

    def status_sync(self) -> JobState:
        """`status` for code without an event loop."""
        return sync.run("await job.status()", self._stored, on_bridge(self._host)).state

    async def record(self) -> JobRecord:
        """All that is known of it now: state, attempt, times, errors, worker.

        Raises:
            JobNotFoundError: there is no such job, or its record is older than `record_ttl`.
            SerializationError: its record is not signed or encrypted as the settings ask.
        """
        return opened(await self._stored(self._host), self.id, self._host.config)

    def record_sync(self) -> JobRecord:
        """`record` for code without an event loop."""
        return opened(sync.run("await job.record()", self._stored, on_bridge(self._host)), self.id, self._host.config)

    async def why(self) -> Why:
        """Why it does not run now, the earliest time it can, and what to do; changes nothing.

        Raises:
            JobNotFoundError: there is no such job, or its record is older than `record_ttl`.
        """
        return await self._why(self._host)

    def why_sync(self) -> Why:
        """`why` for code without an event loop."""
        return sync.run("await job.why()", self._why, on_bridge(self._host))

    async def cancel(self, *, tree: bool = False) -> CancelResult:
        """Make sure that it never runs, or, where it runs already, that its worker is told; what was done.

        With `tree` also all that comes of it: jobs that wait for it, and jobs that it enqueued, and so on.
        """
        return await self._cancel(self._host, tree)

    async def run_now(self) -> bool:
        """Put a job that waits for a time, or for its next attempt, in line now; False where it waits for neither."""
        return await run_now(self._host, self.id)

    def run_now_sync(self) -> bool:
        """`run_now` for code without an event loop."""
        return sync.run("await job.run_now()", run_now, on_bridge(self._host), self.id)

    async def edit(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Unpack[Edits]
    ) -> bool:
        """Change a job that waits, in line, for a time, for its next attempt or for others; whether it was changed.

        False, and nothing done, where it does not wait (any more): a worker has it, it has ended, or is not known. What
        is not given stays. `args` and `kwargs`: what to call its task with instead; giving one replaces both. They are
        checked against the task where this app has it. `options`: see `Edits`. A job in line goes behind those there,
        and its queue stands still for some tenths of a second: for single jobs that is; many are changed in a queue
        that is paused, or cancelled and enqueued anew.

        Raises:
            ConfigurationError: an option that cannot be changed or cannot be; arguments that hold results of other
                jobs or are pickled; a unique key or limit that would have to follow them and cannot.
            SerializationError: the arguments do not fit the task, or cannot be encoded.
            PayloadTooLarge: they make a payload over `max_payload`, or the tags headers over `max_headers`.
        """
        from naq.handle.edit import edit_job

        tasks = tasks_of(self._call, self._host)
        return await edit_job(self._host, self.id, args, kwargs, options, tasks) is not None

    def edit_sync(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Unpack[Edits]
    ) -> bool:
        """`edit` for code without an event loop."""
        from naq.handle.edit import edit_job

        tasks = tasks_of(self._call, self._host)
        host = on_bridge(self._host)
        return sync.run("await job.edit(...)", edit_job, host, self.id, args, kwargs, options, tasks) is not None

    def cancel_sync(self, *, tree: bool = False) -> CancelResult:
        """`cancel` for code without an event loop."""
        return sync.run("await job.cancel()", self._cancel, on_bridge(self._host), tree)

    def stream(self: Job[Streamed[T]], *, timeout: float | None = None) -> Stream[T]:
        """The items that a task gives that is a generator, as they come: ``async for item in job.stream()``.

        From the start, for any number of readers, however late they come. `timeout`: seconds between two items at most.
        Raises while it is read: `StreamRestarted` where another attempt begins anew, `ResultTimeout`, and what `result`
        raises (docs/streaming.md).
        """
        from naq.streaming.reading import Stream

        return Stream(self.id, self._host, item_reader(self._call, self._host), failure_of(self._host), timeout)

    def stream_sync(self: Job[Streamed[T]], *, timeout: float | None = None) -> SyncStream[T]:
        """`stream` for code without an event loop: ``for item in job.stream_sync()``."""
        from naq.streaming.reading import Stream, SyncStream

        host = on_bridge(self._host)
        return SyncStream(Stream(self.id, host, item_reader(self._call, self._host), failure_of(host), timeout))

    async def progress(self) -> Progress | None:
        """How far it has come, as its task last reported it; None where it has not."""
        return await inside.progress(self._host, self.id)

    def progress_sync(self) -> Progress | None:
        """`progress` for code without an event loop."""
        return sync.run("await job.progress()", inside.progress, on_bridge(self._host), self.id)

    def logs(self, *, follow: bool = False, tail: int | None = None) -> AsyncGenerator[Line]:
        """The log lines kept of it, oldest first: ``async for line in job.logs()``; the last `tail` of them.

        `follow`: also those to come, until it has ended.
        """
        return inside.logs(self._host, self.id, follow=follow, tail=tail)

    def logs_sync(self, *, tail: int | None = None) -> list[Line]:
        """`logs` for code without an event loop: those there are."""
        return sync.run("job.logs()", inside.all_logs, on_bridge(self._host), self.id, tail)

    async def metrics(self) -> list[Metric]:
        """What its task has measured (`Context.record_metric`), oldest first."""
        return await inside.metrics(self._host, self.id)

    def metrics_sync(self) -> list[Metric]:
        """`metrics` for code without an event loop."""
        return sync.run("await job.metrics()", inside.metrics, on_bridge(self._host), self.id)

    async def artifacts(self) -> list[Artifact]:
        """The files kept with it, by name."""
        return await inside.artifacts(self._host, self.id)

    def artifacts_sync(self) -> list[Artifact]:
        """`artifacts` for code without an event loop."""
        return sync.run("await job.artifacts()", inside.artifacts, on_bridge(self._host), self.id)

    async def steps(self) -> list[Step]:
        """The durable steps that its latest run has done, in order."""
        return await inside.steps(self._host, self.id)

    def steps_sync(self) -> list[Step]:
        """`steps` for code without an event loop."""
        return sync.run("await job.steps()", inside.steps, on_bridge(self._host), self.id)

    @staticmethod
    async def fetch_result(job_id: str, nats_url: str | None = None, *, timeout: float | None = None) -> Any:
        """The result of the job `job_id`, as soon as it is known. `nats_url`, `timeout` as everywhere.

        Of the type that its function declares where this process made jobs of it; else plain JSON values.

        Raises:
            NaqException: as `result`.
        """
        return await job_by_id(job_id, shared(settings(nats_url))).result(timeout)

    @staticmethod
    def fetch_result_sync(job_id: str, nats_url: str | None = None, *, timeout: float | None = None) -> Any:
        """`fetch_result` for code without an event loop."""
        return job_by_id(job_id, shared(settings(nats_url))).result_sync(timeout)

    @classmethod
    def deserialize(cls, data: bytes) -> Job[Any]:
        """The job that `serialize` made bytes of; not enqueued by this. Imports nothing.

        Raises:
            SerializationError: they are no job.
            UnknownTask: its function neither was made a job of in this process, nor is of a module in `imports`.
        """
        found = unpack(data)
        job = cls.of(found.id or new_id(), shared(settings()), found.call.plan.decode, False, found.call, found.at)
        job.error = found.error
        job.stored = False
        return job

    async def _final(self, host: Host, timeout: float | None) -> JobRecord:
        if timeout is not None and timeout <= 0:
            record = await self._stored(host)
            if not record.is_final:
                raise ResultTimeout(f"job {self.id} is {record.state}; it goes on, ask again")
            return record
        backend = await host.connect()
        return await backend.wait(self.id, timeout=timeout)

    def _outcome(self, record: JobRecord) -> R_co:
        record = opened(record, self.id, self._host.config)
        if record.state is not JobState.SUCCEEDED:
            raise failure(record)
        return self._decode(record)

    async def _stored(self, host: Host) -> JobRecord:
        backend = await host.connect()
        record = await backend.get(self.id)
        if record is None:
            raise JobNotFoundError(
                f"there is no job {self.id!r}: it was never enqueued in this namespace, or its record has expired"
            )
        return record

    async def _why(self, host: Host) -> Why:
        from naq.limits.why import explain

        return await explain(await host.connect(), self.id)

    async def _cancel(self, host: Host, tree: bool) -> CancelResult:
        if tree:
            from naq.flow.cancel import cancel_tree

            return (await cancel_tree(host, self.id))[self.id]
        backend = await host.connect()
        return await backend.cancel(self.id)


def job_by_id(job_id: str, host: Host) -> Job[Any]:
    """A handle on the job `job_id` where `host` keeps its jobs. Does not ask whether there is one.

    Raises:
        ConfigurationError: `job_id` cannot be one.
    """
    return Job[Any].of(check_token("job id", job_id), host, _decode)


def _decode(record: JobRecord) -> Any:
    from naq.task.function import decode_result

    return decode_result(record.task, record.result)

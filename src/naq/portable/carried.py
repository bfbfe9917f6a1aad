"""What a job holds beside its identity: a function, its arguments, and when to try again."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from naq import clock
from naq.codec.failure import describe
from naq.exceptions import JobExecutionError, NaqException
from naq.job import AttemptError, JobState
from naq.portable.form import pack, pack_result, unpack_result
from naq.retry import NO_RETRY

if TYPE_CHECKING:
    from naq.task.call import Call


class Carried:
    """A job's id and its call, where that is known: the half of `naq.Job` that asks no backend."""

    __slots__ = ("_at", "_call", "_id", "error")

    def __init__(self, job_id: str, call: Call[Any] | None, at: float) -> None:
        self._id = job_id
        self.error: AttemptError | None = None
        self._call = call
        self._at = at

    @property
    def id(self) -> str:
        """The job's id."""
        return self._id

    @property
    def function(self) -> Callable[..., Any]:
        """What it calls. This, and all below it, raises `NaqException` on a handle that was made from an id."""
        return self._carried().plan.func

    @property
    def args(self) -> tuple[Any, ...]:
        """With what, by position."""
        return self._carried().args

    @property
    def kwargs(self) -> dict[str, Any]:
        """With what, by name."""
        return dict(self._carried().kwargs)

    @property
    def queue_name(self) -> str:
        """Where it waits."""
        return self._carried().plan.queue

    @property
    def enqueue_time(self) -> float:
        """When it was enqueued, or made; UNIX seconds."""
        self._carried()
        return self._at

    @property
    def max_retries(self) -> int:
        """How often it is tried again."""
        return self._carried().plan.policy.max_attempts - 1

    @property
    def retry_delay(self) -> float | list[float]:
        """Seconds before each retry, or a list of them; where they grow by a rule, before the first."""
        delays = self._carried().plan.policy.delays
        return self.get_retry_delay(1) if len(delays) < 2 else list(delays)

    def get_retry_delay(self, attempt: int) -> float:
        """Seconds between the failure of `attempt` (from 1) and the next; whether there is one, `max_retries` says."""
        policy = self._carried().plan.policy
        if policy == NO_RETRY:
            return 0.0
        # The rule goes on where the attempts end: asked of a policy that allows one more.
        return replace(policy, max_attempts=max(policy.max_attempts, attempt + 1)).delay(attempt) or 0.0

    def execute(self) -> Any:
        """Call the function here and now, without a queue; of a coroutine function, a coroutine to await.

        Raises:
            JobExecutionError: it raised; also kept as `error`.
        """
        call, self.error = self._carried(), None
        function = call.plan.func
        if inspect.iscoroutinefunction(function):
            return self._awaited(function(*call.args, **call.kwargs))
        try:
            return function(*call.args, **call.kwargs)
        except Exception as error:
            raise self._failed(error) from error

    async def _awaited(self, running: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await running
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> JobExecutionError:
        said = self.error = describe(error, attempt=1, at=clock.now())
        return JobExecutionError(f"job {self.id} failed: {said.type}: {said.message}", job_id=self.id, error=said)

    def serialize(self) -> bytes:
        """The job as bytes, for `deserialize`: the JSON of docs/wire.md with its id and queue added.

        Raises:
            SerializationError: its arguments cannot be encoded.
        """
        return pack(self.id, self._carried(), self._at)

    def serialize_failed_job(self) -> bytes:
        """As `serialize`, with `error` in it.

        Raises:
            NaqException: it has not failed here.
        """
        if self.error is None:
            raise NaqException(f"job {self.id} has not failed here: execute() it first, or look at its record()")
        return pack(self.id, self._carried(), self._at, self.error)

    @staticmethod
    def serialize_result(
        result: Any, status: str = JobState.SUCCEEDED, error: str | None = None, traceback_str: str | None = None
    ) -> bytes:
        """A result as bytes, for `deserialize_result`; `status` is one of the final states.

        Raises:
            ConfigurationError: there is no such state.
            SerializationError: the result has no JSON form.
        """
        return pack_result(result, status, error, traceback_str)

    @staticmethod
    def deserialize_result(data: bytes) -> dict[str, Any]:
        """What `serialize_result` made bytes of: `status`, `result`, `error`, `traceback`.

        Raises:
            SerializationError: they are something else.
        """
        return dict(unpack_result(data))

    def _carried(self) -> Call[Any]:
        if self._call is None:
            raise NaqException(f"this handle on job {self.id} was made from its id: it knows no function and arguments")
        return self._call

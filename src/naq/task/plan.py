"""The hot path of a producer: arguments in, a job ready to be stored out. Everything that can be is worked out once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from naq.codec.envelope import VERSION, Envelope, encode_envelope
from naq.codec.headers import build_headers, current_trace
from naq.codec.sealing import seal_for
from naq.codec.signature import Signature
from naq.config import Config
from naq.context import find_context
from naq.exceptions import ConfigurationError, PayloadTooLarge
from naq.job import JobRecord, JobSpec, Priority, new_id
from naq.task.options import JobOptions, TaskOptions


class Plan:
    """A task together with one set of options. Immutable; made once, used for every job.

    Raises:
        ConfigurationError: a tag or an override that cannot travel with a job.
        PayloadTooLarge: the tags are over `max_headers`.

    Attributes:
        task: the task's name.
        signature: its parameters; the same object for every plan of one task.
        options: what its jobs do differently from the task.
        is_bare: whether that is nothing.
        func: the function itself.
        queue: where its jobs wait.
        priority: in which lane.
        policy: when they are tried again.
    """

    __slots__ = (
        "_codec",
        "_config",
        "_encode",
        "_headers",
        "_retry",
        "_seal",
        "_tags",
        "func",
        "is_bare",
        "options",
        "policy",
        "priority",
        "queue",
        "signature",
        "task",
    )

    def __init__(
        self,
        task: str,
        signature: Signature,
        declared: TaskOptions,
        options: JobOptions,
        config: Config,
        func: Callable[..., Any],
    ) -> None:
        self.task: Final = task
        self.signature: Final = signature
        self.options: Final = options
        self.is_bare: Final = options == JobOptions()
        self._config = config
        self._encode = signature.encode
        self._codec = signature.codec
        self._seal = seal_for(config)
        self.func: Final = func
        self.queue: Final = options.queue or declared.queue
        self.priority: Final[Priority] = options.priority or declared.priority
        self.policy: Final = options.retry or declared.retry
        self._retry = None if options.retry is None else options.retry.wire(declared.retry)
        self._tags = {**declared.tags, **options.tags}
        self._headers = build_headers(self._tags, limit=config.max_headers)

    def build(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], now: float) -> JobSpec:
        """The job of calling the task with `args` and `kwargs` at `now` (UNIX seconds).

        Raises:
            SerializationError: the arguments do not fit the task's parameters, or cannot be encoded.
            PayloadTooLarge: they make a payload over `max_payload`.
            ConfigurationError: it would expire before it may start.
        """
        options = self.options
        raw_args, raw_kwargs = self._encode(args, kwargs)
        run_at, expires_at = options.run_at, None
        if options.delay:
            run_at = now + options.delay
        if options.expires_in is not None:
            expires_at = now + options.expires_in
            if run_at is not None and run_at >= expires_at:
                raise ConfigurationError(f"{self.task}: run_at is later than expires_in allows; it could never start")
        parent = find_context()
        payload = encode_envelope(
            Envelope(
                v=VERSION,
                task=self.task,
                args=raw_args,
                kwargs=raw_kwargs,
                codec=self._codec,
                at=now,
                timeout=options.timeout,
                retry=self._retry,
                expires_at=expires_at,
                parent=parent.job_id if parent else "",
                root=(parent.root or parent.job_id) if parent else "",
            ),
            limit=self._config.max_payload,
        )
        chosen = options.job_id
        job_id = chosen or new_id()
        if self._seal is not None:
            limit = self._config.max_payload
            payload = self._seal.seal_job(payload, job_id=job_id, queue=self.queue, task=self.task, at=now, limit=limit)
        return JobSpec(
            id=job_id,
            payload=payload,
            queue=self.queue,
            priority=self.priority,
            # Only a program that traces has the module loaded; all others are spared the look-up.
            headers=self._traced() if "opentelemetry.trace" in sys.modules else self._headers,
            run_at=run_at if run_at is not None and run_at > now else None,
            fresh=chosen is None,
        )

    def decode(self, record: JobRecord) -> Any:
        """The value that a succeeded job's record holds.

        Raises:
            SerializationError: it is not of the type that the task returns.
        """
        return self.signature.decode_result(record.result)

    def _traced(self) -> dict[str, str] | None:
        if (trace := current_trace()) is None:
            return self._headers
        try:
            return build_headers(self._tags, trace, limit=self._config.max_headers)
        except PayloadTooLarge:  # the tags alone fit: tracing never stops a job
            return self._headers

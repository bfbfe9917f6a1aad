"""The hot path of a producer: arguments in, a job ready to be stored out. Everything that can be is worked out once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Raw

from naq.codec.envelope import JSON, VERSION, Envelope, encode_envelope
from naq.codec.headers import build_headers, current_trace
from naq.codec.sealing import seal_for
from naq.codec.signature import Signature
from naq.config import Config
from naq.context import find_context
from naq.exceptions import ConfigurationError, PayloadTooLarge, SerializationError
from naq.job import JobRecord, JobSpec, KeyScope, Priority, new_id
from naq.limits.declared import Limits
from naq.task.options import JobOptions, TaskOptions
from naq.task.parents import IdOf, ResultOf, after_of, find_holes, known_id

if TYPE_CHECKING:
    from naq.connections import Host
    from naq.limits.gate import Gate

_ACTIVE: Final[KeyScope] = "active"
_NO_LIMITS: Final[list[str]] = []
_NO_HOLES: Final[Mapping[int | str, ResultOf]] = {}


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
        host: where its jobs go, if that is known.
        queue: where its jobs wait.
        priority: in which lane.
        policy: when they are tried again.
        version: that of the task's parameters.
        gated: whether a limit has to be asked before a job is stored (`gate`).
    """

    __slots__ = (
        "_codec",
        "_config",
        "_declared",
        "_encode",
        "_headers",
        "_limits",
        "_retry",
        "_seal",
        "_tags",
        "func",
        "gated",
        "host",
        "is_bare",
        "options",
        "policy",
        "priority",
        "queue",
        "signature",
        "task",
        "version",
    )

    def __init__(
        self,
        task: str,
        signature: Signature,
        declared: TaskOptions,
        options: JobOptions,
        config: Config,
        func: Callable[..., Any],
        host: Host | None = None,
    ) -> None:
        self.task: Final = task
        self.version: Final = declared.version
        self.signature: Final = signature
        self.options: Final = options
        self.is_bare: Final = options == JobOptions()
        self._config = config
        self._declared = declared
        self._encode = signature.encode
        self._codec = signature.codec
        self._seal = seal_for(config)
        self.func: Final = func
        self.host: Final = host
        self.queue: Final = options.queue or declared.queue
        self.priority: Final[Priority] = options.priority or declared.priority
        self.policy: Final = options.retry or declared.retry
        self._retry = None if options.retry is None else options.retry.wire(declared.retry)
        self._tags = {**declared.tags, **options.tags}
        limited = declared.limits is not None or options.limits is not None
        self._limits = Limits(task, func, declared.limits, options.limits) if limited else None
        self.gated: Final = self._limits is not None and self._limits.gated
        self._headers = build_headers(self._tags, limit=config.max_headers)

    def changed(self, options: JobOptions) -> Plan:
        """The same task with `options` instead of its own."""
        return Plan(self.task, self.signature, self._declared, options, self._config, self.func, self.host)

    def build(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], now: float, *, id_of: IdOf = known_id, own_id: str = ""
    ) -> JobSpec:
        """The job of calling the task with `args` and `kwargs` at `now` (UNIX seconds).

        `id_of` knows the ids of the jobs that it waits for; `own_id` is the new id that was made for it, if one was.

        Raises:
            SerializationError: the arguments do not fit the task's parameters, or cannot be encoded.
            PayloadTooLarge: they make a payload over `max_payload`.
            ConfigurationError: it would expire before it may start.
        """
        options = self.options
        raw_args, raw_kwargs, holes = self._encoded(args, kwargs)
        after = after_of(self.task, options.wanted, holes, id_of) if holes or options.wanted.parents else None
        run_at, expires_at = options.run_at, options.expires_at
        if options.delay:
            run_at = now + options.delay
        if options.expires_in is not None:
            expires_at = now + options.expires_in
        if expires_at is not None and expires_at <= (now if run_at is None else max(now, run_at)):
            when = "it is to run" if run_at is not None and run_at > now else "now"
            raise ConfigurationError(f"{self.task}: it expires before {when}; it could never start")
        chosen, key, scope, limits = options.job_id, "", _ACTIVE, _NO_LIMITS
        if self._limits is not None:
            limits = self._limits.entries(args, kwargs)
            if chosen is None:
                key, scope = self._limits.key(args, kwargs)
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
                limits=limits,
                parent=parent.job_id if parent else "",
                root=(parent.root or parent.job_id) if parent else "",
                after=after,
                version=self.version,
            ),
            limit=self._config.max_payload,
        )
        job_id = chosen or own_id or new_id()
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
            key=key,
            scope=scope,
            blocked=after is not None,
        )

    def _encoded(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[Raw, Raw, Mapping[int | str, ResultOf]]:
        """The encoded arguments, and those of them that will be results of other jobs."""
        holes: Mapping[int | str, ResultOf] = _NO_HOLES
        if self._codec != JSON:  # a pickle takes anything
            holes = find_holes(args, kwargs)
        if not holes:
            try:
                return (*self._encode(args, kwargs), holes)
            except SerializationError:
                if not (holes := find_holes(args, kwargs)):
                    raise
        return (*self.signature.encode_around(args, kwargs, holes), holes)

    def gate(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Gate | None:
        """What has to be asked before the job of this call is stored.

        Raises:
            ConfigurationError: a key cannot be made of the arguments.
        """
        return None if self._limits is None else self._limits.gate(args, kwargs, self.queue)

    def key(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """The unique key that the job of this call has while it waits or runs; "" for none.

        Raises:
            ConfigurationError: as `gate`.
        """
        return "" if self._limits is None else self._limits.key(args, kwargs)[0]

    def limits(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[str]:
        """The names of the limits that the job of this call falls under; see `Envelope.limits`.

        Raises:
            ConfigurationError: as `gate`.
        """
        return _NO_LIMITS if self._limits is None else self._limits.entries(args, kwargs)

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

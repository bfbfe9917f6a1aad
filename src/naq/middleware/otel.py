"""OpenTelemetry: a span for every enqueue and every attempt, joined across processes by W3C trace context.

Names of attributes are those of its conventions for messaging: a queue is a destination, a job a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from naq._version import __version__
from naq.codec.headers import TRACEPARENT, read_trace
from naq.context import Context
from naq.exceptions import ConfigurationError
from naq.middleware.base import Call, Middleware, NewJob, Store
from naq.middleware.ends import read_end

if TYPE_CHECKING:
    from opentelemetry.trace import Link, SpanContext, TracerProvider

_FAILED: Final = frozenset({"raised", "timeout"})


class OpenTelemetry(Middleware):
    """Spans ``enqueue <task>`` (producer) and ``run <task>`` (consumer, one an attempt).

    The trace context travels in the job's ``traceparent`` header. While a task runs its span is the current one, in
    threads and child processes too: what it enqueues, and spans of other libraries, become its children. An attempt of
    a job that waited for others is linked to the spans that ran them.

    Args:
        tracer_provider: where spans go. Default: the global one of OpenTelemetry.
        relation: how an attempt hangs on the span that enqueued its job. "parent" (default): as a child, in one trace.
            "link": a trace of its own with a link, for jobs that run long after they were enqueued.

    Raises:
        ConfigurationError: opentelemetry-api is not installed.
    """

    wants_links = True

    def __init__(
        self, tracer_provider: TracerProvider | None = None, *, relation: Literal["parent", "link"] = "parent"
    ) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError as error:
            raise ConfigurationError("OpenTelemetry() needs opentelemetry-api: pip install 'naq[otel]'") from error
        if relation not in {"parent", "link"}:
            raise ConfigurationError(f"OpenTelemetry: relation is {relation!r}; expected 'parent' or 'link'")
        self._trace = trace
        self._tracer = trace.get_tracer("naq", __version__, tracer_provider)
        self._propagator = TraceContextTextMapPropagator()
        self._linked = relation == "link"

    async def enqueue(self, jobs: Sequence[NewJob], call_next: Store) -> None:
        """One span for all of `jobs`; each carries it as the context it comes from."""
        tasks = {job.task for job in jobs}
        queues = {job.queue for job in jobs}
        attributes: dict[str, Any] = {
            "messaging.system": "naq",
            "messaging.operation.type": "send",
            "messaging.operation.name": "enqueue",
        }
        if len(queues) == 1:
            attributes["messaging.destination.name"] = jobs[0].queue
        if len(jobs) == 1:
            attributes["messaging.message.id"] = jobs[0].id
        else:
            attributes["messaging.batch.message_count"] = len(jobs)
        if len(tasks) == 1:
            attributes["naq.task"] = jobs[0].task
        name = f"enqueue {jobs[0].task}" if len(tasks) == 1 else "enqueue"
        kind = self._trace.SpanKind.PRODUCER
        with self._tracer.start_as_current_span(name, kind=kind, attributes=attributes) as span:
            for job in jobs:
                self._propagator.inject(job.headers)
            try:
                await call_next()
            except Exception as error:  # whatever it was is named, and goes on to who enqueues
                span.set_attribute("error.type", _name(error))
                raise

    async def run(self, context: Context, call_next: Call) -> Any:
        """One span for the attempt."""
        origin = self._propagator.extract(read_trace(context.headers))
        sender = self._trace.get_current_span(origin).get_span_context()
        span = self._tracer.start_span(
            f"run {context.task}",
            # Never a child of what happens to be current here: that is the worker's, not the job's.
            context=None if self._linked and sender.is_valid else origin,
            kind=self._trace.SpanKind.CONSUMER,
            links=self._links(context, sender),
            attributes={
                "messaging.system": "naq",
                "messaging.operation.type": "process",
                "messaging.operation.name": "run",
                "messaging.destination.name": context.queue,
                "messaging.message.id": context.job_id,
                "naq.task": context.task,
                "naq.attempt": context.attempt,
                "naq.run": context.run,
            },
        )
        with self._trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            carried: dict[str, str] = {}
            self._propagator.inject(carried)
            context.trace = carried.get(TRACEPARENT, context.trace)
            try:
                value = await call_next()
            except BaseException as error:
                end = read_end(error, context)
                span.set_attribute("naq.end", end)
                if end in _FAILED:
                    span.record_exception(error)
                    span.set_attribute("error.type", "timeout" if end == "timeout" else _name(error))
                    span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, type(error).__name__))
                raise
            span.set_attribute("naq.end", "returned")
            return value

    def _links(self, context: Context, sender: SpanContext) -> list[Link]:
        """To the span that enqueued the job, where that is not the parent, and to those of the jobs it waited for."""
        found = [sender] if self._linked and sender.is_valid else []
        for parent in context.links:
            one = self._trace.get_current_span(self._propagator.extract({TRACEPARENT: parent})).get_span_context()
            if one.is_valid:
                found.append(one)
        return [self._trace.Link(one) for one in found]


def _name(error: BaseException) -> str:
    """The name of its class; of one that a child process raised, as that told it."""
    told = getattr(error, "error", None)
    if told is not None and isinstance(kind := getattr(told, "type", None), str):
        return kind
    return f"{type(error).__module__}.{type(error).__qualname__}"

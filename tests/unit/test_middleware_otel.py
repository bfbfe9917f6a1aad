"""Spans of enqueues and attempts, and the W3C trace context that joins them across processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from naq import DiscardJob, Naq, NaqException, Retry
from naq.job import JobSpec
from naq.middleware import OpenTelemetry
from naq.worker import Worker

_numbers = count()
DEADLINE = 10.0  # seconds any wait may take


class Traced:
    """An app that traces into memory."""

    def __init__(self, **options: Any) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.app = Naq("test", broker_url=f"memory:otel-{next(_numbers)}")
        self.app.use(OpenTelemetry(self.provider, **options))
        self.tracer = self.provider.get_tracer("tests")

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        worker = Worker(self.app)
        async with self.app:
            running = asyncio.create_task(worker.run())
            await asyncio.wait_for(worker.wait_ready(), DEADLINE)
            try:
                yield
            finally:
                worker.stop()
                await asyncio.wait_for(running, DEADLINE)

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def span(self, name: str) -> ReadableSpan:
        (found,) = self.spans(name)
        return found


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


def trace_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.trace_id


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_one_trace_from_the_caller_through_a_job_to_the_job_that_it_enqueues(kind: str) -> None:
    traced = Traced()

    @traced.app.task(name="child")
    async def child() -> None:
        with traced.tracer.start_as_current_span("inside"):
            pass

    async def parent_body() -> str:
        return (await child.enqueue()).id

    def sync_parent_body() -> str:
        with traced.tracer.start_as_current_span("thread"):
            pass
        return child.enqueue_sync().id

    chosen: Callable[..., Any] = sync_parent_body if kind == "sync" else parent_body
    parent = traced.app.task(name="parent")(chosen)

    async def test() -> None:
        async with traced.working():
            with traced.tracer.start_as_current_span("request"):
                job = await parent.enqueue()
            child_id = await job.result(timeout=DEADLINE)
            await traced.app.job(child_id).result(timeout=DEADLINE)

    asyncio.run(test())
    names = ["request", "enqueue parent", "run parent", "enqueue child", "run child", "inside"]
    spans = [traced.span(name) for name in names]
    assert [parent_of(span) for span in spans] == [None, *map(id_of, spans[:-1])]
    assert len({trace_of(span) for span in spans}) == 1
    assert [span.kind for span in spans[1:3]] == [SpanKind.PRODUCER, SpanKind.CONSUMER]
    if kind == "sync":
        assert parent_of(traced.span("thread")) == id_of(spans[2])
    attributes = dict(spans[2].attributes or {})
    assert attributes.pop("messaging.message.id")
    assert attributes == {
        "messaging.system": "naq",
        "messaging.operation.type": "process",
        "messaging.operation.name": "run",
        "messaging.destination.name": "default",
        "naq.task": "parent",
        "naq.attempt": 1,
        "naq.run": 1,
        "naq.end": "returned",
    }


def test_every_attempt_is_a_span_and_failures_are_marked() -> None:
    traced = Traced()

    @traced.app.task(name="fail", retry=Retry(max_attempts=2, base=0.0, jitter=False))
    async def fail() -> None:
        raise ValueError("no")

    @traced.app.task(name="discard")
    async def discard() -> None:
        raise DiscardJob("hopeless")

    async def test() -> None:
        async with traced.working():
            for task in (fail, discard):
                with pytest.raises(NaqException):
                    await (await task.enqueue()).result(timeout=DEADLINE)

    asyncio.run(test())
    attempts = traced.spans("run fail")
    assert [(span.attributes or {})["naq.attempt"] for span in attempts] == [1, 2]
    assert {parent_of(span) for span in attempts} == {id_of(traced.span("enqueue fail"))}
    assert {span.status.status_code for span in attempts} == {StatusCode.ERROR}
    assert [event.name for event in attempts[0].events] == ["exception"]
    asked = traced.span("run discard")
    assert (asked.status.status_code, (asked.attributes or {})["naq.end"]) == (StatusCode.UNSET, "asked")


def test_a_link_instead_of_a_parent() -> None:
    traced = Traced(relation="link")

    @traced.app.task(name="fine")
    async def fine() -> None: ...

    async def test() -> None:
        async with traced.working():
            await (await fine.enqueue()).result(timeout=DEADLINE)

    asyncio.run(test())
    sender, span = traced.span("enqueue fine"), traced.span("run fine")
    assert parent_of(span) is None
    assert [link.context.span_id for link in span.links] == [id_of(sender)]
    assert trace_of(span) != trace_of(sender)


def test_a_batch_is_one_span_and_every_job_carries_it() -> None:
    traced = Traced()

    @traced.app.task(name="one")
    async def one() -> None: ...

    @traced.app.task(name="two", queue="other", tags={"team": "a"})
    async def two() -> None: ...

    async def test() -> None:
        async with traced.working():
            jobs = await traced.app.enqueue_many([one.call(), two.call()])
            for job in jobs:
                await job.result(timeout=DEADLINE)
            assert (await jobs[1].record()).tags == {"team": "a"}

    asyncio.run(test())
    sender = traced.span("enqueue")
    assert dict(sender.attributes or {}) == {
        "messaging.system": "naq",
        "messaging.operation.type": "send",
        "messaging.operation.name": "enqueue",
        "messaging.batch.message_count": 2,
    }
    assert {parent_of(traced.span(name)) for name in ("run one", "run two")} == {id_of(sender)}


@pytest.mark.parametrize("parent", [None, "nonsense", "00-" + "0" * 32 + "-" + "2" * 16 + "-01"])
def test_a_job_without_a_valid_context_starts_a_trace_of_its_own(parent: str | None) -> None:
    traced = Traced()

    @traced.app.task(name="fine")
    async def fine() -> None: ...

    _ = fine

    async def test() -> None:
        headers = None if parent is None else {"traceparent": parent}
        payload = b'{"v":1,"task":"fine"}'
        async with traced.working():
            with traced.tracer.start_as_current_span("unrelated"):
                await (await traced.app.connect()).enqueue([JobSpec(id="foreign", payload=payload, headers=headers)])
            await traced.app.job("foreign").result(timeout=DEADLINE)

    asyncio.run(test())
    assert traced.span("run fine").parent is None
    assert not trace.get_current_span().get_span_context().is_valid


def test_an_unknown_relation_is_refused() -> None:
    with pytest.raises(NaqException, match="expected 'parent' or 'link'"):
        Traced(relation="sibling")


def link_ids(span: ReadableSpan) -> set[int]:
    return {link.context.span_id for link in span.links}


@pytest.mark.parametrize("relation", ["parent", "link"])
def test_a_job_that_waited_for_others_is_linked_to_what_ran_them(relation: str) -> None:
    traced = Traced(relation=relation)

    @traced.app.task(name="part")
    async def part(number: int) -> int:
        if number == 2:
            raise DiscardJob("no")
        return number

    @traced.app.task(name="whole")
    async def whole() -> None: ...

    async def test() -> None:
        async with traced.working():
            parts = [await part.enqueue(number) for number in range(3)]
            job = await whole.options(depends_on=parts, on_parent_failure="run_anyway").enqueue()
            await job.result(timeout=DEADLINE)

    asyncio.run(test())
    span = traced.span("run whole")
    assert {id_of(one) for one in traced.spans("run part")} <= link_ids(span)
    assert len(span.links) == (4 if relation == "link" else 3), "the span that enqueued it is a link of its own"
    assert (id_of(traced.span("enqueue whole")) in link_ids(span)) is (relation == "link")


def test_the_conventions_are_kept() -> None:
    traced = Traced()

    @traced.app.task(name="bad", queue="mail", retry=Retry(max_attempts=1))
    async def bad() -> None:
        raise LookupError

    async def test() -> None:
        async with traced.working():
            job = await bad.enqueue()
            with pytest.raises(NaqException):
                await job.result(timeout=DEADLINE)
            record = await job.record()
            assert record is not None
            context = traced.span("run bad").context
            assert context is not None
            flags = int(context.trace_flags)
            assert record.trace == f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"

    asyncio.run(test())
    for name, operation, kind in (("enqueue", "send", SpanKind.PRODUCER), ("run", "process", SpanKind.CONSUMER)):
        span = traced.span(f"{name} bad")
        said = dict(span.attributes or {})
        assert span.kind is kind
        assert said["messaging.system"] == "naq"
        assert said["messaging.operation.name"] == name
        assert said["messaging.operation.type"] == operation
        assert said["messaging.destination.name"] == "mail"
        assert said["messaging.message.id"]
    assert dict(traced.span("run bad").attributes or {})["error.type"] == "builtins.LookupError"

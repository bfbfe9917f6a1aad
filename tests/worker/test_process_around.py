"""Child processes and what runs around a task in its worker."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import process_tasks
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from process_tools import begun, children, gone, result, serving, start, story

from naq import Context, JobExecutionError
from naq.job import JobState
from naq.middleware import Middleware, OpenTelemetry
from naq.middleware.base import Call
from tests.tools import ended


class Doorman(Middleware):
    """Lets jobs in by the tag `door`; waits for a cancellation where it says so."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self.raised: list[BaseException] = []

    async def run(self, context: Context, call_next: Call) -> Any:
        match context.tags.get("door"):
            case "closed":
                raise ValueError("not today")
            case "replaced":
                return "something else"
            case "slow":
                self.waiting.set()
                await asyncio.sleep(60)
            case _:
                pass
        try:
            return await call_next()
        except Exception as error:
            self.raised.append(error)
            raise


def test_a_child_that_a_middleware_keeps_from_its_job_is_the_next_ones() -> None:
    doorman = Doorman()
    app = process_tasks.build()
    app.use(doorman)
    before = children()
    where = app.get_task("where")

    async def test() -> None:
        async with serving(app):
            pid = await result(app, "where")
            refused = await ended(await where.options(tags={"door": "closed"}).enqueue())
            assert refused.error is not None
            assert refused.error.message == "not today"
            replaced = await where.options(tags={"door": "replaced"}).enqueue()
            assert bytes((await ended(replaced)).result or b"") == b'"something else"'
            slow = await where.options(tags={"door": "slow"}).enqueue()
            await doorman.waiting.wait()
            await slow.cancel()
            assert (await ended(slow)).state is JobState.CANCELLED
            assert await result(app, "where") == pid
            assert len([child for child in children() if child not in before]) == 1
            await ended(await start(app, "fail", "always"))
            assert all(isinstance(error, JobExecutionError) for error in doorman.raised)
            assert "builtins.ValueError: always" in str(doorman.raised[0])

    story(test())


def test_a_child_dies_with_what_was_around_its_job(tmp_path: Path) -> None:
    app = process_tasks.build()
    app.use(Doorman())

    async def test() -> None:
        async with serving(app):
            job = await start(app, "hasty", str(tmp_path / "never"), str(tmp_path / "begun"))
            pid = await begun(tmp_path / "begun")
            assert (await ended(job)).state is JobState.FAILED
            await gone(pid)

    story(test())


def test_what_is_traced_goes_on_in_the_child() -> None:
    async def test() -> None:
        exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        app = process_tasks.build()
        app.use(OpenTelemetry(provider))
        async with serving(app):
            seen = await result(app, "span_here")
        [ran] = [span.context for span in exporter.get_finished_spans() if span.name == "run span_here"]
        assert ran is not None
        assert seen == [f"{ran.trace_id:032x}", f"{ran.span_id:016x}"]

    story(test())

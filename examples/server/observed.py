"""Numbers and traces: what Prometheus scrapes of a worker and of a server, and a job with its child as one trace.

    python examples/server/observed.py

Needs `pip install "naq[server,prometheus,otel]" opentelemetry-sdk`. Starts a broker, a worker and a server of its own;
nothing is left behind.

Prints:

    the worker: 2 of greet succeeded, 1 failed by a ValueError
    the server: 2 of greet succeeded, 1 failed; 0 events behind
    one trace: enqueue welcome > run welcome > enqueue greet > run greet
"""

import asyncio
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import httpx2 as httpx
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from naq import JobExecutionError, Naq
from naq.config import Config
from naq.config.server import ServerConfig
from naq.middleware import OpenTelemetry
from naq.server.serve import Serving
from naq.testing.broker import bundled_server
from naq.worker import Worker

spans = InMemorySpanExporter()  # in earnest an exporter of OTLP
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))


def scraped(address: str) -> dict[tuple[str, str, str], float]:
    """The numbers of a worker or a server, by name, task and how it ended."""
    text = httpx.get(f"{address}/metrics", trust_env=False).text
    return {
        (one.name, one.labels.get("task", ""), one.labels.get("outcome", one.labels.get("event", ""))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def until(address: str, *name: str, count: float) -> dict[tuple[str, str, str], float]:
    """The numbers, once that one is so high: the history is a moment behind."""
    while True:
        found = scraped(address)
        if found.get((name[0], name[1], name[2]), 0.0) >= count:
            return found
        time.sleep(0.05)


def path_of(last: ReadableSpan, found: dict[int, ReadableSpan]) -> list[str]:
    """The names from the first span of a trace to `last`."""
    before = path_of(found[last.parent.span_id], found) if last.parent else []
    return [*before, last.name]


def story(worker: str, server: str) -> None:
    """What a dashboard would show."""
    of = until(worker, "naq_worker_jobs_total", "greet", "succeeded", count=2)
    failed = of["naq_worker_jobs_total", "greet", "failed"]
    print(f"the worker: {of['naq_worker_jobs_total', 'greet', 'succeeded']:.0f} of greet succeeded, "
          f"{failed:.0f} failed by a ValueError")  # fmt: skip
    until(server, "naq_task_events_total", "greet", "failed", count=1)
    of = until(server, "naq_task_events_total", "greet", "succeeded", count=2)
    print(f"the server: {of['naq_task_events_total', 'greet', 'succeeded']:.0f} of greet succeeded, "
          f"{of['naq_task_events_total', 'greet', 'failed']:.0f} failed; "
          f"{of['naq_history_lag_events', '', '']:.0f} events behind")  # fmt: skip
    done = {span.context.span_id: span for span in spans.get_finished_spans() if span.context}
    longest = max((path_of(span, done) for span in done.values()), key=len)
    print("one trace:", " > ".join(longest))


async def main() -> None:
    """Run all of it."""
    with bundled_server() as broker, tempfile.TemporaryDirectory() as folder:
        app = Naq("observed", broker_url=broker.url, middleware=[OpenTelemetry(provider)])

        @app.task(name="greet", retries=0)
        async def greet(name: str) -> str:
            if not name:
                raise ValueError("whom?")
            return f"Hello, {name}!"

        @app.task(name="welcome")
        async def welcome(name: str) -> None:
            await greet.enqueue(name)

        worker, config = Worker(app, health="127.0.0.1:0"), Config(broker_url=broker.url, namespace="observed")
        serving = Serving(config, ServerConfig(port=0, database=f"sqlite:///{Path(folder)}/server.db"))
        running = [asyncio.create_task(worker.run()), asyncio.create_task(serving.run())]
        await worker.wait_ready()
        async with app:
            for job in [await greet.enqueue("Ann"), await greet.enqueue(""), await welcome.enqueue("Bob")]:
                with suppress(JobExecutionError):
                    await job.result(timeout=30)
            await asyncio.to_thread(story, f"http://127.0.0.1:{worker.health_port}", serving.address)
        serving.stop()
        worker.stop()
        await asyncio.gather(*running)


if __name__ == "__main__":
    asyncio.run(main())

"""What jobs report while the broker hangs, in a buffer too small for it: dropped and counted, and never a result.

    python examples/server/overflow.py

Needs `pip install "naq[prometheus]"`. Starts a broker and a worker of its own; nothing is left behind.
Which overflow is right (`drop_oldest_progress`, `block`, `spill` to a file): docs/worker.md.

Prints:

    the broker stands still: log lines are dropped, and counted
    the broker is back: talk has said 5000 lines
    kept are the latest lines, up to number 5000: True
"""

import asyncio
import logging

import httpx2 as httpx
from prometheus_client.parser import text_string_to_metric_families

from naq import Naq
from naq.testing.broker import bundled_server
from naq.worker import Worker

log = logging.getLogger("shop")
log.setLevel(logging.INFO)


def scraped(port: int) -> dict[tuple[str, str], float]:
    """The numbers of the worker, by name and kind of event."""
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    return {
        (one.name, one.labels.get("kind", "")): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


async def main() -> None:
    """Run all of it."""
    with bundled_server() as broker:
        app = Naq(
            "talking", broker_url=broker.url, event_buffer=65_536, event_overflow="drop_oldest_progress",
            job_log_lines=10_000,
        )  # fmt: skip
        silent = asyncio.Event()

        @app.task(name="talk")
        async def talk() -> str:
            broker.pause()  # as if it hung
            for number in range(1, 5001):
                log.info("line %d", number)
                if number % 100 == 0:
                    await asyncio.sleep(0.02)  # work
            silent.set()
            return "5000 lines"

        worker = Worker(app, health="127.0.0.1:0")
        running = asyncio.create_task(worker.run())
        await worker.wait_ready()
        async with app:
            job = await talk.enqueue()
            await silent.wait()
            while not (await asyncio.to_thread(scraped, worker.health_port))["naq_worker_events_dropped_total", "log"]:
                await asyncio.sleep(0.05)
            print("the broker stands still: log lines are dropped, and counted")
            broker.resume()
            print("the broker is back: talk has said", await job.result(timeout=60))
            kept = [line.text async for line in job.logs()]
            print("kept are the latest lines, up to number 5000:", kept[-1] == "line 5000" and len(kept) < 5000)
        worker.stop()
        await running


if __name__ == "__main__":
    asyncio.run(main())

"""The rights that docs/security.md gives to producers and workers are enough, and no more than it says."""

from __future__ import annotations

import asyncio
import re
import subprocess
import textwrap
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from naq import (
    CancelResult,
    JobExecutionError,
    JobState,
    Naq,
    NaqConnectionError,
    SnoozeJob,
    current_context,
    result_of,
)
from naq.backends.nats.broker.binary import find_binary
from naq.backends.nats.broker.ports import free_ports
from naq.worker import Worker

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
TIMEOUT = 20.0  # seconds; each wait takes milliseconds
MORE = ("naq.shop.k.cancel.>", "naq.shop.c.>", "naq.shop.r.>")


def documented() -> str:
    """The authorization block of the page, with a password."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", PAGE, re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if "authorization" in block]
    return textwrap.dedent(block).replace('"..."', '"secret"')


class Server:
    """A NATS server with `authorization`, and apps that log in to it."""

    def __init__(self, folder: Path, authorization: str) -> None:
        self.port = free_ports(1)[0]
        self.log = folder / "nats.log"
        config = folder / "nats.conf"
        listen = f'listen: "127.0.0.1:{self.port}"\njetstream {{ store_dir: "{folder}/jetstream" }}\n'
        config.write_text(listen + authorization, encoding="utf-8")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([str(find_binary().path), "-c", str(config)], stdout=log, stderr=log)

    def app(self, user: str, **settings: Any) -> Naq:
        app = Naq(
            "shop",
            broker_url=f"nats://127.0.0.1:{self.port}",
            user=user,
            password="secret",
            shutdown_timeout=5,
            **settings,
        )

        @app.task(name="work", retries=1)
        async def work(number: int) -> int:
            attempt = current_context().attempt
            if number == 1 and attempt == 1:
                raise ValueError("not yet")
            if number == 2:
                raise RuntimeError("never")
            if number == 3 and not snoozed:
                snoozed.append(number)
                raise SnoozeJob(0.1)
            return number

        snoozed: list[int] = []
        return app

    def violations(self) -> list[str]:
        """What the server refused so far."""
        return [line for line in self.log.read_text(encoding="utf-8").splitlines() if "Violation" in line]


@pytest.fixture(params=[(), MORE], ids=["documented", "and cancelling"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Generator[Server]:
    more = "".join(f', "{subject}"' for subject in request.param)
    server = Server(tmp_path, documented().replace('"naq.shop.j.>"', f'"naq.shop.j.>"{more}'))
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def test_the_rights_of_the_page_are_enough(server: Server, request: pytest.FixtureRequest) -> None:
    async def main() -> None:
        producer = server.app("producer", publish_timeout=2.0)
        work = producer.tasks["work"]
        worker = Worker(server.app("worker"))
        running = asyncio.create_task(worker.run())
        async with asyncio.timeout(TIMEOUT), producer:
            await worker.wait_ready()
            later = await work.options(delay=600).enqueue(0)
            jobs = [await work.options(job_id="chosen").enqueue(0), await work.enqueue(1), await work.enqueue(3)]
            jobs += await work.enqueue_many([work.call(number) for number in range(4, 600)])
            assert [await job.result(timeout=TIMEOUT) for job in jobs] == [0, 1, *range(3, 600)]
            chained = await work.enqueue(result_of(await work.options(depends_on=["chosen"]).enqueue(5)))
            assert await chained.result(timeout=TIMEOUT) == 5
            failed = await work.options(retries=0).enqueue(2)
            with pytest.raises(JobExecutionError, match="never"):
                await failed.result(timeout=TIMEOUT)
            assert await failed.status() is JobState.FAILED
            assert server.violations() == []
            if "and cancelling" in request.node.name:
                assert await later.cancel() is CancelResult.REMOVED
                assert server.violations() == []
            else:
                with pytest.raises(NaqConnectionError):
                    await later.cancel()
                assert server.violations() != []
        worker.stop()
        async with asyncio.timeout(TIMEOUT):
            await running

    asyncio.run(main())


def test_a_producer_cannot_claim_jobs(server: Server) -> None:
    """It may make a consumer, and so hide jobs for a while, but it cannot acknowledge one away."""

    async def main() -> None:
        async with server.app("producer") as producer:
            job = await producer.tasks["work"].enqueue(0)
            backend = await producer.connect()
            (claim,) = await backend.fetch(["default"], limit=1, lease=30.0, wait=TIMEOUT)
            await backend.drop(claim)
            await backend.stats(["default"])  # answered after the server has seen the acknowledgement
            assert await job.status() is JobState.RUNNING
        assert any("$JS.ACK." in line for line in server.violations())

    asyncio.run(main())

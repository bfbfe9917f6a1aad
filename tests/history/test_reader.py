"""The log is read once, whole, whoever reads and whatever goes down meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from history_tools import NOW, POSTGRES, Rig, append, counted, drain, ended, make_rig, record, run, spec, told
from msgspec.structs import replace

from naq import Naq
from naq.backends.base import Event
from naq.exceptions import NaqConnectionError
from naq.job import new_id
from naq.server.ingest import Ingest, Reader
from naq.server.ingest.reader import ASKED
from naq.server.ingest.service import BACKOFF
from naq.server.store import open_store
from naq.server.store.tables import attempts, cursors, depths, jobs, queues, worker_minutes, workers
from naq.testing.proxy import FaultProxy


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - a database tells nobody
            await asyncio.sleep(0.01)


def test_it_goes_on_where_it_stopped(url: str) -> None:
    """Also in another process, and never from the start again."""

    async def main(rig: Rig) -> None:
        await rig.take(*(ended(record()) for _ in range(5)))
        await append(rig.backend, [ended(record()) for _ in range(5)])
        other = rig.make_reader()
        await drain(other)
        (row,) = await rig.rows(cursors)
        assert (row["events"], row["restarts"]) == (10, 0)
        assert await rig.count(jobs) == 10
        task = asyncio.ensure_future(other.step(wait=60))  # a server that is stopped while it waits
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=5)
        assert task.cancelled()

    run(url, main)


def test_a_question_goes_on_where_nothing_comes(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle server asks the log seldom, and is told at once."""

    async def main(rig: Rig) -> None:
        await rig.take(ended(record()))
        asked: list[float] = []
        read = rig.backend.read

        async def counting(
            *, after: str | None = None, limit: int = 1000, wait: float = 0.0
        ) -> list[tuple[str, Event]]:
            asked.append(wait)
            return await read(after=after, limit=limit, wait=wait)

        monkeypatch.setattr(rig.backend, "read", counting)
        for _ in range(3):
            assert await rig.reader.step(wait=0.01) is None
        assert asked == [ASKED]
        await append(rig.backend, [ended(record())])
        batch = await rig.reader.step(wait=60)
        assert batch is not None
        assert len(batch.events) == 1
        assert asked == [ASKED]
        assert await rig.reader.step(wait=0.01) is None
        assert asked == [ASKED, ASKED]
        rig.reader.forget()

    run(url, main)


def test_several_that_read_at_once_write_each_event_once(url: str) -> None:
    async def main(rig: Rig) -> None:
        stores = [await open_store(url) for _ in range(3)]
        readers = [rig.make_reader(store) for store in stores]
        await append(rig.backend, [ended(record()) for _ in range(300)])
        stop = asyncio.Event()

        async def read(reader: Reader) -> None:
            while not stop.is_set():
                with suppress(NaqConnectionError):  # SQLite: another one writes longer than one waits
                    await reader.step(wait=0)

        tasks = [asyncio.ensure_future(read(reader)) for reader in readers]
        for _ in range(20):
            await append(rig.backend, [ended(record()) for _ in range(20)])
            await asyncio.sleep(0)

        async def all_there() -> bool:
            return await rig.count(jobs) == 700

        await until(all_there)
        stop.set()
        await asyncio.gather(*tasks)
        assert (await rig.rows(cursors))[0]["events"] == 700

        assert await counted(rig, "succeeded") == 700
        for store in stores:
            await store.close()

    run(url, main)


def test_a_log_that_was_made_anew_is_read_from_its_start(url: str) -> None:
    async def main(rig: Rig) -> None:
        old = [ended(record()) for _ in range(4)]
        await rig.take(*old)
        other = Naq("other", broker_url="memory:another")
        again = Rig(rig.store, url)  # a broker that lost its disk: the same jobs up to a point, then others
        await again.backend.open()
        await again.take(*old[:2], ended(record()))
        (row,) = await rig.rows(cursors)
        assert row["restarts"] == 1
        assert await rig.count(jobs) == 5
        assert await counted(rig, "succeeded") == 5
        await again.backend.close()
        del other

    run(url, main)


def test_a_service_waits_out_a_database_that_is_down(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL behind a proxy that cuts everything; nothing is missing when it is back."""
    from history_tools import make_url

    monkeypatch.setattr("naq.server.ingest.service.BACKOFF", (0.01, 0.05))
    with make_url("postgresql", tmp_path) as url:

        async def inside() -> None:
            where = POSTGRES.rpartition("@")[2].partition("/")[0]
            with FaultProxy(f"nats://{where}") as proxy:
                port = proxy.url.rpartition(":")[2]
                through = url.replace(where, f"127.0.0.1:{port}", 1)
                async with make_rig(through) as rig:
                    direct = await open_store(url)
                    watcher = Rig(direct, url)
                    ingest = Ingest(rig.backend, rig.store, rig.config)
                    task = asyncio.ensure_future(ingest.run())
                    await append(rig.backend, [ended(record()) for _ in range(50)])

                    async def count_is(count: int) -> bool:
                        return await watcher.count(jobs) == count

                    await until(lambda: count_is(50))
                    proxy.refuse()
                    await append(rig.backend, [ended(record()) for _ in range(50)])

                    async def stands_still() -> bool:
                        return "cannot be reached" in ingest.lag().problem or "was lost" in ingest.lag().problem

                    await until(stands_still)
                    proxy.heal()
                    await until(lambda: count_is(100))
                    assert (await watcher.rows(cursors))[0]["events"] == 100
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                    await direct.close()

        asyncio.run(inside())
    assert BACKOFF[1] <= 30


@pytest.mark.parametrize("why", ["locked", "full"])
def test_a_service_waits_out_a_sqlite_that_cannot_be_written(
    why: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program holds it for longer than one waits; the disk is full. What is there can be read meanwhile."""
    monkeypatch.setattr("naq.server.ingest.service.BACKOFF", (0.01, 0.05))
    monkeypatch.setattr("naq.server.store.engine.PATIENCE", 0.2)
    path = tmp_path / "history.db"

    async def main(rig: Rig) -> None:
        ingest = Ingest(rig.backend, rig.store, rig.config)
        await append(rig.backend, [ended(record()) for _ in range(50)])
        task = asyncio.ensure_future(ingest.run())

        async def begun() -> bool:
            return await rig.count(jobs) == 50

        await until(begun)
        other = sqlite3.connect(path, isolation_level=None, timeout=30)  # the service may be writing
        if why == "locked":
            other.execute("BEGIN IMMEDIATE")
        else:
            await limit_pages(rig, other.execute("PRAGMA page_count").fetchone()[0])
        await append(rig.backend, [ended(record()) for _ in range(5000)])

        async def stands_still() -> bool:
            return why in ingest.lag().problem

        await until(stands_still)
        assert await rig.count(jobs) < 5050
        if why == "locked":
            other.execute("ROLLBACK")
        else:
            await limit_pages(rig, 1_000_000)
        other.close()

        async def caught_up() -> bool:
            return await rig.count(jobs) == 5050

        await until(caught_up)
        assert (await rig.rows(cursors))[0]["events"] == 5050
        assert await counted(rig, "succeeded") == 5050
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(f"sqlite:///{path}", main)


async def limit_pages(rig: Rig, most: int) -> None:
    """As if the disk had room for so many pages; what is checked after each failure keeps being so."""
    async with asyncio.timeout(30), rig.store.writing() as connection:
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")


def test_one_leads_and_another_takes_over(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("naq.server.ingest.service.RENEW", 0.02)

    async def main(rig: Rig) -> None:
        store = await open_store(url)
        services = [Ingest(rig.backend, rig.store, rig.config), Ingest(rig.backend, store, rig.config)]
        tasks = [asyncio.ensure_future(service.run()) for service in services]

        async def one_leads() -> bool:
            return sum(service.lag().leading for service in services) == 1

        await until(one_leads)
        leader = next(n for n in (0, 1) if services[n].lag().leading)
        batches: list[int] = []
        services[leader].on_batch.append(lambda batch: batches.append(len(batch.events)))
        await append(rig.backend, [ended(record()) for _ in range(10)])

        async def there() -> bool:
            return await rig.count(jobs) >= 10

        await until(there)
        assert sum(batches) == 10
        tasks[leader].cancel()
        await asyncio.gather(tasks[leader], return_exceptions=True)
        await append(rig.backend, [ended(record()) for _ in range(10)])

        async def more() -> bool:
            return await rig.count(jobs) == 20

        await until(more)
        assert services[1 - leader].lag().leading
        tasks[1 - leader].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert {row["name"] for row in await rig.rows(queues)} <= {"default", "mail"}
        await store.close()

    run(url, main)


def test_first_events_of_a_job_that_others_know(url: str) -> None:
    """Progress before anything else, and an event of a kind that a later naq writes."""

    async def main(rig: Rig) -> None:
        job_id = new_id()
        await rig.take(
            told("progress", job_id, value=0.25, message="on it"), told("later", job_id, x=1), told("later", "stranger")
        )
        row = await rig.job(job_id)
        assert (row["state"], row["progress"], row["progress_text"]) == ("running", 0.25, "on it")
        assert await rig.count(jobs) == 1
        assert await rig.count(attempts) == 0
        early = new_id()  # it reported before it ran for long enough that its beginning was worth an event
        await rig.take(told("progress", early, NOW + 1, value=0.5), told("started", early, NOW, worker="w"))
        row = await rig.job(early)
        assert (row["started_at"], row["worker"]) == (round(NOW * 1e6), "w")
        assert (row["state"], row["progress"]) == ("running", 0.5)

    run(url, main)


def test_tables_for_presence(url: str) -> None:
    async def main(rig: Rig) -> None:
        from naq.backends.base import WorkerInfo
        from naq.server.ingest.presence import Presence

        presence = Presence(rig.backend, rig.store)
        await rig.backend.open(["mail"])
        await rig.backend.enqueue([spec(), spec()])
        said = WorkerInfo(id="w", queues=["mail"], host="h", pid=4, code="v2", memory=7, cpu=0.5, processed=3)
        await rig.backend.register(said, ttl=60)
        await presence.step()
        await rig.backend.register(replace(said, memory=6, cpu=0.75, processed=4), ttl=60)
        await presence.step()
        await rig.backend.unregister("w")
        await presence.step()
        (worker,) = await rig.rows(workers)
        assert (worker["state"], worker["gone_at"] is not None, worker["code"]) == ("gone", True, "v2")
        minutes = await rig.rows(worker_minutes)  # one, or two where the minute ended in between
        assert max(row["memory"] for row in minutes) == 7, "the most of a minute"
        assert max((row["cpu"], row["processed"]) for row in minutes) == (0.75, 4)
        assert next(row for row in await rig.rows(queues) if row["name"] == "mail")["queued"] == 2
        assert next(row for row in await rig.rows(depths) if row["queue"] == "mail")["queued"] == 2

    run(url, main)

"""Outbox: producers, relays and the broker are killed at every point; what was committed has run, and nothing else."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from rig.fleet import LOOK, PATIENCE, SETTINGS, Rig, story
from rig.outbox import orders
from rig.processes import Process

from naq.events.wire import KIND
from tests.outbox.outbox_tools import Place, make_place

pytestmark = pytest.mark.faults


class Shop:
    """Orders with their jobs in a database, and the processes at both ends."""

    def __init__(self, rig: Rig, place: Place) -> None:
        self.rig = rig
        self.place = place
        self.orders = orders(place.table)
        place.run(f"CREATE TABLE {self.orders} (number INTEGER, job_id VARCHAR(64))")

    def start(self, what: str, *args: int, fault: str = "") -> Process:
        """Start a producer or a relay. `fault`: a point to strike at, once."""
        env = {"NAQ_FAULT": f"{fault}:mark={{mark}}"} if fault else {}
        arguments = (what, self.place.url, self.place.table, *map(str, args))
        return self.rig._start(  # pyright: ignore[reportPrivateUsage]
            "rig.outbox", arguments, {**SETTINGS, "NAQ_BROKER_URL": self.rig.url, **env}
        )

    def committed(self) -> set[str]:
        """The jobs of the orders that there are."""
        return {job_id for (job_id,) in self.place.run(f"SELECT job_id FROM {self.orders}")}

    def waiting(self) -> int:
        """Rows that have not been removed."""
        [(count,)] = self.place.run("SELECT count(*) FROM {table}")
        return int(count)

    async def until_sent(self) -> None:
        """Wait until there is no row."""
        deadline = time.monotonic() + PATIENCE
        while left := await asyncio.to_thread(self.waiting):
            assert time.monotonic() < deadline, f"{left} rows after {PATIENCE:g} s"
            await asyncio.sleep(LOOK)

    async def check(self, count: int, *, exactly: bool = True) -> None:
        """What was committed, `count` orders, has run: each once where `exactly`; and nothing else has."""
        await self.until_sent()
        jobs = self.committed()
        assert len(jobs) == count
        deadline = time.monotonic() + PATIENCE
        while len(done := await self.rig.broker.finals(jobs)) < count:
            assert time.monotonic() < deadline, f"{len(done)} of {count} jobs ended"
            await asyncio.sleep(LOOK)
        assert {record.state.value for record in done.values()} == {"succeeded"}
        # A record is never lost; an acknowledgement may be with the broker, and is made up for.
        while left := await self.rig.broker.unfinished():
            assert time.monotonic() < deadline, f"{left} are still there"
            await asyncio.sleep(LOOK)
        ran = [execution.job for execution in self.rig.executions()]
        assert set(ran) == jobs
        if exactly:
            assert len(ran) == count, "a job ran twice, and no worker died"


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, rig: Rig, tmp_path: Path) -> Generator[Shop]:
    with make_place(request.param, tmp_path) as place:
        shop = Shop(rig, place)
        try:
            yield shop
        finally:
            for process in rig.processes:
                process.end()  # or a table that is in use could not be dropped
            place.run(f"DROP TABLE {shop.orders}")


@story
async def test_a_program_dies_before_and_after_its_commit(shop: Shop) -> None:
    """Killed with a row written and the transaction open; what was committed before is sent when a relay comes."""
    async with shop.rig.connected():
        worker = shop.rig.worker()
        victim = shop.start("produce", 0, 40, fault="outbox.row_written:kill:after=22")
        await shop.rig.struck(victim)
        assert len(shop.committed()) == 17  # of 22 transactions that ended, each fourth was rolled back
        assert await shop.rig.broker.unfinished() == []
        relay = shop.start("relay")
        await shop.check(17)
        await shop.rig.stop(relay, worker)


@pytest.mark.parametrize("point", ["claimed", "sent"])
@story
async def test_a_relay_dies(shop: Shop, point: str) -> None:
    """Before it has sent what it took, or after: another follows when its lease has ended, and no job runs twice."""
    async with shop.rig.connected():
        worker = shop.rig.worker()
        await shop.rig.ended(shop.start("produce", 0, 80), 0)
        victim = shop.start("relay", fault=f"outbox.{point}:kill")
        await shop.rig.struck(victim)
        if point == "sent":
            await shop.rig.running(50)  # jobs that are done, while their rows are still there
        assert shop.waiting() == 60
        relay = shop.start("relay")
        await shop.check(60)
        await shop.rig.stop(relay, worker)


@pytest.mark.parametrize("point", ["claimed", "sent"])
@story
async def test_a_relay_of_events_dies(shop: Shop, point: str) -> None:
    """Before it has published what it took, or after: what was committed has happened, and nothing else."""
    async with shop.rig.connected():
        await shop.rig.ended(shop.start("announce", 0, 80), 0)
        await shop.rig.struck(shop.start("relay", fault=f"outbox.{point}:kill"))
        assert shop.waiting() == 60
        relay = shop.start("relay")
        await shop.until_sent()
        told = [event.job_id for _, event in await shop.rig.broker.read(kind=KIND, limit=1000)]
        assert set(told) == shop.committed()
        assert len(shop.committed()) == 60
        await shop.rig.stop(relay)


@story
async def test_a_relay_freezes_for_longer_than_its_lease(shop: Shop) -> None:
    """When it goes on, others have sent its rows, and they have run."""
    async with shop.rig.connected():
        worker = shop.rig.worker()
        await shop.rig.ended(shop.start("produce", 0, 80), 0)
        frozen = shop.start("relay", fault="outbox.claimed:stop")
        deadline = time.monotonic() + PATIENCE
        while not frozen.mark.exists():
            assert time.monotonic() < deadline
            await asyncio.sleep(LOOK)
        relay = shop.start("relay")
        await shop.check(60)
        frozen.send(signal.SIGCONT)
        await shop.rig.stop(frozen, relay)
        await shop.check(60)
        await shop.rig.stop(worker)


@story
async def test_relays_die_again_and_again(shop: Shop) -> None:
    """Three at a time, each of which dies sooner or later, while orders come in."""
    async with shop.rig.connected():
        worker = shop.rig.worker()
        producer = shop.start("produce", 0, 400)
        points = ("outbox.claimed", "outbox.sent")
        relays: list[Process] = []
        deaths = 0
        more = 400
        while deaths < 3 or producer.code is None:
            if producer.code is not None:
                await shop.rig.ended(producer, 0)
                producer, more = shop.start("produce", more, 40), more + 40
            deaths += sum(relay.code is not None for relay in relays)
            relays = [relay for relay in relays if relay.code is None]
            while len(relays) < 3:
                seed = len(shop.rig.processes)
                relays.append(shop.start("relay", fault=f"{points[seed % 2]}:kill:p=0.5:seed={seed}"))
            await asyncio.sleep(LOOK)
        assert producer.code == 0
        relays.append(shop.start("relay"))
        await shop.check(more // 4 * 3)
        for relay in relays:  # some have hardly started, and know no signal yet
            relay.end()
        await shop.rig.stop(worker)


@story
async def test_the_broker_dies_while_rows_are_sent(shop: Shop) -> None:
    """Rows wait, and are sent when it is back; jobs whose acknowledgement it lost may run again, as ever."""
    rig = shop.rig
    async with rig.connected():
        worker = rig.worker()
        await rig.ended(shop.start("produce", 0, 1200), 0)
        relay = shop.start("relay")
        await rig.running(1)
        rig.server.restart(kill=True)
        await shop.check(900, exactly=False)
        await rig.stop(relay, worker)

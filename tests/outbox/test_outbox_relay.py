"""The relay: what it does again after a death, what it leaves to a person, and how several share the work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import closing
from typing import Any

import pytest
from outbox_tools import Place, Shop, rows

from naq import Job, Naq
from naq.backends import memory
from naq.exceptions import ConfigurationError, NaqConnectionError
from naq.job import JobState
from naq.outbox import Outbox, hosted
from naq.outbox.delivery import FIRST, Delivery
from naq.outbox.desk import Desk
from naq.outbox.outbox import LEASE
from naq.outbox.rows import Kept, read_row
from naq.outbox.store import Store
from naq.testing.clock import FakeClock
from tests.tools import make_app, run, until, working

DAY = 86400.0


def committed(place: Place, shop: Shop, *numbers: int, **options: Any) -> list[Job[int]]:
    """Jobs in a transaction that is committed."""
    with place.connected("driver") as connection:
        task = shop.note.options(**options)
        jobs = shop.outbox.enqueue_many_sync(connection, [task.call(number) for number in numbers])
        connection.commit()
    return jobs


def taken(outbox: Outbox, time: FakeClock) -> list[Kept]:
    """Rows as a relay has them that dies right afterwards."""
    with closing(outbox.store()) as store:
        now = time.now.timestamp()
        return store.claim(100, now, now + outbox.lease)


async def waiting(app: Naq) -> int:
    """How many jobs wait in the queue."""
    (stats,) = await (await app.connect()).stats(["default"])
    return stats.queued


def with_clock(test: Callable[[Place, FakeClock], Coroutine[Any, Any, None]]) -> Callable[[Place], None]:
    """A test on SQLite with a clock that it sets."""

    def check(file: Place) -> None:
        with FakeClock() as time:
            run(test(file, time))

    check.__doc__ = test.__doc__
    return check


@with_clock
async def test_a_relay_that_died_before_it_sent_is_followed_when_its_lease_ends(file: Place, time: FakeClock) -> None:
    shop = Shop(file)
    async with shop.app:
        committed(file, shop, 1, 2)
        assert len(taken(shop.outbox, time)) == 2
        time.advance(LEASE - 0.1)
        assert await shop.outbox.flush() == 0
        time.advance(0.2)
        assert await shop.outbox.flush() == 2
        assert await waiting(shop.app) == 2
    assert rows(shop.outbox) == []


@pytest.mark.parametrize("ran", [False, True])
def test_what_was_sent_by_a_relay_that_died_is_not_sent_again(file: Place, ran: bool) -> None:
    """Within the time for which records are kept: whether the job still waits, or has run."""

    async def test(time: FakeClock) -> None:
        shop = Shop(file)
        async with shop.app:
            [job] = committed(file, shop, 1)
            backend = await shop.app.connect()
            await backend.enqueue([read_row(row)[0] for row in taken(shop.outbox, time)])
            if ran:
                async with working(make_worker(shop)):
                    assert await job.result(timeout=10) == 2
            await shop.app.connect()
            time.advance(6 * DAY)
            assert await shop.outbox.flush() == 1
            assert rows(shop.outbox) == []
            assert await waiting(shop.app) == (0 if ran else 1)
            assert await job.status() is (JobState.SUCCEEDED if ran else JobState.QUEUED)

    with FakeClock() as time:
        run(test(time))


def make_worker(shop: Shop) -> Naq:
    """The same tasks on the same store, without an outbox: a worker that does not relay."""
    config = shop.app.config
    app = Naq("test", broker_url=config.broker_url, shutdown_timeout=5.0)
    app.task(name="note")(shop.note.func)
    return app


@with_clock
async def test_beyond_that_time_a_person_is_asked(file: Place, time: FakeClock) -> None:
    """The record is gone: whether the job ran cannot be known, so it is neither sent nor lost."""
    shop = Shop(file)
    async with shop.app:
        [job] = committed(file, shop, 1)
        backend = await shop.app.connect()
        await backend.enqueue([read_row(row)[0] for row in taken(shop.outbox, time)])
        async with working(make_worker(shop)):
            assert await job.result(timeout=10) == 2
        time.advance(7 * DAY)
        assert await shop.outbox.flush() == 1
        [row] = rows(shop.outbox, stuck=True)
        assert "cannot be known any more" in (row.reason or "")
        assert (await waiting(shop.app), shop.ran) == (0, [1])
        time.advance(DAY)
        assert await shop.outbox.flush() == 0, "set aside is set aside"
        with closing(shop.outbox.store()) as store:
            assert store.retry(job.id)
        assert await shop.outbox.flush() == 1
        assert await waiting(shop.app) == 1


@with_clock
async def test_rows_that_nobody_took_may_wait_for_longer_than_records_are_kept(file: Place, time: FakeClock) -> None:
    shop = Shop(file)
    async with shop.app:
        committed(file, shop, 1)
        time.advance(30 * DAY)
        assert await shop.outbox.flush() == 1
        assert await waiting(shop.app) == 1


class SlowDesk(Desk):
    """The thread of a relay whose machine stands still for longer than its lease, once it has taken rows."""

    def __init__(self, store: Store, time: FakeClock) -> None:
        super().__init__(store)
        self._clock = time

    async def do(self, act: Callable[[Store], Any]) -> Any:
        done: Any = await super().do(act)
        if done:
            self._clock.advance(LEASE + 1)
        return done


@with_clock
async def test_a_relay_that_slept_past_its_lease_sends_nothing(file: Place, time: FakeClock) -> None:
    shop = Shop(file)
    async with shop.app:
        committed(file, shop, 1)
        desk = SlowDesk(shop.outbox.store(), time)
        delivery = Delivery(await shop.app.connect(), shop.app.config, desk, lease=LEASE)
        with pytest.raises(NaqConnectionError, match="slower than its lease"):
            await delivery.round()
        await desk.close()
        assert await waiting(shop.app) == 0
        time.advance(FIRST)
        assert await shop.outbox.flush() == 1
        assert await waiting(shop.app) == 1


@with_clock
async def test_a_broker_that_is_away_costs_rows_nothing(file: Place, time: FakeClock) -> None:
    shop = Shop(file)
    async with shop.app:
        committed(file, shop, *range(20))
        memory.set_down(shop.app.config, down=True)
        for _ in range(50):
            with pytest.raises(NaqConnectionError):
                await shop.outbox.flush()
            time.advance(60)
        assert {row.tries for row in rows(shop.outbox)} == {0}
        memory.set_down(shop.app.config, down=False)
        assert await shop.outbox.flush() == 20
        assert await waiting(shop.app) == 20


@with_clock
async def test_what_cannot_be_sent_is_set_aside_and_all_else_goes_on(file: Place, time: FakeClock) -> None:
    shop = Shop(file)
    async with shop.app:
        jobs = committed(file, shop, *range(6))
        [big] = committed(file, shop, 7, tags={"some": "x" * 300})
        file.run("UPDATE {table} SET spec = '{{' WHERE job_id = ?", jobs[0].id)
        file.run("UPDATE {table} SET spec = '{{\"v\": 3}}' WHERE job_id = ?", jobs[1].id)
        file.run("UPDATE {table} SET queue = 'no queue' WHERE job_id = ?", jobs[2].id)
        lesser = Naq("test", broker_url=shop.app.config.broker_url, max_headers=200)
        async with lesser:
            assert await file.outbox(lesser).flush() == 7
        assert await waiting(shop.app) == 3
        stuck = {row.job_id: row.reason or "" for row in rows(shop.outbox, stuck=True)}
        assert list(stuck) == [*(job.id for job in jobs[:3]), big.id]
        for words, reason in zip(
            ("cannot be read", "version 3", "no queue", "max_headers"), stuck.values(), strict=True
        ):
            assert words in reason
        with closing(shop.outbox.store()) as store:
            assert store.discard(jobs[0].id)
            assert not store.discard(jobs[5].id)
            assert store.retry(big.id)
            assert not store.retry("nobody")
        assert await shop.outbox.flush() == 1
        assert await waiting(shop.app) == 4


def test_relays_share_the_work(place: Place) -> None:
    async def test() -> None:
        shop = Shop(place)
        async with shop.app:
            jobs = committed(place, shop, *range(250))
            backend = await shop.app.connect()
            desks = [Desk(shop.outbox.store()) for _ in range(3)]
            relays = [Delivery(backend, shop.app.config, desk, lease=LEASE) for desk in desks]
            took = await asyncio.gather(*(relay.round() for relay in relays))
            assert took == [50, 50, 50]
            assert await waiting(shop.app) == 150, "two relays had the same row"
            while any(await asyncio.gather(*(relay.round() for relay in relays))):
                pass
            await asyncio.gather(*(desk.close() for desk in desks))
            claims = await backend.fetch(["default"], limit=300, lease=30, wait=0)
            assert {claim.job.id for claim in claims} == {job.id for job in jobs}
            assert len(claims) == 250
        assert rows(shop.outbox) == []

    run(test())


def test_rows_are_sent_in_their_order(place: Place) -> None:
    async def test() -> None:
        shop = Shop(place)
        async with shop.app:
            jobs = [job for at in range(0, 30, 3) for job in committed(place, shop, at, at + 1, at + 2)]
            await shop.outbox.flush()
            backend = await shop.app.connect()
            claims = await backend.fetch(["default"], limit=200, lease=30, wait=0)
            assert [claim.job.id for claim in claims] == [job.id for job in jobs]

    run(test())


def test_apps_may_share_a_table(place: Place) -> None:
    async def test() -> None:
        shop, other = Shop(place), Naq("other", broker_url=make_app().config.broker_url)
        async with shop.app, other:
            committed(place, shop, 1)
            assert await place.outbox(other).flush() == 0
            assert await shop.outbox.flush() == 1

    run(test())


def test_a_table_that_is_not_there_is_missed_by_name(place: Place) -> None:
    async def test() -> None:
        app = make_app()
        async with app:
            with pytest.raises(ConfigurationError, match=r"there is no table naq_missing .*create-table"):
                await Outbox(app, place.url, table="naq_missing").flush()

    run(test())


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_a_commit_in_postgresql_wakes_the_relay(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which would not look by itself for an hour."""
    monkeypatch.setattr(hosted, "TOLD", 3600.0)

    async def test() -> None:
        shop = Shop(place, namespace=place.table)
        async with shop.app:
            relay = shop.outbox.hosted(await shop.app.connect())
            assert relay is not None
            relay.start()
            await until(lambda: relay.interval == 3600.0, "that it waits to be told")
            committed(place, shop, 1)
            await until(lambda: relay.relayed == 1, "that it was told")
            # The server ends its connection; it listens again, and looks for what it missed.
            ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ?"
            assert len(place.run(ending, f"naq outbox {place.table}")) == 1
            await until(lambda: relay.interval != 3600.0, "that it saw its connection end")
            committed(place, shop, 2)
            await until(lambda: relay.relayed == 2, "that it looked by itself")
            await relay.stop()

    run(test())

"""Options mean the same as when a job is enqueued directly."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from outbox_tools import Place, Shop, rows

import naq
from naq import Job
from naq.exceptions import JobExpired
from naq.job import JobRecord, JobState
from naq.middleware import Middleware, NewJob
from naq.testing import override
from naq.testing.clock import FakeClock
from tests.tools import run, working

KEY = "k1:" + b64encode(bytes(range(32))).decode()


def sent(place: Place, shop: Shop, *calls: Any) -> list[Job[Any]]:
    """Jobs in one transaction that is committed."""
    with place.connected("driver") as connection:
        jobs = shop.outbox.enqueue_many_sync(connection, calls)
        connection.commit()
    return jobs


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"delay": 60},
        {"run_at": 1_900_000_000, "expires_in": 10**9},
        {"queue": "mail", "priority": "high", "timeout": 5, "retries": 3, "tags": {"team": "shop"}},
        {"unique": ["a", 1]},
        {"unique": "b", "unique_while": "waiting", "delay": 5},
        {"job_id": "chosen"},
    ],
    ids=str,
)
def test_what_the_broker_stores_is_the_same(file: Place, options: dict[str, Any]) -> None:
    async def test() -> None:
        shop = Shop(file)
        async with shop.app:
            backend = await shop.app.connect()
            direct = await shop.note.options(**options).enqueue(7)
            [there] = (await backend.specs([direct.id])).values()
            assert await backend.purge(there.queue) == 1
            [job] = sent(file, shop, shop.note.options(**options).call(7))
            assert await shop.outbox.flush() == 1
            [same] = (await backend.specs([job.id])).values()
            # But for its id, and that it may have been sent before.
            assert replace(same, id=there.id, fresh=there.fresh) == there
            assert same.fresh == bool(same.key)

    with FakeClock():
        run(test())


def test_a_delay_counts_from_the_enqueueing(file: Place) -> None:
    async def test(time: FakeClock) -> None:
        shop = Shop(file)
        async with shop.app:
            jobs = sent(file, shop, *(shop.note.options(delay=delay).call(1) for delay in (60, 120)))
            time.advance(90)
            await shop.outbox.flush()
            assert [await job.status() for job in jobs] == [JobState.QUEUED, JobState.SCHEDULED]

    with FakeClock() as time:
        run(test(time))


def test_a_job_that_expires_while_it_is_a_row_never_runs(file: Place) -> None:
    async def test(time: FakeClock) -> None:
        shop = Shop(file)
        [job] = sent(file, shop, shop.note.options(expires_in=60).call(1))
        time.advance(90)
        await shop.app.connect()
        await shop.outbox.flush()
        async with working(shop.app):
            with pytest.raises(JobExpired):
                await job.result(timeout=10)
        assert shop.ran == []

    with FakeClock() as time:
        run(test(time))


async def stored(shop: Shop) -> list[JobRecord]:
    """All that waits, the oldest first."""
    found = await (await shop.app.connect()).jobs()
    return sorted(found, key=lambda record: record.id)


def limited(file: Place, test: Callable[[Shop, FakeClock], Awaitable[None]], **settings: Any) -> Callable[[], None]:
    """`test` with a clock that it sets."""

    async def main(time: FakeClock) -> None:
        shop = Shop(file, **settings)
        async with shop.app:
            await test(shop, time)

    def check() -> None:
        with FakeClock() as time:
            run(main(time))

    return check


def test_a_unique_job_is_one_wherever_it_comes_from(file: Place) -> None:
    async def test(shop: Shop, _: FakeClock) -> None:
        unique = shop.note.options(unique="order 7")
        jobs = sent(file, shop, unique.call(1), unique.call(2), unique.call(3))
        await shop.outbox.flush()
        direct = await unique.enqueue(4)
        assert (direct.id, direct.duplicate) == (jobs[0].id, True)
        sent(file, shop, unique.call(5))
        await shop.outbox.flush()
        assert [record.id for record in await stored(shop)] == [jobs[0].id]

    limited(file, test)()


@pytest.mark.parametrize("secured", [{}, {"signing_keys": KEY, "encryption_keys": KEY}], ids=["open", "sealed"])
def test_throttle_and_debounce_count_when_a_job_is_sent(file: Place, secured: dict[str, Any]) -> None:
    async def test(shop: Shop, time: FakeClock) -> None:
        throttled = shop.note.options(throttle=60, unique="a")
        jobs = sent(file, shop, throttled.call(1), throttled.call(2))
        debounced = shop.note.options(debounce=10, unique="b")
        late = sent(file, shop, debounced.call(3))
        await shop.outbox.flush()
        time.advance(5)
        late += sent(file, shop, debounced.call(4))
        await shop.outbox.flush()
        records = {record.id: record for record in await stored(shop)}
        assert records.keys() == {jobs[0].id, late[0].id}
        assert records[late[0].id].run_at == pytest.approx(time.now.timestamp() + 10, abs=0.01)
        time.advance(60)
        async with working(shop.app):
            assert await jobs[0].result(timeout=10) == 2
            assert await late[0].result(timeout=10) == 8, "the arguments of the last call"
        await shop.app.connect()

    limited(file, test, **secured)()


def test_rates_of_enqueueing_are_asked_when_a_job_is_sent(file: Place) -> None:
    async def test(shop: Shop, _: FakeClock) -> None:
        dropping = shop.app.task(name="dropping", rate="2/m", rate_mode="drop")(_nothing)
        delaying = shop.app.task(name="delaying", rate="2/m", rate_mode="delay")(_nothing)
        sent(file, shop, *(dropping.call() for _ in range(5)), *(delaying.call() for _ in range(5)))
        await shop.outbox.flush()
        records = await stored(shop)
        states = {
            name: [record.state.value for record in records if record.task == name] for name in ("dropping", "delaying")
        }
        assert states == {"dropping": ["queued"] * 2, "delaying": ["queued"] * 2 + ["scheduled"] * 3}

    limited(file, test)()


def _nothing() -> None:
    """A task's function."""


def test_jobs_wait_for_jobs_of_their_transaction_and_of_others(file: Place) -> None:
    async def test() -> None:
        shop = Shop(file)
        async with working(shop.app):
            direct = await shop.note.enqueue(1)
            with file.connected("driver") as connection:
                first = shop.outbox.enqueue_sync(connection, shop.note, naq.result_of(direct))
                second, third = shop.note.call(naq.result_of(first)), shop.note.options(tags={"a": "b"})
                # The child stands before its parent.
                jobs = shop.outbox.enqueue_many_sync(connection, [third.call(naq.result_of(second)), second])
                connection.commit()
            assert await jobs[0].result(timeout=10) == 16
            [after] = sent(file, shop, shop.note.call(naq.result_of(jobs[0])))
            assert await after.result(timeout=10) == 32

    run(test())


def test_a_child_waits_as_long_as_its_parent_is_a_row_and_is_set_aside_where_there_is_none(file: Place) -> None:
    async def test(shop: Shop, time: FakeClock) -> None:
        [parent] = sent(file, shop, shop.note.call(1))
        file.run("UPDATE {table} SET queue = 'no queue' WHERE job_id = ?", parent.id)
        [child] = sent(file, shop, shop.note.options(depends_on=parent).call(2))
        [orphan] = sent(file, shop, shop.note.options(depends_on="nobody").call(3))
        await shop.outbox.flush()
        reasons = {row.job_id: (row.stuck_at is not None, row.tries, row.reason or "") for row in rows(shop.outbox)}
        assert reasons[parent.id][0]
        assert reasons[child.id][:2] == (False, 0)
        assert parent.id in reasons[child.id][2]
        assert reasons[orphan.id][0]
        assert "'nobody'" in reasons[orphan.id][2]
        file.run("UPDATE {table} SET queue = 'default', stuck_at = NULL WHERE job_id = ?", parent.id)
        time.advance(60)
        await shop.outbox.flush()
        assert [(await job.status()).value for job in (parent, child)] == ["queued", "blocked"]

    limited(file, test)()


class Marking(Middleware):
    """Adds a header."""

    async def enqueue(self, jobs: Sequence[NewJob], call_next: Callable[[], Awaitable[None]]) -> None:
        for job in jobs:
            job.headers["Shop-Mark"] = job.task
        await call_next()


def test_middleware_sees_them_and_secrets_stay_secret(file: Place) -> None:
    async def test() -> None:
        shop = Shop(file, encryption_keys=KEY, signing_keys=KEY)
        shop.app.use(Marking())
        async with file.connected_async("driver") as connection:
            job = await shop.outbox.enqueue(connection, shop.note, 123456789)
            await connection.commit()
        [row] = rows(shop.outbox)
        assert b"123456789" not in row.payload
        async with working(shop.app):
            assert await job.result(timeout=10) == 246913578

    run(test())


def test_middleware_needs_an_event_loop_and_brings_its_own(file: Place) -> None:
    shop = Shop(file)
    shop.app.use(Marking())
    with file.connected("driver") as connection:
        shop.outbox.enqueue_sync(connection, shop.note, 1)
        connection.commit()
    assert "Shop-Mark" in rows(shop.outbox)[0].spec


def test_an_app_under_test_is_flushed_and_drained(file: Place) -> None:
    async def test() -> None:
        shop = Shop(file)
        with override(shop.app) as jobs:
            [job] = sent(file, shop, shop.note.call(21))
            jobs.assert_not_enqueued(shop.note)
            assert await shop.outbox.flush() == 1
            jobs.assert_enqueued(shop.note, args={"number": 21})
            await jobs.drain(check=True)
            assert await job.result(timeout=0) == 42

    run(test())

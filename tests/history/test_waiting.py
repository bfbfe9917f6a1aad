"""Jobs that have said nothing yet."""

from __future__ import annotations

import pytest
from history_tools import Rig, counted, ended, record, run, spec, told

from naq import clock
from naq.job import new_id
from naq.server.ingest.waiting import Waiting
from naq.server.store.tables import jobs
from naq.testing.clock import FakeClock


def test_they_are_known_and_their_records_win(url: str) -> None:
    async def main(rig: Rig) -> None:
        await rig.backend.open(["mail"])
        waiting = Waiting(rig.backend, rig.store, "test")
        later = clock.now() + 3600
        specs = [
            spec(),
            spec(run_at=later),
            spec(blocked=True),
            spec(run_at=later, attempt=3),
            spec(id=new_id(), key="one", fresh=True),
        ]
        await rig.backend.enqueue(specs)
        assert await waiting.step() is not None
        assert await waiting.step() is None
        found = [await rig.job(each.id) for each in specs]
        assert [row["state"] for row in found] == ["queued", "scheduled", "blocked", "retrying", "queued"]
        assert found[0]["args"] == '{"args":[1,"a"],"kwargs":{"x":null}}'
        assert (found[4]["key"], found[3]["attempt"], found[0]["task"]) == ("one", 3, "shop.send")
        await rig.take(
            told("started", specs[0].id, clock.now(), task="shop.send", worker="w"), ended(record(id=specs[4].id))
        )
        waiting.restart()
        await waiting.step()
        assert (await rig.job(specs[0].id))["state"] == "running"
        assert (await rig.job(specs[4].id))["state"] == "succeeded"
        assert await counted(rig, "created") == 5

    run(url, main)


def test_one_that_the_database_refuses_stops_nothing(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main(rig: Rig) -> None:
        await rig.backend.open(["mail"])
        specs = [spec(attempt=10**30 if n == 3 else 1) for n in range(8)]
        await rig.backend.enqueue(specs)
        await Waiting(rig.backend, rig.store, "test").step()
        assert {row["id"] for row in await rig.rows(jobs)} == {each.id for each in specs} - {specs[3].id}
        assert specs[3].id in caplog.text

    run(url, main)


def test_a_sweep_says_that_there_is_nothing_to_look_at(url: str) -> None:
    async def main(rig: Rig) -> None:
        await rig.backend.open(["mail"])
        waiting = Waiting(rig.backend, rig.store, "test")
        assert not waiting.is_bare
        await rig.take(ended(record()))
        await waiting.sweep()
        assert waiting.is_bare  # all that there are have ended
        await rig.backend.enqueue([spec()])
        await waiting.step()
        await waiting.sweep()
        assert not waiting.is_bare

    run(url, main)


def test_what_was_purged_is_found(url: str) -> None:
    async def main(rig: Rig) -> None:
        with FakeClock() as fake:
            await rig.backend.open(["mail"])
            waiting = Waiting(rig.backend, rig.store, "test")
            await rig.backend.enqueue([spec() for _ in range(3)])
            kept = spec(queue="other")
            await rig.backend.enqueue([kept])
            await waiting.step()
            await rig.backend.purge("mail")
            assert await waiting.sweep() == 0  # it may be on its way
            fake.advance(60)
            assert await waiting.sweep() == 3
            assert await waiting.sweep() == 0
            assert not waiting.is_bare  # one waits still
            states = sorted(row["state"] for row in await rig.rows(jobs))
            assert states == ["cancelled", "cancelled", "cancelled", "queued"]
            assert "purged" in next(row["reason"] for row in await rig.rows(jobs) if row["state"] == "cancelled")

    run(url, main)

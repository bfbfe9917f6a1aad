"""What is old goes, in small batches, and what hangs on it too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest
from history_tools import Rig, append, ended, failure, make_rig, record, told
from msgspec.structs import replace
from sqlalchemy import update

from naq import clock
from naq.cli.app import run as naq
from naq.inside.artifacts import KIND
from naq.job import JobState
from naq.server.ingest import Ingest, pruning
from naq.server.ingest.pruning import artifacts_of, keep
from naq.server.store import retention
from naq.server.store.retention import DAY, Pruned, Retention, preview, prune
from naq.server.store.tables import attempts, errors, events, invalid, jobs, logs, rollups, tags

TABLES = (jobs, attempts, logs, events, tags)


def run(url: str, main: Callable[[Rig], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with make_rig(url) as rig:
            await main(rig)

    asyncio.run(inside())


async def fill(rig: Rig, count: int, days: float, state: JobState = JobState.SUCCEEDED) -> list[str]:
    """Jobs that ended so many days ago, each with a log line, a tag, a metric, an attempt."""
    at = clock.now() - days * DAY
    made = [
        record(
            id=f"old-{days:g}-{state.value}-{n}", state=state, attempt=2, errors=[failure(1, at=at - 2)],
            enqueued_at=at - 5, started_at=at - 1, finished_at=at + n / 1000, tags={"n": str(n)},
        )
        for n in range(count)
    ]  # fmt: skip
    line = {"at": at, "level": "INFO", "logger": "x", "text": "y"}
    for each in made:
        await rig.take(
            ended(each), told("log", each.id, at, run=1, attempt=2, lines=[line]),
            told("metric", each.id, at, run=1, attempt=2, name="m", value=1.0),
        )  # fmt: skip
    return [each.id for each in made]


def test_by_age_and_state(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 4)

    async def main(rig: Rig) -> None:
        await fill(rig, 9, 40)
        failed = await fill(rig, 3, 40, JobState.FAILED)
        young = await fill(rig, 2, 1)
        assert (await preview(rig.store, Retention())).jobs == 9
        done = await prune(rig.store, Retention(), most=4)
        assert done.jobs == 4
        assert done.rollups > 0  # by the minute, those of a month ago
        assert (await prune(rig.store, Retention())).jobs == 5
        left = {row["id"] for row in await rig.rows(jobs)}
        assert left == {*failed, *young}
        for table in TABLES[1:]:
            assert {row["job_id"] for row in await rig.rows(table)} == left, table.name
        long_ago = retention.micros(clock.now() - 30 * DAY)
        steps = {step: {row["at"] < long_ago for row in await rig.rows(rollups) if row["step"] == step}
                 for step in (60, 900, 3600, 21_600)}  # fmt: skip
        assert steps == {60: {False}, 900: {False}, 3600: {True, False}, 21_600: {True, False}}
        assert await prune(rig.store, Retention()) == Pruned()

    run(url, main)


def test_by_count_the_latest_stay(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)

    async def main(rig: Rig) -> None:
        ids = await fill(rig, 10, 1)
        await rig.take(told("started", "running", clock.now(), task="t"))
        assert (await prune(rig.store, Retention(jobs=4))).jobs == 6
        assert {row["id"] for row in await rig.rows(jobs)} == {*ids[6:], "running"}
        assert (await prune(rig.store, Retention(jobs=40))).jobs == 0

    run(url, main)


def test_the_server_prunes_by_age_all_the_time_and_by_number_now_and_then(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To find the last one that stays costs seconds where there are millions."""
    monkeypatch.setattr(pruning, "EVERY", 0.01)
    kept = Retention(ages={"cancelled": 30 * DAY}, jobs=3)

    async def main(rig: Rig) -> None:
        ingest = Ingest(rig.backend, rig.store, rig.config)
        reading = asyncio.ensure_future(ingest.run())

        async def count_is(count: int) -> None:
            async with asyncio.timeout(30):
                while await rig.count(jobs) != count:  # noqa: ASYNC110 - a database tells nobody
                    await asyncio.sleep(0.01)

        async def add(count: int, days: float, state: JobState = JobState.SUCCEEDED) -> None:
            at = clock.now() - days * DAY
            made = [record(state=state, enqueued_at=at, started_at=at, finished_at=at) for _ in range(count)]
            await append(rig.backend, [ended(replace(each, id=f"d{days * 10:.0f}-{n}")) for n, each in enumerate(made)])

        await add(8, 1)
        await count_is(8)
        pruning_ = asyncio.ensure_future(keep(ingest, rig.store, rig.backend, kept))
        await count_is(3)
        await add(4, 0.5)
        await count_is(7)
        await add(1, 40, JobState.CANCELLED)
        async with asyncio.timeout(30):
            while ingest.place.events < 13:  # noqa: ASYNC110 - nobody is told here
                await asyncio.sleep(0.01)
        await count_is(7)  # a round has come: what is old has gone, and more than three stay
        pruning_.cancel()
        pruning_ = asyncio.ensure_future(keep(ingest, rig.store, rig.backend, kept))
        await count_is(3)
        for task in (pruning_, reading):
            task.cancel()
        await asyncio.gather(pruning_, reading, return_exceptions=True)

    run(url, main)


def test_what_hangs_on_nothing_goes(url: str) -> None:
    """Places of parents that never came, errors that never came back, events that are none; children stay."""

    async def main(rig: Rig) -> None:
        at = clock.now() - 400 * DAY
        child = record(id="child", parent="lost", enqueued_at=at, started_at=at, finished_at=clock.now())
        await rig.take(ended(child), told("record", "bad", text=1))
        await fill(rig, 1, 200, JobState.FAILED)
        async with rig.store.writing() as connection:
            await connection.execute(update(invalid).values(seen_at=0))
        done = await prune(rig.store, Retention())
        assert (done.jobs, done.invalid) == (2, 1)
        assert done.errors >= 1
        assert await rig.count(errors) == 0
        (row,) = await rig.rows(jobs)
        assert (row["id"], row["parent_id"]) == ("child", None)

    run(url, main)


def test_artifacts_that_nobody_knows_of_are_removed(url: str) -> None:
    async def main(rig: Rig) -> None:
        ids = await fill(rig, 3, 40)
        for job_id in (*ids, "other"):
            await rig.backend.put(KIND, f"{job_id}.m.file", b"{}")
            await rig.backend.put(KIND, f"{job_id}.c.up.0", b"bytes")
        done = await prune(rig.store, Retention(), erase=artifacts_of(rig.backend))
        assert (done.jobs, done.artifacts) == (3, 6)
        assert [entry.key for entry in await rig.backend.entries(KIND)] == ["other.c.up.0", "other.m.file"]

    run(url, main)


def test_the_command(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    def say(*args: str) -> tuple[int, str]:
        code = naq(["db", *args, "--database", url])
        return code, capsys.readouterr().out

    assert say("check")[0] == 4
    assert say("upgrade")[0] == 0
    assert say("check")[0] == 0
    code, out = say("history", "--json")
    assert code == 0
    assert [row["current"] for row in json.loads(out)].count(True) == 1
    run(url, lambda rig: _discard(fill(rig, 5, 40)))
    assert json.loads(say("prune", "--dry-run", "--json")[1])["jobs"] == 5
    assert json.loads(say("prune", "--state", "failed", "--yes", "--json")[1])["jobs"] == 0
    assert json.loads(say("prune", "--older-than", "50d", "--yes", "--json")[1])["jobs"] == 0
    assert json.loads(say("prune", "--keep", "3", "--yes", "--json")[1])["jobs"] == 2
    assert json.loads(say("prune", "--yes", "--json")[1])["jobs"] == 3
    for wrong in (
        ["--older-than", "soon"],
        ["--state", "running"],
        ["--keep", "0"],
        ["--keep", "3", "--state", "failed"],
    ):
        assert say("prune", *wrong)[0] == 2
    assert "DROP TABLE jobs" in say("downgrade", "base", "--sql")[1]
    assert say("downgrade", "base", "--yes")[0] == 0
    assert json.loads(say("current", "--json")[1])["revision"] is None
    assert say("prune", "--dry-run")[0] == 2


async def _discard(done: Awaitable[object]) -> None:
    await done

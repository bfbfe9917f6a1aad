"""What each kind of alert rule is judged by, on both databases: now, and in a preview of what was."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from history_tools import Rig, ended, failure, make_rig, now_us, record
from msgspec.structs import replace
from sqlalchemy import insert, text, update

from naq import clock
from naq.backends.base import Event, QueueStats, Storage, WorkerInfo
from naq.config.server import ServerConfig
from naq.job import JobState
from naq.schedules.kept import Kept, Template
from naq.schedules.timetable import read_timetable
from naq.server.alerts import counted, preview, rows, standing
from naq.server.alerts.incidents import Incident, look
from naq.server.alerts.rules import KINDS, Kind, Rule
from naq.server.alerts.standing import Broker
from naq.server.store.queries import marks
from naq.server.store.retention import Retention, prune
from naq.server.store.rows import MICRO
from naq.server.store.tables import depths, errors, jobs, workers

MINUTE = 60 * MICRO
NOBODY: Any = cast("Any", SimpleNamespace())  # the server, to those that do not ask it


def rule(kind: Kind, threshold: float = 0, **how: Any) -> Rule:
    return Rule(name=kind, kind=kind, threshold=threshold, **how)


def story(url: str, test: Callable[[Rig], Awaitable[None]]) -> None:
    async def run() -> None:
        async with make_rig(url) as rig:
            await test(rig)

    asyncio.run(run())


async def value(rig: Rig, asked: Rule, broker: Broker | None = None) -> Any:
    async with rig.store.reading() as connection:
        found = await standing.read(NOBODY, connection, asked, broker)
        return None if found is None else dict(found)


async def end(rig: Rig, count: int, at: float, **fields: Any) -> None:
    await rig.take(
        *(ended(record(started_at=at - 2, enqueued_at=at - 5, finished_at=at, **fields)) for _ in range(count))
    )


def test_jobs_that_failed_are_counted_and_shared(url: str) -> None:
    async def test(rig: Rig) -> None:
        now = clock.now()
        bad = {"state": JobState.FAILED, "errors": [failure(at=now)]}
        await end(rig, 12, now - 20)
        await end(rig, 4, now - 20, **bad)
        await end(rig, 3, now - 20, task="shop.other", **bad)
        await end(rig, 50, now - 3000, **bad)
        assert await value(rig, rule("failures")) == {"shop.send": 4, "shop.other": 3}
        assert await value(rig, rule("failures", target="shop.other")) == {"shop.other": 3}
        shares = await value(rig, rule("failure_rate", least=5))
        assert shares == {"shop.send": 0.25, "shop.other": 0.0}, "three are too few to say anything"
        runs = await value(rig, rule("run_p95"))
        assert 2.0 <= runs["shop.send"] <= 2.6
        waits = await value(rig, rule("wait_p95"))
        assert 3.0 <= waits["mail"] <= 4.0
        assert await value(rig, rule("new_errors")) == {"shop.other": 1}, "the other has been known for long"

    story(url, test)


def test_errors_that_are_known_are_not_new_and_those_that_come_back_are(url: str) -> None:
    async def test(rig: Rig) -> None:
        now = clock.now()
        await end(rig, 1, now - 4000, state=JobState.FAILED, errors=[failure(at=now - 4000)])
        await end(rig, 1, now - 20, state=JobState.FAILED, errors=[failure(at=now - 20)])
        assert await value(rig, rule("new_errors")) == {}
        async with rig.store.writing() as connection:
            await connection.execute(update(errors).values(state="regressed"))
        assert await value(rig, rule("new_errors")) == {"shop.send": 1}

    story(url, test)


def test_events_that_are_none_and_workers_that_vanished_are_counted(url: str) -> None:
    async def test(rig: Rig) -> None:
        assert await value(rig, rule("invalid_events")) == {}
        await rig.take(*(Event(kind="record", job_id=f"j{n}", queue="q", data=b"nonsense", at=1.0) for n in range(3)))
        assert await value(rig, rule("invalid_events")) == {"": 3}
        now = now_us()
        fields: dict[str, Any] = {
            "state": "gone", "host": "h", "pid": 1, "version": "1", "queues": "[]", "tasks": "[]", "concurrency": 1,
            "processed": 0, "failed": 0, "started_at": 1, "seen_at": now - 20 * MICRO,
        }  # fmt: skip
        async with rig.store.writing() as connection:
            for name, running, gone in (("a", 2, now), ("b", 0, now), ("c", 1, now - 3600 * MICRO), ("d", 1, None)):
                await connection.execute(insert(workers).values(id=name, running=running, gone_at=gone, **fields))
        assert await value(rig, rule("workers_lost")) == {"": 1}, "one ended in order, one long ago, one lives"

    story(url, test)


def test_queues_are_judged_by_what_the_broker_says(url: str) -> None:
    async def test(rig: Rig) -> None:
        now = clock.now()
        queues = [
            QueueStats("mail", queued=2), QueueStats("still", queued=9, paused=True), QueueStats("late", queued=1),
            QueueStats("empty"),
        ]  # fmt: skip
        broker = Broker(queues, [WorkerInfo(id="w", queues=["mail"])], [])
        async with rig.store.writing() as connection:
            for name, queue, made, run_at in (
                ("j1", "mail", now - 500, None), ("j2", "mail", now - 9000, now - 30),
                ("j3", "mail", now - 9000, now + 50), ("j4", "still", now - 800, None), ("j5", "late", now - 100, None),
            ):  # fmt: skip
                state = "queued" if run_at is None else "scheduled"
                await connection.execute(insert(jobs).values(
                    id=name, queue=queue, state=state, created_at=round(made * MICRO),
                    run_at=None if run_at is None else round(run_at * MICRO)))  # fmt: skip
        ages = await value(rig, rule("queue_age"), broker)
        assert set(ages) == {"mail", "late"}, "one that is paused waits because somebody wants it"
        assert 499 < ages["mail"] < 600
        assert await value(rig, rule("no_workers"), broker) == {"late": 1, "empty": 0}
        assert (await value(rig, rule("queue_depth", target="mail"), broker)) == {"mail": 2}
        for kind in ("queue_age", "queue_depth", "no_workers", "schedule_missed"):
            assert await value(rig, rule(kind)) is None, "who cannot be asked says nothing"

    story(url, test)


def test_a_schedule_that_makes_no_jobs_is_noticed(url: str) -> None:
    async def test(rig: Rig) -> None:
        now = clock.now()
        table = replace(read_timetable("s", {"interval": 60}), start=now - 3600)
        kept = Kept(name="s", template=Template(task="t", payload=b""), table=table, last=now - 300)
        found = await value(rig, rule("schedule_missed"), Broker([], [], [kept]))
        assert 200 < found["s"] <= 300
        good = replace(kept, last=now + 30)
        assert await value(rig, rule("schedule_missed"), Broker([], [], [good])) == {"s": 0.0}

    story(url, test)


def test_a_preview_says_what_the_rule_would_have_said(url: str) -> None:
    async def test(rig: Rig) -> None:
        now = clock.now()
        bad = {"state": JobState.FAILED, "errors": [failure(at=now)]}
        for ago in (4 * 3600, 2 * 3600):
            await end(rig, 30, now - ago, **bad)
        asked = rule("failures", 10, window_s=300, clear_s=120, repeat_s=600)
        until = now_us()
        async with rig.store.reading() as connection:
            series = await preview.load(connection, asked, until - 24 * 3600 * MICRO, until)
        found = preview.spells(asked, series)
        assert [(spell.subject, spell.worst, spell.messages) for spell in found] == [("shop.send", 30, 2)] * 2
        assert all(
            spell.until is not None and 300 * MICRO < spell.until - spell.since <= 480 * MICRO for spell in found
        )
        async with rig.store.writing() as connection:
            for minute in range(10):
                at = until - until % MINUTE - (20 - minute) * MINUTE
                await connection.execute(insert(depths).values(
                    queue="q", at=at, queued=50 * (minute > 4), running=0, scheduled=0, blocked=0))  # fmt: skip
        deep = rule("queue_depth", 10, for_s=120, clear_s=0)
        async with rig.store.reading() as connection:
            [spell] = preview.spells(deep, await preview.load(connection, deep, until - 3600 * MICRO, until))
        assert (spell.subject, spell.worst) == ("q", 50)

    story(url, test)


def test_too_much_is_refused_instead_of_read(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(rig: Rig) -> None:
        await end(rig, 1, clock.now() - 20)
        monkeypatch.setattr(counted, "MOST", 0)
        with pytest.raises(counted.TooMuch):
            await value(rig, rule("failure_rate"))

    story(url, test)


def test_of_a_rule_and_a_subject_one_incident_is_open_whoever_writes(url: str) -> None:
    async def test(rig: Rig) -> None:
        asked, now = rule("queue_depth", 1), now_us()
        one, two = (look(asked, None, "q", 5, now).incident for _ in range(2))
        assert one is not None
        assert two is not None
        async with rig.store.writing() as connection:
            assert await rows.save(connection, None, one)
            assert not await rows.save(connection, None, two), "another server was faster"
            known = await rows.current(connection, since=0)
            assert known == {("queue_depth", "q"): one}
            done = replace(one, state="acknowledged", acknowledged_by="me")
            assert await rows.save(connection, one, done)
            later: Incident | None = look(asked, one, "q", 7, now + 1).incident
            assert not await rows.save(connection, one, later), "what a person said is not written over"
            assert await rows.get_incident(connection, one.id) == done
            assert await rows.save(connection, done, None)
            assert await rows.current(connection, since=0) == {}
        assert await rig.count(rows.incidents) == 0
        holders = [("a", 100.0, True), ("b", 100.0, False), ("a", 0.0, True), ("b", 1.0, True), ("a", 1.0, False)]
        async with rig.store.writing() as connection:
            for place, (holder, ttl, expected) in enumerate(holders):
                assert await rows.lead(connection, "x", holder, ttl=ttl, now=now + place) is expected, place
            await rows.resign(connection, "x", "b")
            assert await rows.lead(connection, "x", "c", ttl=1.0, now=now)

    story(url, test)


def test_every_kind_is_asked_along_an_index(url: str) -> None:
    """A day of counts may be read; the tables that grow with jobs may not."""

    async def test(rig: Rig) -> None:
        now = now_us()
        explain = "EXPLAIN QUERY PLAN " if url.startswith("sqlite") else "EXPLAIN "
        async with rig.store.writing() as connection:
            if not url.startswith("sqlite"):
                await connection.execute(text("SET LOCAL enable_seqscan = off"))
            for kind in (one for one in KINDS.values() if one.counts):
                asked = counted._ASK[kind.kind](rule(kind.kind), now - MINUTE, now)  # pyright: ignore[reportPrivateUsage]
                compiled = asked.compile(connection.engine.sync_engine if hasattr(connection.engine, "sync_engine")
                                         else connection.engine, compile_kwargs={"literal_binds": True})  # fmt: skip
                plan = " ".join(str(row) for row in await connection.exec_driver_sql(explain + str(compiled)))
                assert "SCAN rollups" not in plan, kind.kind
                assert "SCAN durations" not in plan, kind.kind
                assert "index" in plan.lower(), (kind.kind, plan)

    story(url, test)


def test_a_store_that_is_nearly_full_and_a_worker_that_holds_much(url: str) -> None:
    async def test(rig: Rig) -> None:
        heavy = WorkerInfo(id="w", queues=["mail"], memory=3 * 1024**3, children_memory=1024**3)
        stores = [Storage(used=90, limit=100), Storage(part="NAQ_x_LOG", used=1, limit=4), Storage(part="b", used=9)]
        broker = Broker([], [heavy], [], stores)
        assert await value(rig, rule("worker_memory"), broker) == {"w": 4 * 1024**3}
        server: Any = SimpleNamespace(settings=ServerConfig(database=url, database_limit=10**6))
        async with rig.store.reading() as connection:
            found = await standing.read(server, connection, rule("storage"), broker)
            assert found is not None
            one = await standing.read(server, connection, rule("storage", target="broker"), broker)
            assert await standing.read(server, connection, rule("storage"), None) is None, "nobody can say"
        assert (found["broker"], found["NAQ_x_LOG"], "b" in found) == (0.9, 0.25, False)
        assert one == {"broker": 0.9}
        assert found["database"] > 0.1, "the tables alone take more than 100 kB"
        assert ("disk" in found) is url.startswith("sqlite"), "the disk of another machine is not ours to see"
        assert 0 < found.get("disk", 0.5) < 1

    story(url, test)


def test_what_is_noted_by_the_minute_is_what_a_preview_is_made_of(url: str) -> None:
    async def test(rig: Rig) -> None:
        until = now_us()
        minute = until - until % MINUTE
        async with rig.store.writing() as connection:
            for ago, seconds in ((30, 1000.0), (29, 1060.0), (28, 1120.0), (10, 2000.0)):
                await rows.note_readings(connection, minute - ago * MINUTE, [("queue_age", "mail", seconds)])
            await rows.note_readings(connection, minute - 10 * MINUTE, [("queue_age", "mail", 9.0)])  # another server
            await rows.note_readings(connection, minute - 10 * MINUTE, [("queue_age", "other", 5000.0)])
        asked = rule("queue_age", 900, target="mail", clear_s=60, repeat_s=300)
        async with rig.store.reading() as connection:
            series = await preview.load(connection, asked, until - 3600 * MICRO, until)
        found = preview.spells(asked, series)
        assert [(spell.subject, spell.worst, spell.messages) for spell in found] == [
            ("mail", 1120, 2),
            ("mail", 2000, 2),
        ]

    story(url, test)


def test_new_errors_are_previewed_when_they_first_came(url: str) -> None:
    async def test(rig: Rig) -> None:
        now = clock.now()
        await end(rig, 1, now - 7200, state=JobState.FAILED, errors=[failure(at=now - 7200)])
        await end(rig, 1, now - 20, state=JobState.FAILED, errors=[failure(at=now - 20)])
        asked = rule("new_errors")
        until = now_us()
        async with rig.store.reading() as connection:
            found = preview.spells(asked, await preview.load(connection, asked, until - 24 * 3600 * MICRO, until))
        [spell] = found
        assert spell.since < until - 7000 * MICRO, "the error of twenty seconds ago is the same one"
        assert await value(rig, rule("dead_letters")) == {"mail": 1}

    story(url, test)


def test_a_version_of_the_code_is_marked_when_its_workers_appear(url: str) -> None:
    async def test(rig: Rig) -> None:
        async def see(alive: set[str], before: set[str] | None) -> list[str]:
            async with rig.store.writing() as connection:
                return [mark.version for mark in await marks.see_versions(connection, alive, before)]

        assert await see({"", "1"}, None) == ["1"]
        assert await see({"1", "2"}, {"", "1"}) == ["2"], "while it is rolled out"
        assert await see({"1", "2"}, None) == [], "a server that starts meanwhile"
        assert await see({"2"}, {"1", "2"}) == []
        assert await see(set(), {"2"}) == []
        assert await see({"2"}, set()) == [], "all were away, and are back"
        assert await see({"1"}, {"2"}) == ["1"], "taken back, which is a deploy as well"
        async with rig.store.reading() as connection:
            found = await marks.find(connection, since=0)
        assert [(mark.kind, mark.title, mark.made_by) for mark in found] == [
            ("deploy", "1", "naq"), ("deploy", "2", "naq"), ("deploy", "1", "naq"),
        ]  # fmt: skip
        await prune(rig.store, Retention(hours=-1))
        assert await rig.count(marks.marks) == 0

    story(url, test)

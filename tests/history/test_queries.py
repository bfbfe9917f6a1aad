"""Every list walks along an index, and pages are whole: nothing twice, nothing left out."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from history_tools import Rig, make_rig, matches
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.server.store.conditions import (
    Absent,
    Among,
    At,
    Begins,
    Between,
    Condition,
    Contains,
    Every,
    JobQuery,
    Sort,
    Tagged,
    Than,
)
from naq.server.store.queries import errors, fleet, plan, sample, trends
from naq.server.store.queries import jobs as asking
from naq.server.store.queries.waiting import waiting_since
from naq.server.store.tables import FINAL_STATES, STATES, jobs, tags
from naq.server.store.tables import errors as errors_table

CONDITIONS: list[tuple[Condition, ...]] = [
    (),
    (Among("state", ("failed",)),),
    (Among("state", ("failed", "running")),),
    (Among("state", ("failed",), negated=True),),
    (Among("task", ("shop.t1",)),),
    (Among("task", ("shop.t1", "shop.t2")), Among("state", ("failed", "queued"))),
    (Among("task", tuple(f"shop.t{n}" for n in range(20))),),
    (Among("queue", ("q1",)), Among("state", ("succeeded",))),
    (Among("queue", ("q1",)), Among("task", ("shop.t1",))),
    (Among("worker", ("w1",)),),
    (Among("root_id", ("j00000",)),),
    (Among("parent_id", ("j00000",)), Among("state", ("failed",))),
    (Among("fingerprint", ("f1",)),),
    (Among("schedule", ("nightly",)),),
    (Among("key", ("k1", "k2")),),
    (Among("id", ("j00001", "j00002", "none")),),
    (Among("error_type", ("E",)),),
    (Between("created_at", 100, 300),),
    (Between("created_at", 100, 300), Among("state", ("failed",))),
    (Between("duration_us", 5, None), Among("task", ("shop.t1",))),
    (Between("finished_at", 100, None, negated=True),),
    (Begins("id", "j001"),),
    (Begins("task", "shop."), Contains("error", "_OOM")),
    (Tagged("team", "a"),),
    (Tagged("team", "a"), Tagged("team", "b", negated=True), Among("state", ("failed",))),
    (Tagged("team", "a"), Between("created_at", None, 200)),
    (Absent("parent_id"),),
    (Absent("parent_id", negated=True), Among("state", ("failed",))),
    (Between("due_at", None, 100), Among("state", ("queued", "scheduled"))),
    (Every((Among("worker", ("w1",)), Between("started_at", None, 100)), negated=True),),
    (Every((Among("error_type", ("E",)), Between("started_at", 50))),),
    (At("args", ("kwargs", "to", "city"), ('"Bern"',)), Among("task", ("shop.t1",))),
    (At("args", ("kwargs", "to", "city"), ('"Bern"',), negated=True),),
    (At("args", ("kwargs", "to", "city"), ('"Be',), begins=True),),
    (At("args", ("args", "0"), ('"5"', "5", "true")),),
    (At("result", ("rows", "1"), ("null", '"é"')),),
    (Than("args", ("args", "0"), ((">", "4.5"), ("<=", "5"))),),
    (Than("args", ("args", "1"), ((">=", "1"),)),),
    (Than("args", ("args", "0"), (("<", "1"),), negated=True), Among("state", ("failed",))),
    (Than("result", ("rows", "0"), (("<", "2"),)),),
    (Among("trace", ("t1", "t2")), Among("state", ("failed",))),
]
#: Arguments as they may lie in a history, some of them none that can be read.
ARGUMENTS = [
    '{"args":[5],"kwargs":{"to":{"city":"Bern"}}}',
    '{"args":["5",1],"kwargs":{"to":{"city":"Bergen","Bern":1}}}',
    '{"args":[true],"kwargs":{"to":["city"]}}',
    '{"args":[5],"kwargs":{"to":{"city":"Bern…',
    '{"args":[-1e999,12345678901234567890123],"kwargs":{}}',
    '{"args":["\\u0000"],"kwargs":{"to":{"city":"Zug"}}}',
    None,
]
SORTS: tuple[Sort, ...] = ("created_at", "started_at", "finished_at", "duration_us")


async def fill(rig: Rig, count: int = 600) -> None:
    made = random.Random(1)
    rows: list[dict[str, Any]] = []
    for n in range(count):
        state = STATES[n % len(STATES)]
        started = None if state in {"queued", "scheduled", "blocked"} else n // 2 + 1
        ended = n // 2 + made.randrange(20) + 1 if state in FINAL_STATES else None
        rows.append(
            {
                "id": f"j{n:05}", "task": f"shop.t{n % 3}", "queue": f"q{n % 2}", "state": state,
                "created_at": n // 2, "started_at": started, "finished_at": ended,
                "duration_us": None if ended is None or started is None else made.randrange(50),
                "worker": f"w{n % 2}" if started else "", "parent_id": "j00000" if n % 7 == 1 else None,
                "root_id": "j00000" if n % 7 == 1 else None, "error": "boom_oom" if n % 4 == 1 else None,
                "error_type": "E" if n % 4 == 1 else None, "fingerprint": f"f{n % 3}" if n % 4 == 1 else None,
                "run_at": n if n % 6 == 0 else None, "args": ARGUMENTS[n % len(ARGUMENTS)],
                "result": '{"rows":[1,null]}' if n % 5 == 0 else '{"rows":["x","é"]}' if n % 5 == 1 else None,
                "trace": f"t{n % 3}" if n % 8 == 0 else None,
                "schedule": "nightly" if n % 9 == 0 else None, "key": f"k{n % 3}" if n % 11 == 0 else None,
            }
        )  # fmt: skip
    async with rig.store.writing() as connection:
        await connection.execute(jobs.insert(), rows)
        tagged = [
            {"name": "team", "value": "ab"[n % 2], "created_at": n // 2, "job_id": f"j{n:05}"}
            for n in range(0, count, 5)
        ]
        await connection.execute(tags.insert(), tagged)


def test_pages_are_the_whole_in_order(url: str) -> None:
    async def main(rig: Rig) -> None:
        await fill(rig)
        rows = await rig.rows(jobs)
        async with rig.store.reading() as connection:
            for conditions, sort, down in itertools.product(CONDITIONS, SORTS, (True, False)):
                wanted = [row for row in rows if row[sort] is not None and all(matches(row, one) for one in conditions)]
                wanted.sort(key=lambda row: (row[sort], row["id"]), reverse=down)
                query = JobQuery(conditions=conditions, sort=sort, descending=down, limit=70)
                found: list[str] = []
                before: list[str] = []
                after = None
                while True:
                    page = await asking.find(connection, msgspec_replace(query, after=after))
                    ids = [job.id for job in page.jobs]
                    if after is not None and ids:
                        back = await asking.find(connection, msgspec_replace(query, after=page.before, backwards=True))
                        assert [job.id for job in back.jobs] == before
                    found += ids
                    before, after = ids, page.after
                    if after is None:
                        break
                assert found == [row["id"] for row in wanted], (conditions, sort, down)

    run(url, main)


def test_a_sifted_page_says_how_far_it_looked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SCAN", 50)

    async def main(rig: Rig) -> None:
        await fill(rig)
        found: list[str] = []
        pages = 0
        query = JobQuery(conditions=(Contains("error", "oom"), Among("error_type", ("E",))), limit=20)
        async with rig.store.reading() as connection:
            after = None
            while pages == 0 or after is not None:
                page = await asking.find(connection, msgspec_replace(query, after=after))
                found += [job.id for job in page.jobs]
                after, pages = page.after, pages + 1
        assert found == [f"j{n:05}" for n in range(599, -1, -1) if n % 4 == 1]
        assert pages >= 600 / 50

    run(url, main)


def test_counts_are_capped(url: str) -> None:
    async def main(rig: Rig) -> None:
        await fill(rig)
        async with rig.store.reading() as connection:
            assert await asking.count(connection, ()) == (600, True)
            assert await asking.count(connection, (), cap=100) == (100, False)
            assert await asking.count(connection, (Among("task", ("shop.t1",)),)) == (200, True)
            assert await asking.count(connection, (Tagged("team", "a"),)) == (60, True)
            states = await asking.count_states(connection, (Among("queue", ("q1",)),), cap=20)
            assert max(states.values()) == (20, False)
            assert len(await asking.children(connection, "j00000")) == 86
            callers = await sample.callers(connection, (Among("task", ("shop.t1",)),), most=20)
            assert callers == [("", 171), ("shop.t0", 29)]
            assert (await asking.tree(connection, "j00000"))[0].id == "j00000"

    run(url, main)


@pytest.mark.parametrize("scan", [50, 5000])
def test_counts_are_those_of_a_plain_reading_or_say_that_they_are_not(
    url: str, monkeypatch: pytest.MonkeyPatch, scan: int
) -> None:
    monkeypatch.setattr(plan, "SCAN", scan)

    async def main(rig: Rig) -> None:
        await fill(rig)
        rows = await rig.rows(jobs)
        short = 0
        for conditions in CONDITIONS:
            others = [one for one in conditions if not (isinstance(one, Among) and one.field == "state")]
            wanted = Counter(row["state"] for row in rows if all(matches(row, one) for one in others))
            fit = sum(all(matches(row, one) for one in conditions) for row in rows)
            async with rig.store.reading() as connection:
                states = await asking.count_states(connection, conditions)
                counted = await asking.count(connection, conditions)
            assert set(states) == set(STATES), conditions
            for value, whole, right in [(*counted, fit), *((*states[state], wanted[state]) for state in STATES)]:
                assert value == right if whole else value <= right, conditions
                short += not whole
        assert short == 0 if scan > len(rows) else short > 50

    run(url, main)


def test_every_list_walks_along_an_index(url: str) -> None:
    """As the database itself says; on PostgreSQL told to scan only where nothing else is possible."""

    async def main(rig: Rig) -> None:
        await fill(rig)
        seen: list[tuple[str, Any]] = []
        async with rig.store.reading() as connection:
            await connection.exec_driver_sql("SELECT 1")

            def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, _many: bool) -> None:
                if not statement.startswith(("EXPLAIN", "SET", "SELECT 1")):
                    seen.append((statement, parameters))

            event.listen(connection.sync_connection, "before_cursor_execute", note)
            for conditions, sort, down in itertools.product(CONDITIONS, SORTS, (True, False)):
                query = JobQuery(conditions=conditions, sort=sort, descending=down, after=(250, "j"), limit=50)
                await asking.find(connection, query)
                await asking.count(connection, conditions)
            for conditions in CONDITIONS:
                await asking.count_states(connection, conditions)
                await sample.newest(connection, conditions)
            await sample.callers(connection, (Among("task", ("shop.t1",)),), most=20)
            await sample.arguments(connection, (), most=100)
            await sample.schedules(connection, "n", most=20)
            await sample.tag_names(connection, "t", most=20)
            await sample.tag_values(connection, "team", "", most=20)
            for state, task in itertools.product((None, "open"), (None, "shop.t1")):
                await errors.find(connection, state=state, task=task, after=(5, "f"))
            await errors.find(connection, sort="count", after=(5, "f"))
            await errors.newest(connection, "f", most=5)
            await errors.find_invalid(connection, after=(5, 5))
            await errors.count_invalid(connection, since=5)
            await errors.hours(connection, ("f",), since=5)
            await asking.get_attempts(connection, "j00001")
            await asking.children(connection, "j00001")
            await fleet.find_workers(connection, after=(5, "w"))
            await fleet.find_seen(connection, since=5, limit=10)
            await fleet.find_worker_minutes(connection, "w", since=5)
            await fleet.find_queues(connection, after="q")
            await fleet.find_tasks(connection, after="q")
            await fleet.find_depths(connection, "q", since=5)
            await fleet.oldest(connection, queue="q")
            await fleet.oldest(connection, task="t")
            for hours in (1, 24, 720):
                span: dict[str, Any] = {"since": 0, "until": hours * 3_600_000_000}
                await trends.series(connection, **span, step=trends.step_for(**span))
                await trends.totals(connection, **span, scope="task")
                await trends.spread(connection, **span, scope="all", name="", measure="run")
            await waiting_since(connection, 5, ("q0", "q1"))
            event.remove(connection.sync_connection, "before_cursor_execute", note)
            if rig.store.dialect == "postgresql":
                await connection.exec_driver_sql("SET enable_seqscan = off")
            assert len(seen) > 200
            for statement, parameters in dict.fromkeys((s, repr(p)) for s, p in seen):
                given = next(p for s, p in seen if s == statement and repr(p) == parameters)
                for step in await explain(connection, statement, given):
                    assert not scans(step), (step, statement)

    run(url, main)


async def explain(connection: AsyncConnection, statement: str, parameters: Any) -> list[str]:
    """The steps of a plan."""
    word = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
    found = await connection.exec_driver_sql(f"{word} {statement}", parameters)
    return [str(row[-1]) for row in found]


def scans(step: str) -> bool:
    """Whether a step reads a whole table; what was made by the steps before it may be read whole."""
    if "Seq Scan on" in step:
        return True
    made = ("walked", "merged", "anon", "(", "some", "pieces", "given")
    whole = step.startswith("SCAN") and "USING" not in step and "subquery" not in step and "CONSTANT" not in step
    return whole and not any(step.startswith(f"SCAN {name}") for name in made)


def test_the_check_of_plans_sees_a_scan(url: str) -> None:
    async def main(rig: Rig) -> None:
        await fill(rig, 50)
        async with rig.store.reading() as connection:
            if rig.store.dialect == "postgresql":
                await connection.exec_driver_sql("SET enable_seqscan = off")
            steps = await explain(connection, "SELECT * FROM jobs WHERE reason = 'x'", ())
            assert any(scans(step) for step in steps)

    run(url, main)


def test_trends_come_from_rollups_alone(url: str) -> None:
    async def main(rig: Rig) -> None:
        from history_tools import NOW, ended, record

        from naq.job import JobState

        for n in range(100):
            state = JobState.FAILED if n % 10 == 0 else JobState.SUCCEEDED
            began = NOW + n * 6
            item = record(state=state, enqueued_at=began, started_at=began + 1, finished_at=began + 1 + n / 100)
            await rig.take(ended(item))
        since = int(NOW * 1e6)
        async with rig.store.reading() as connection:
            points = await trends.series(connection, since=since, until=since + 660_000_000, step=60)
            assert sum(point.counts.get("failed", 0) for point in points) == 10
            assert sum(point.counts.get("succeeded", 0) for point in points) == 90
            whole = await trends.series(
                connection, since=since, until=since + 3_600_000_000, step=3600, scope="task", name="shop.send"
            )
            middle = next(point for point in whole if point.run_p50_us)
            assert 0.48e6 <= (middle.run_p50_us or 0) <= 0.65e6
            assert 0.94e6 <= (middle.run_p95_us or 0) <= 1.25e6
            assert 1e6 <= (middle.wait_p50_us or 0) <= 1.25e6
            (total,) = await trends.totals(connection, since=since, until=since + 3_600_000_000, scope="queue")
            assert (total.name, total.counts["failed"], total.counts["succeeded"]) == ("mail", 10, 90)
            with pytest.raises(ValueError, match="at most 1500 points"):
                await trends.series(connection, since=0, until=since, step=60)
            await connection.execute(text("SELECT 1"))

    run(url, main)


def test_what_people_say_of_errors(url: str) -> None:
    async def main(rig: Rig) -> None:
        from history_tools import NOW, ended, failure, record

        from naq.job import JobState

        def failed(at: float) -> Any:
            return ended(record(state=JobState.FAILED, errors=[failure(at=at)], finished_at=at))

        await rig.take(failed(NOW + 10))
        ((name, _),) = [(row["fingerprint"], row) for row in await rig.rows(errors_table)]
        at = int((NOW + 20) * 1e6)

        async def state_after(when: float) -> str:
            await rig.take(failed(when))
            async with rig.store.reading() as connection:
                group = await errors.get(connection, name)
            assert group is not None
            return group.state

        async with rig.store.writing() as connection:
            assert await errors.decide(connection, name, "resolved", at=at)
            assert not await errors.decide(connection, "none", "resolved", at=at)
        assert await state_after(NOW + 15) == "resolved"  # it came before that
        assert await state_after(NOW + 30) == "regressed"
        async with rig.store.writing() as connection:
            await errors.decide(connection, name, "ignored", at=at, until=int((NOW + 100) * 1e6), note="known")
        assert await state_after(NOW + 50) == "ignored"
        assert await state_after(NOW + 150) == "open"
        async with rig.store.writing() as connection:
            await errors.decide(connection, name, "ignored", at=at, times=2)
        assert [await state_after(NOW + 160 + n) for n in range(3)] == ["ignored", "ignored", "open"]
        async with rig.store.reading() as connection:
            assert sum(count for _, count in (await errors.hours(connection, (name,), since=0))[name]) == 8
            assert [group.count for group in await errors.find(connection)] == [8]
            found = await errors.newest(connection, name, most=5)
            assert [(one.queue, one.attempt) for one in found] == [("mail", 1)] * 5

    run(url, main)


def run(url: str, main: Callable[[Rig], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with make_rig(url) as rig:
            await main(rig)

    asyncio.run(inside())


def msgspec_replace(query: JobQuery, **fields: Any) -> JobQuery:
    from msgspec.structs import replace

    return replace(query, **fields)

"""What hangs together with a job: read along indexes, in bounds, the way back included."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from history_tools import ended, make_rig, record
from sqlalchemy import event, select
from test_queries import explain, scans

from naq.job import JobRecord, JobState
from naq.server.store.queries import kin
from naq.server.store.queries.kin import Edge
from naq.server.store.tables import jobs, links

TRACE = "ab" * 16


def family(count: int) -> list[JobRecord]:
    """A job that made `count` jobs, one that waits for all of them, and one that waits for that."""
    root = record(id="root", task="shop.import", trace=f"00-{TRACE}-{'cd' * 8}-01")
    parts = [
        record(id=f"part{n:03}", task="shop.part", parent="root", root="root",
               state=JobState.FAILED if n % 10 == 0 else JobState.SUCCEEDED)
        for n in range(count)
    ]  # fmt: skip
    last = record(id="last", task="shop.index", parent="root", root="root", after=[part.id for part in parts])
    return [root, *parts, last, record(id="mail", task="shop.mail", after=["last"]), record(id="other")]


def test_links_and_traces_are_kept_and_go_with_their_jobs(url: str) -> None:
    async def test() -> None:
        async with make_rig(url) as rig:
            await rig.take(*map(ended, family(3)), *map(ended, family(3)))  # told twice
            assert [(row["parent_id"], row["job_id"]) for row in await rig.rows(links)] == [
                ("last", "mail"), *((f"part{n:03}", "last") for n in range(3)),
            ]  # fmt: skip
            assert (await rig.job("root"))["trace"] == TRACE
            assert (await rig.job("last"))["trace"] is None
            async with rig.store.writing() as connection:
                await connection.execute(jobs.delete().where(jobs.c.id == "last"))
            assert [row["job_id"] for row in await rig.rows(links)] == ["mail"]

    asyncio.run(test())


@pytest.mark.parametrize("start", ["root", "part001", "last", "mail"])
def test_the_graph_is_the_same_from_wherever_one_looks(url: str, start: str) -> None:
    async def test() -> None:
        async with make_rig(url) as rig:
            await rig.take(*map(ended, family(3)))
            async with rig.store.reading() as connection:
                found = await kin.graph(connection, start)
        assert set(found.nodes) == {"root", "part000", "part001", "part002", "last", "mail"}
        assert found.whole
        parts = [f"part{n:03}" for n in range(3)]
        assert found.edges == {
            *(Edge("root", part, "child") for part in [*parts, "last"]),
            *(Edge(part, "last", "waits") for part in parts), Edge("last", "mail", "waits"),
        }  # fmt: skip
        assert found.nodes["part000"].state == "failed"

    asyncio.run(test())


def test_a_large_family_is_read_in_bounds_along_indexes(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kin, "MOST", 60)
    monkeypatch.setattr(kin, "EACH", 40)

    async def test() -> None:
        async with make_rig(url) as rig:
            await rig.take(*map(ended, family(100)))
            seen: list[tuple[str, Any]] = []
            async with rig.store.reading() as connection:
                await connection.execute(select(1))

                def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, _many: bool) -> None:
                    seen.append((statement, parameters))

                event.listen(connection.sync_connection, "before_cursor_execute", note)
                found = await kin.graph(connection, "root")
                counted = await kin.count_children(connection, "root")
                event.remove(connection.sync_connection, "before_cursor_execute", note)
                if rig.store.dialect == "postgresql":
                    await connection.exec_driver_sql("SET enable_seqscan = off")
                assert 5 < len(seen) < 40
                for statement, parameters in seen:
                    for step in await explain(connection, statement, parameters):
                        assert not scans(step), (step, statement)
        assert len(found.nodes) <= 60
        assert not found.whole
        assert counted == {"shop.part": {"failed": 10, "succeeded": 90}, "shop.index": {"succeeded": 1}}
        # The last one is found through those it waits for, though the first forty children are others.
        assert "last" in found.nodes

    asyncio.run(test())

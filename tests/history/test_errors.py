"""What is said of errors that are mended in the code to come."""

from __future__ import annotations

import asyncio

from history_tools import NOW, ended, failure, make_rig, record
from sqlalchemy import update

from naq.job import JobState
from naq.server.store.queries import errors
from naq.server.store.tables import errors as table
from naq.server.store.tables import workers


def test_one_that_is_mended_in_the_next_version_may_still_come_from_this_one(url: str) -> None:
    async def test() -> None:
        async with make_rig(url) as rig:

            async def fail(at: float, worker: str) -> str:
                item = record(state=JobState.FAILED, errors=[failure(at=NOW + at)], finished_at=NOW + at, worker=worker)
                await rig.take(ended(item))
                return str((await rig.rows(table))[0]["state"])

            async with rig.store.writing() as connection:
                common = {
                    "state": "running", "host": "h", "pid": 1, "version": "1", "queues": "[]", "tasks": "[]",
                    "concurrency": 1, "running": 0, "processed": 0, "failed": 0, "started_at": 1, "seen_at": 1,
                }  # fmt: skip
                for name, code in (("old", "1.0"), ("older", "0.9"), ("new", "1.1"), ("silent", "")):
                    await connection.execute(workers.insert().values(id=name, code=code, **common))
                gone = workers.c.id == "new"
                await connection.execute(update(workers).where(gone).values(gone_at=1))
                assert await errors.versions_running(connection) == ["0.9", "1.0"]
            assert await fail(1, "old") == "open"
            [row] = await rig.rows(table)
            name = row["fingerprint"]

            async def resolve(at: float) -> None:
                async with rig.store.writing() as connection:
                    await errors.decide(connection, name, "resolved", at=int((NOW + at) * 1e6), still_in=["0.9", "1.0"])

            await resolve(2)
            assert [await fail(3, "old"), await fail(4, "older")] == ["resolved", "resolved"]
            assert await fail(5, "new") == "regressed"
            await resolve(6)
            assert await fail(7, "silent") == "regressed"  # of what it runs nobody said anything
            await resolve(8)
            assert await fail(9, "unknown") == "regressed"
            async with rig.store.writing() as connection:
                await errors.decide(connection, name, "resolved", at=int((NOW + 10) * 1e6))
            assert await fail(11, "old") == "regressed"  # mended here and now, it was said
            async with rig.store.reading() as connection:
                group = await errors.get(connection, name)
                assert group is not None
                assert (group.still_in, group.count) == (None, 7)
                split = await errors.newest(connection, name, most=10)
            assert [(one.worker, one.version) for one in split][:3] == [
                ("old", "1.0"), ("unknown", ""), ("silent", ""),
            ]  # fmt: skip

    asyncio.run(test())

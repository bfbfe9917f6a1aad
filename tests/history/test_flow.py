"""What the tables of queues and tasks say beside each: in a few statements, from rollups alone."""

from __future__ import annotations

import asyncio
from typing import Any

from history_tools import NOW, ended, make_rig, record
from sqlalchemy import event, select
from test_queries import explain, scans

from naq.job import JobState
from naq.server.store.queries import flow


def test_rates_percentiles_and_a_small_chart_of_each(url: str) -> None:
    until = int((NOW + 600) * 1e6)

    async def test() -> None:
        async with make_rig(url) as rig:
            for n in range(40):
                state = JobState.FAILED if n % 4 == 0 else JobState.SUCCEEDED
                began = NOW + n * 10
                item = record(
                    state=state, task=f"shop.t{n % 2}", queue="mail" if n % 2 else "web", enqueued_at=began,
                    started_at=began + 1, finished_at=began + 1 + (n % 2 + 1) / 10,
                )  # fmt: skip
                await rig.take(ended(item))
            seen: list[tuple[str, Any]] = []
            async with rig.store.reading() as connection:
                await connection.execute(select(1))

                def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, _many: bool) -> None:
                    seen.append((statement, parameters))

                event.listen(connection.sync_connection, "before_cursor_execute", note)
                queues = await flow.flows(
                    connection, since=until - 600_000_000, until=until, scope="queue", names=["idle", "mail"]
                )
                tasks = await flow.flows(connection, since=until - 86_400_000_000, until=until, scope="task")
                event.remove(connection.sync_connection, "before_cursor_execute", note)
                if rig.store.dialect == "postgresql":
                    await connection.exec_driver_sql("SET enable_seqscan = off")
                for statement, parameters in seen:
                    for step in await explain(connection, statement, parameters):
                        assert not scans(step), (step, statement)
        idle, mail, web = queues
        assert [one.name for one in queues] == ["idle", "mail", "web"]
        assert (idle.counts, set(idle.points), len(idle.points) in {10, 11}) == ({}, {0}, True)
        assert idle.percentile("run", 0.5) is None
        assert (mail.counts["succeeded"], web.counts["succeeded"], web.counts["failed"]) == (20, 10, 10)
        assert sum(mail.points) == sum(web.points) == 20
        assert max(mail.points) == 3
        assert 0.1e6 <= (web.percentile("run", 0.5) or 0) <= 0.13e6
        assert 0.2e6 <= (mail.percentile("run", 0.99) or 0) <= 0.26e6
        assert 1e6 <= (mail.percentile("wait", 0.95) or 0) <= 1.25e6
        assert [(one.name, sum(one.points), len(one.points) in {24, 25}) for one in tasks] == [
            ("shop.t0", 20, True), ("shop.t1", 20, True),
        ]  # fmt: skip

    asyncio.run(test())

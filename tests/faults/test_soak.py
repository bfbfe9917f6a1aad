"""Everything at once for a while: half a minute, or as long as ``SOAK_SECONDS`` says (docs/faults.md).

Jobs that succeed, are tried again, wait for a time or for others, stream, report, fail and are cancelled, and a
schedule, while workers and the broker are killed at random. Nothing is lost, nothing runs twice but for a kill, the
history knows of all of it, and nobody grows.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from rig.fleet import Rig, until
from rig.soak import SCHEDULE, Soak, growth

from naq import clock
from naq.job import FINAL
from naq.testing.chaos import Expected
from naq.testing.chaos.state import FinalState

SECONDS = float(os.environ.get("SOAK_SECONDS", "30"))
SEED = int(os.environ.get("SOAK_SEED", str(random.randrange(10_000))))
PATIENCE = 120.0  # seconds in which all that was begun ends
LEASE = 10.0  # seconds; longer than the broker is away, so that only a kill excuses a second execution
#: MiB that a process may grow by. The server's SQLite may keep 64 MiB of pages, and does as its file grows.
GROWTH = {"worker": 24.0, "producer": 24.0, "server": 64.0 + 24.0}
SLACK = 3  # slots at either end of the schedule that may or may not have come to be

pytestmark = [pytest.mark.faults, pytest.mark.timeout(SECONDS + 4 * PATIENCE)]


def test_a_mixed_load_under_random_kills(rig: Rig) -> None:
    asyncio.run(_soak(rig))


async def _soak(rig: Rig) -> None:
    database = rig.folder / "history.db"
    async with rig.connected(lease=LEASE) as app:
        survivor, *victims = workers = [rig.worker(NAQ_LEASE=f"{LEASE:g}") for _ in range(3)]
        history = rig.history(f"sqlite:///{database}")
        await rig.ready(*workers)
        run = Soak(rig, app, lambda: rig.worker(NAQ_LEASE=f"{LEASE:g}"), seed=SEED)
        await run.run(SECONDS, victims, {"worker": survivor.pid, "server": history.pid, "producer": os.getpid()})
        ended = clock.now()
        state = await rig.settle(timeout=PATIENCE)
        slots = _slots(state)
        with rig.log.enqueuing(slots):
            pass  # the leader did
        for job_id, slot in slots.items():
            if slot > ended - SLACK:  # it was ahead of its time when the schedule was deleted
                run.states[job_id] = state.records[job_id][-1].record.state
        seen = ["succeeded", "failed", "retried", *(["death"] if run.killed["worker"] else [])]
        expected = Expected(within=PATIENCE, states=run.states, ready_within=15.0, lines_per_second=500.0)
        print(f"\nseed {SEED}, {SECONDS:g} s: killed {run.killed}; {len(slots)} slots")
        for name, sizes in run.memory.items():
            print(f"{name}: {' '.join(f'{size:.0f}' for size in sizes[:: max(1, len(sizes) // 20)])} MiB")
        report = rig.judge(state, *seen, expected=expected)
        print(dict(report.seen))
        assert len(rig.executions(pid=survivor.pid)) > SECONDS, "the worker that is measured does nothing"
        _check_slots(sorted(slots.values()))
        await until(lambda: _known(database) == len(state.records), "the history knows of all", timeout=PATIENCE)
        for name, most in GROWTH.items():
            assert growth(run.memory[name]) < most, f"{name} grows: {run.memory[name]}"
        await rig.stop(survivor, *victims)


def _slots(state: FinalState) -> dict[str, float]:
    """The jobs that the schedule made, each with the moment that it is for."""
    prefix = f"cron-{SCHEDULE}-"
    return {
        job_id: datetime.strptime(job_id.split("-")[2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        for job_id in state.records
        if job_id.startswith(prefix)
    }


def _check_slots(moments: list[float]) -> None:
    gaps = [(before, after) for before, after in pairwise(moments) if after - before != 1.0]
    assert not gaps, f"slots are missing, or there twice: {gaps}"
    assert len(moments) > SECONDS - 2 * SLACK


def _known(database: Path) -> int:
    """Jobs that the history knows to have ended."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        states = ", ".join(f"'{state}'" for state in FINAL)
        found: tuple[int] = connection.execute(f"SELECT count(*) FROM jobs WHERE state IN ({states})").fetchone()
        return found[0]

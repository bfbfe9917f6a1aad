"""What a worker without jobs does to stay awake: as little as will do."""

from __future__ import annotations

import asyncio
import threading

from naq.worker import journal
from naq.worker.buffer.writer import EventWriter
from naq.worker.flights import Flight, Flights
from naq.worker.journal import Journal
from naq.worker.watchdog import IDLE, Watchdog
from tests.tools import make_app, run, store, take, until


class _Counting(Watchdog):
    answered = 0

    def _answer(self) -> None:
        self.answered += 1
        super()._answer()


def test_a_loop_without_jobs_is_hardly_asked_and_one_with_jobs_every_round() -> None:
    app = make_app()

    @app.task(name="one")
    async def one() -> None:
        return None

    async def test() -> None:
        flights = Flights()
        watchdog = _Counting(flights, asyncio.get_running_loop(), thread=threading.get_ident())
        for _ in range(int(IDLE / watchdog.interval)):  # as many rounds as fit between two questions
            await watchdog.run_once()
            await asyncio.sleep(0)
        assert watchdog.answered == 1
        await one.enqueue()
        (claim,) = await take(app, lease=60)
        flights.add(Flight(claim))
        for _ in range(5):
            await watchdog.run_once()
            await asyncio.sleep(0)
        assert watchdog.answered == 6
        await app.close()

    run(test())


def test_the_journal_sweeps_only_while_there_are_jobs() -> None:
    app = make_app()

    @app.task(name="one")
    async def one() -> None:
        return None

    async def test() -> None:
        flights = Flights()
        async with store(app) as backend:
            sweeping = Journal(EventWriter(backend, app.config, "me"), flights, "me")
            sweeping.start()
            await until(lambda: sweeping.rounds)
            assert sweeping.interval == journal.IDLE
            await one.enqueue()
            (claim,) = await take(app, lease=60)
            flights.add(flight := Flight(claim))
            sweeping.begins()
            await until(lambda: sweeping.rounds > 3)
            flights.end(flight)
            flights.remove(flight)
            await until(lambda: sweeping.interval == journal.IDLE)
            await sweeping.stop()
        await app.close()

    run(test())

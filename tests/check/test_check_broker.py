"""`naq.check`: what waits on a broker, judged by the code at hand; nothing is run and nothing is written."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest
from msgspec.structs import replace

from naq import Naq, result_of
from naq.backends.base import Backend
from naq.check import Refused, Report, read_broker
from naq.check.findings import MOST, OTHERS
from naq.events.handling import register
from naq.job import JobSpec, new_id
from naq.scheduler.acts import Acts
from naq.scheduler.declared import reconcile

_stores = itertools.count()
KEY = "k1:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
ran: list[str] = []


@dataclass
class Order:
    number: int

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError("there is no such order")


class Place:
    """A store, with what old code left there, and the code at hand."""

    def __init__(self, **settings: Any) -> None:
        self.url = f"memory:check-{next(_stores)}"
        self.app = self.code(**settings)

        @self.app.task(name="ship", version=2)
        async def ship(order: Order, note: str = "") -> None:
            ran.append("ship")

        @ship.upcast(1)
        def _(number: int) -> dict[str, Any]:
            return {"order": {"number": number}}

        @self.app.task(name="bill", version=3)
        async def bill(order: Order) -> None:
            ran.append("bill")

        self.ship = ship

    def code(self, **settings: Any) -> Naq:
        return Naq("check", broker_url=self.url, **settings)

    async def put(self, payload: str | bytes, **fields: Any) -> str:
        data = payload if isinstance(payload, bytes) else payload.encode()
        spec = JobSpec(id=new_id(), payload=data, **fields)
        await (await self.app.connect()).enqueue([spec])
        return spec.id

    async def read(self, **options: Any) -> Report:
        return await read_broker(await self.app.connect(), self.app, self.app.config, **options)


def play(test: Callable[[Place], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        place = Place(**settings)
        async with place.app:
            await test(place)
        assert ran == [], "a check runs no task"

    asyncio.run(main())


class ReadOnly:
    """A backend that lets nothing but reading through."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        assert name in {"unfinished", "entries", "entry"}, f"a check called {name}"
        return getattr(self._backend, name)


def only(report: Report) -> Refused:
    (one,) = report.refused
    return one


def test_what_fits_is_fine_wherever_it_waits_and_only_read() -> None:
    async def test(place: Place) -> None:
        first = await place.ship.enqueue(Order(1))
        await place.ship.options(delay=100).enqueue(Order(2), note="later")
        await place.ship.options(depends_on=first).enqueue(Order(3))
        await place.put('{"v":1,"task":"ship","args":[4]}', attempt=2, run_at=9e9)
        await place.app.schedules.create("nightly", place.ship.call(Order(5)), interval=3600)
        backend = cast("Backend", ReadOnly(await place.app.connect()))
        report = await read_broker(backend, place.app, place.app.config)
        assert report.refused == []
        assert report.jobs == {"queued": 1, "scheduled": 1 + 2, "blocked": 1, "retrying": 1}, "two ticks lie ahead"
        assert report.schedules == 1

    play(test)


@pytest.mark.parametrize(
    ("payload", "kind", "says"),
    [
        ('{"v":1,"task":"ship","args":["x"]}', "arguments", "parameter 'number' does not fit int"),
        ('{"v":1,"task":"ship","args":[-1]}', "arguments", "no such order"),
        ('{"v":1,"task":"ship","version":2,"args":[]}', "arguments", "missing a required argument: 'order'"),
        ('{"v":1,"task":"ship","version":3,"args":[]}', "newer version", "are of version 3, this code reads 2"),
        ('{"v":1,"task":"bill","version":2,"args":[1]}', "no upcaster", "add @task.upcast(2)"),
        ('{"v":1,"task":"shop.gone"}', "unknown task", "neither the app nor an imported module"),
        ('{"v":1,"task":"os:system","args":["x"]}', "refused path", "told to (-m, imports)"),
        ('{"v":1,"task":"ship","args":[1],"retry":{"max_attempts":0}}', "malformed", "max_attempts"),
        ('{"v":1,"task":"ship","codec":"pickle","args":["gAU="]}', "codec", "pickled"),
        ('{"v":1,"task":"ship","codec":"encrypted","args":["k","x"]}', "keys", "encryption_keys"),
        ('{"v":2,"task":"ship"}', "malformed", "wire format"),
        (b"\xff", "malformed", ""),
        ('{"v":1,"task":"ship","args":["' + "x" * 2000 + '"]}', "malformed", "over max_payload"),
    ],
)
def test_what_would_not_run_is_named_with_its_reason(payload: str | bytes, kind: str, says: str) -> None:
    async def test(place: Place) -> None:
        big = place.code(max_payload=1_000_000)  # what was enqueued by somebody with a higher limit
        spec = JobSpec(id=new_id(), payload=payload if isinstance(payload, bytes) else payload.encode(), queue="mail")
        async with big:
            await (await big.connect()).enqueue([spec])
        found = only(await place.read())
        assert (found.kind, found.level, found.count, found.example) == (kind, "problem", 1, spec.id)
        assert (found.states, found.queues) == ({"queued": 1}, ["mail"])
        assert says in found.reason

    play(test, max_payload=1500)


def test_what_is_not_signed_as_asked_is_named() -> None:
    async def test(place: Place) -> None:
        await place.ship.enqueue(Order(1))
        stranger = place.code()
        async with stranger:
            await stranger.task(name="ship")(_ship_1).enqueue("x")
        found = only(await place.read())
        assert (found.kind, found.count) == ("keys", 1)
        keyless = replace(place.app.config, signing_keys=())
        report = await read_broker(await place.app.connect(), place.app, keyless)
        assert [each.kind for each in report.refused] == ["arguments"], "without keys a signature is not asked for"

    play(test, signing_keys=[KEY])


def test_arguments_that_are_results_are_left_open_and_all_others_are_read() -> None:
    async def test(place: Place) -> None:
        @place.app.task(name="both")
        async def both(first: int, second: int, third: int = 0) -> None: ...

        @place.app.task(name="number")
        async def number() -> int:
            return 1

        parent = await number.enqueue()
        await both.enqueue(result_of(parent), 2, third=result_of(parent))
        assert (await place.read()).refused == []
        fill = f'"after":{{"ids":["{parent.id}"],"fill":{{"0":"{parent.id}"}}}}'
        await place.put(f'{{"v":1,"task":"both","args":[null,"x"],{fill}}}', blocked=True)
        found = only(await place.read())
        assert (found.kind, found.states) == ("arguments", {"blocked": 1})
        assert "'second' does not fit int" in found.reason

    play(test)


def test_they_are_grouped_and_the_most_come_first() -> None:
    async def test(place: Place) -> None:
        for number in range(3):
            await place.put('{"v":1,"task":"gone"}', queue=f"q{number % 2}")
        await place.put('{"v":1,"task":"gone"}', run_at=9e9)
        await place.put('{"v":1,"task":"ship","args":["x"]}')
        first, second = (await place.read()).refused
        assert (first.kind, first.count, first.queues) == ("unknown task", 4, ["default", "q0", "q1"])
        assert first.states == {"queued": 3, "scheduled": 1}
        assert (second.kind, second.count) == ("arguments", 1)
        first, second = (await place.read(allow_waiting=True)).refused
        assert [(each.kind, each.level) for each in (first, second)] == [
            ("arguments", "problem"),
            ("unknown task", "warning"),
        ]

    play(test)


def test_a_thousand_reasons_do_not_make_a_thousand_groups() -> None:
    async def test(place: Place) -> None:
        backend = await place.app.connect()
        await backend.enqueue(
            [JobSpec(id=new_id(), payload=f'{{"v":1,"task":"gone{n}"}}'.encode()) for n in range(MOST + 100)]
        )
        report = await place.read()
        assert len(report.refused) == MOST + 1
        assert (report.refused[0].reason, report.refused[0].count) == (OTHERS, 100)

    play(test)


@pytest.mark.filterwarnings("ignore::naq.codec.caution.PickleWarning")
def test_expired_jobs_and_pickles_are_counted_and_left_alone() -> None:
    async def test(place: Place) -> None:
        await place.put('{"v":1,"task":"ship","args":["x"],"expires_at":1}')
        payload = '{"v":1,"task":"ship","version":2,"codec":"pickle","args":["gAU="]}'  # nothing that could be read
        await place.put(payload)
        report = await place.read()
        assert (report.refused, report.expired, report.unread) == ([], 1, 1)

    play(test, codec="pickle")


def test_a_schedule_of_what_the_code_does_not_take_is_named() -> None:
    async def test(place: Place) -> None:
        old = place.code()

        @old.task(name="ship")
        async def ship_1(number: str) -> None: ...

        async with old:
            await old.schedules.create("nightly", ship_1.call("x"), interval=3600)
        backend = await place.app.connect()
        await backend.put("schedule", "odd", b"not a schedule")
        report = await place.read()
        assert report.schedules == 2
        kinds = sorted((each.kind, tuple(sorted(each.states))) for each in report.refused)
        assert kinds == [("arguments", ("schedule", "scheduled")), ("schedule", ("schedule",))]

    play(test)


def test_a_declared_schedule_that_the_code_changes_is_no_problem() -> None:
    async def test(place: Place) -> None:
        old = place.code()
        old.every(3600, name="hourly", args=["x"])(old.task(name="ship")(_ship_1))
        old.every(3600, name="dropped", args=["x"])(old.get_task("ship"))
        async with old:
            await reconcile(Acts(await old.connect(), old.config), old.name, old.declarations.all.values())
        assert sum(each.count for each in (await place.read()).refused) == 6, "two ticks and a schedule, twice"
        place.app.every(3600, name="hourly", args=[Order(1)])(place.ship)
        report = await place.read()
        assert (report.refused, report.replaced) == ([], 4)

    play(test)


async def _ship_1(number: str) -> None: ...


def test_a_handler_without_its_task_is_named() -> None:
    async def test(place: Place) -> None:
        old = place.code()

        @old.on("order.*", name="shipped")
        async def shipped(data: object) -> None: ...

        handles = old.handles
        assert handles is not None

        async with old:
            await register(await old.connect(), old.config, list(handles.all.values()))
        found = only(await place.read())
        assert (found.kind, found.task) == ("handler", shipped.name)

    play(test)

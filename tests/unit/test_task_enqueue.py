"""From arguments to a stored job: what is in it, and what is refused before anything is stored."""

import asyncio
import itertools
import sys
import types
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from naq import Call, ConfigurationError, Context, JobState, Naq, PayloadTooLarge, Retry, SerializationError, clock
from naq.backends.base import Claim
from naq.codec.envelope import decode_envelope
from naq.codec.headers import read_tags
from naq.context import reset_context, set_context

_stores = itertools.count()


class Shop:
    """An app on a store of its own, with the tasks of these tests."""

    def __init__(self, **settings: Any) -> None:
        self.app = Naq("shop", broker_url=f"memory:enqueue-{next(_stores)}", **settings)

        @self.app.task(name="charge", queue="money", priority="high", tags={"team": "pay"})
        async def charge(amount: int, currency: str = "EUR") -> str:
            return f"{amount} {currency}"

        @self.app.task(name="note")
        def note(text: str) -> None:
            del text

        self.charge = charge
        self.note = note

    async def claims(self, *queues: str) -> list[Claim]:
        backend = await self.app.connect()
        return await backend.fetch(queues or ("money", "default"), limit=100, lease=30, wait=0)


def with_shop(test: Callable[[Shop], Awaitable[None]]) -> Callable[[], None]:
    """Run a coroutine test with a shop whose connection is closed at the end."""

    def run() -> None:
        async def main() -> None:
            shop = Shop()
            async with shop.app:
                await test(shop)

        asyncio.run(main())

    return run


@with_shop
async def test_a_job_is_the_call_and_the_tasks_options(shop: Shop) -> None:
    before = clock.now()
    job = await shop.charge.enqueue(12, currency="USD")
    (claim,) = await shop.claims()
    envelope = decode_envelope(claim.job.payload)
    assert (claim.job.id, claim.job.queue, claim.job.priority) == (job.id, "money", "high")
    assert (envelope.task, bytes(envelope.args), bytes(envelope.kwargs)) == ("charge", b"[12]", b'{"currency":"USD"}')
    assert before <= envelope.at <= clock.now()
    assert (envelope.timeout, envelope.retry, envelope.expires_at) == (None, None, None)
    assert (envelope.parent, envelope.root) == ("", "")
    assert read_tags(claim.job.headers) == {"team": "pay"}
    assert claim.job.fresh
    assert job.duplicate is False
    assert repr(job) == f"<Job {job.id}>"
    assert job.job_id == job.id


@with_shop
async def test_options_travel_with_the_job(shop: Shop) -> None:
    view = shop.charge.options(queue="slow", priority="low", timeout=5, retry=Retry(max_attempts=7), expires_in=60)
    await view.options(tags={"who": "ada"}, job_id="order-7").enqueue(1)
    (claim,) = await shop.claims("slow")
    envelope = decode_envelope(claim.job.payload)
    assert (claim.job.id, claim.job.priority, claim.job.fresh) == ("order-7", "low", False)
    assert envelope.timeout == 5.0
    assert envelope.retry is not None
    assert envelope.retry.max_attempts == 7
    assert envelope.expires_at == envelope.at + 60
    assert read_tags(claim.job.headers) == {"team": "pay", "who": "ada"}


@with_shop
async def test_the_same_id_is_one_job(shop: Shop) -> None:
    once = shop.charge.options(job_id="order-7")
    first, second = await once.enqueue(1), await once.enqueue(2)
    assert (first.duplicate, second.duplicate) == (False, True)
    assert first.id == second.id == "order-7"
    assert len(await shop.claims()) == 1


@with_shop
async def test_later_means_scheduled_and_the_past_means_now(shop: Shop) -> None:
    later = await shop.charge.options(delay=60).enqueue(1)
    at = await shop.charge.options(run_at=clock.now() + 60).enqueue(2)
    past = await shop.charge.options(run_at=1.0).enqueue(3)
    now = await shop.charge.options(delay=0).enqueue(4)
    assert [await job.status() for job in (later, at, past, now)] == [
        JobState.SCHEDULED,
        JobState.SCHEDULED,
        JobState.QUEUED,
        JobState.QUEUED,
    ]
    record = await later.record()
    assert abs(record.run_at - clock.now() - 60) < 5


@with_shop
async def test_a_job_that_could_never_start_is_refused(shop: Shop) -> None:
    with pytest.raises(ConfigurationError, match="could never start"):
        await shop.charge.options(run_at=clock.now() + 100, expires_in=50).enqueue(1)
    assert await shop.claims() == []


@with_shop
async def test_wrong_arguments_are_refused_and_nothing_is_stored(shop: Shop) -> None:
    enqueue: Any = shop.charge.enqueue
    for args, kwargs, says in [
        (("12",), {}, "amount"),
        ((), {}, "amount"),
        ((1, 2, 3), {}, "charge"),
        ((1,), {"curency": "EUR"}, "curency"),
        ((1,), {"currency": object()}, "currency"),
        ((1, "EUR"), {"currency": "EUR"}, "currency"),
        ((float("nan"),), {}, "amount"),
    ]:
        with pytest.raises(SerializationError, match=says):
            await enqueue(*args, **kwargs)
    assert await shop.claims() == []


def test_a_payload_over_the_limit_is_refused_and_nothing_is_stored() -> None:
    async def main() -> None:
        shop = Shop(max_payload=1000)
        async with shop.app:
            with pytest.raises(PayloadTooLarge, match="1000"):
                await shop.note.enqueue("x" * 1000)
            with pytest.raises(PayloadTooLarge) as caught:
                await shop.note.enqueue_many([shop.note.call("fits"), shop.note.call("x" * 1000)])
            assert caught.value.__notes__ == ["in call 1 of the batch (note); nothing of the batch was stored"]
            assert await shop.claims() == []
            await shop.note.enqueue("x" * 900)

    asyncio.run(main())


def test_nothing_is_opened_for_a_job_that_is_refused() -> None:
    async def main() -> None:
        app = Naq("shop", broker_url="nats://127.0.0.1:1", connect_timeout=60)  # nobody listens there

        @app.task(name="note")
        def note(text: str) -> None:
            del text

        wrong: Any = note
        with pytest.raises(SerializationError):
            await asyncio.wait_for(wrong.enqueue(5), timeout=10)
        with pytest.raises(SerializationError):
            await asyncio.wait_for(wrong.enqueue_many([wrong.call(5)]), timeout=10)
        assert await note.enqueue_many([]) == []

    asyncio.run(main())


@with_shop
async def test_many_at_once_keep_their_order_and_options(shop: Shop) -> None:
    calls = [shop.charge.call(number) for number in range(2500)]
    jobs = await shop.charge.options(delay=60).enqueue_many(calls)
    assert len({job.id for job in jobs}) == 2500
    assert [job.id for job in jobs] == sorted(job.id for job in jobs)
    assert await jobs[-1].status() is JobState.SCHEDULED


@with_shop
async def test_a_calls_own_options_hold(shop: Shop) -> None:
    jobs = await shop.charge.options(queue="slow").enqueue_many(
        [shop.charge.call(1), shop.charge.options(queue="own").call(2), shop.charge.options(job_id="mine").call(3)]
    )
    assert [(await job.record()).queue for job in jobs] == ["slow", "own", "money"]
    assert jobs[2].id == "mine"


@with_shop
async def test_a_mixture_goes_through_the_app(shop: Shop) -> None:
    calls: list[Call[Any]] = [shop.charge.call(1), shop.note.call("x")]
    jobs = await shop.app.enqueue_many(calls)
    assert [(await job.record()).queue for job in jobs] == ["money", "default"]
    with pytest.raises(ConfigurationError, match=r"charge\.enqueue_many got a call of note; use app\.enqueue_many"):
        await shop.charge.enqueue_many(calls)


@with_shop
async def test_one_id_for_several_calls_is_a_mistake(shop: Shop) -> None:
    once = shop.charge.options(job_id="order-7")
    with pytest.raises(ConfigurationError, match="2 calls cannot share the job_id 'order-7'"):
        await once.enqueue_many([shop.charge.call(1), shop.charge.call(2)])
    assert len(await once.enqueue_many([shop.charge.call(1)])) == 1


@with_shop
async def test_a_job_knows_which_job_made_it(shop: Shop) -> None:
    token = set_context(Context(job_id="child", task="t", parent="root", root="root"))
    await shop.note.enqueue("grandchild")
    reset_context(token)
    token = set_context(Context(job_id="first", task="t"))
    await shop.note.enqueue("child")
    reset_context(token)
    envelopes = [decode_envelope(claim.job.payload) for claim in await shop.claims()]
    assert [(one.parent, one.root) for one in envelopes] == [("child", "root"), ("first", "first")]


def _span(monkeypatch: pytest.MonkeyPatch, *, state: str = "") -> None:
    """Stand in for OpenTelemetry, which naq uses only where a program has loaded it."""
    context = types.SimpleNamespace(
        is_valid=True,
        trace_id=0xABC,
        span_id=0xDEF,
        trace_flags=1,
        trace_state=types.SimpleNamespace(to_header=lambda: state),
    )
    span = types.SimpleNamespace(get_span_context=lambda: context)
    module: Any = types.ModuleType("opentelemetry.trace")
    module.get_current_span = lambda: span
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", module)


def test_a_trace_goes_along_and_never_stops_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = f"00-{0xABC:032x}-{0xDEF:016x}-01"
    shop = Shop(max_headers=120)
    bare = shop.note.call("x").plan.build(("x",), {}, 1.0)
    assert bare.headers is None
    _span(monkeypatch)
    assert shop.note.call("x").plan.build(("x",), {}, 1.0).headers == {"traceparent": parent}
    assert (shop.charge.call(1).plan.build((1,), {}, 1.0).headers or {}).keys() == {"traceparent", "Naq-Tag-team"}
    _span(monkeypatch, state="vendor=" + "x" * 100)
    assert shop.charge.call(1).plan.build((1,), {}, 1.0).headers == {"Naq-Tag-team": "pay"}


@with_shop
async def test_a_task_is_still_its_function(shop: Shop) -> None:
    assert await shop.charge(3) == "3 EUR"
    shop.note("x")
    assert shop.charge.__name__ == "charge"
    assert repr(shop.charge) == "<Task charge>"
    assert repr(shop.charge.call(3)) == "<Call of charge>"

"""Opening, closing, and what is refused: clearly, and before anything is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf, nan
from typing import Any

import pytest

from naq.backends.base import Backend, Claim, WorkerInfo
from naq.exceptions import ConfigurationError, NaqConnectionError, NaqException, PayloadTooLarge
from naq.job import JobSpec
from naq.testing.conformance.bench import QUIET, Bench, scenario

HOSTILE = ["", "*", ">", "a.b", "a b", "a\r\nPUB x 0\r\n", "a\x00b", "x" * 4096, "größe", "a/b", "..", "~", "$JS"]
MEGABYTES = b"x" * (32 * 1024 * 1024)  # over every limit that naq allows


class TestLifecycle:
    """`open`, `close`, `health`."""

    @scenario
    async def test_opening_twice(self, bench: Bench) -> None:
        """Adds queues, and disturbs nothing."""
        first, second = bench.name(), bench.name()
        backend = await bench.open(first)
        claim = await bench.claimed(backend, first)
        await backend.open([first, second])
        await backend.open()
        job = await bench.enqueued(backend, second)
        assert (await bench.claim(backend, first, second)).job.id == job.id
        assert claim.job.id in (await backend.extend([claim], lease=bench.lease)).deadlines

    @scenario
    async def test_closing_twice(self, bench: Bench) -> None:
        """Is no error; and what was never opened can be closed."""
        backend = await bench.open()
        await backend.close()
        await backend.close()
        await bench.harness.connect(bench.lease).close()

    @scenario
    async def test_health(self, bench: Bench) -> None:
        """Ready while it is open and not afterwards; it answers without being opened too."""
        backend = bench.harness.connect(bench.lease)
        assert not backend.health().ready
        await backend.open()

        async def ready() -> bool:
            return backend.health().ready

        await bench.until(ready)
        await backend.close()
        assert not backend.health().ready

    @scenario
    async def test_use_after_close(self, bench: Bench) -> None:
        """One clear error, from everything, at once."""
        queue = bench.name()
        backend = await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        await backend.close()
        uses: list[Callable[[], Awaitable[object]]] = [
            lambda: backend.enqueue([bench.job(queue)]),
            lambda: backend.fetch([queue], limit=1, lease=bench.lease, wait=1),
            lambda: backend.extend([claim], lease=bench.lease),
            lambda: backend.release(claim),
            lambda: backend.retry(claim, delay=1),
            lambda: backend.get(claim.job.id),
            lambda: backend.wait(claim.job.id, timeout=1),
            lambda: backend.cancel(claim.job.id),
            lambda: backend.pause(queue),
            lambda: backend.stats([queue]),
            backend.dead,
            backend.read,
            backend.workers,
            lambda: backend.lead(queue, "a", ttl=1),
        ]
        for use in uses:
            with pytest.raises(NaqConnectionError, match=r"open|close"):
                await bench.passing(use())

    @scenario
    async def test_closing_ends_what_waits(self, bench: Bench) -> None:
        """A fetch comes back empty or with the error; a waiter gets the error. Nobody hangs."""
        queue = bench.name()
        backend = await bench.open(queue)
        job = bench.job(bench.name())
        await backend.enqueue([job])
        fetching = asyncio.ensure_future(backend.fetch([queue], limit=1, lease=bench.lease, wait=3600))
        waiting = asyncio.ensure_future(backend.wait(job.id, timeout=3600))
        await bench.harness.advance(QUIET)
        await backend.close()
        with suppress(NaqConnectionError):
            assert await bench.passing(fetching) == []
        with pytest.raises(NaqConnectionError):
            await bench.passing(waiting)

    @scenario
    async def test_one_instance_closed_others_go_on(self, bench: Bench) -> None:
        """Instances of one store are independent."""
        queue = bench.name()
        backend, gone = await bench.open(queue), await bench.open(queue)
        await gone.close()
        await bench.claimed(backend, queue)


class TestNames:
    """Names that could reach beyond themselves."""

    @pytest.mark.parametrize("name", HOSTILE, ids=[repr(name)[:12] for name in HOSTILE])
    def test_refused(self, harness: Any, name: str) -> None:
        """As queue, job id, worker or leader, by whatever takes a name; nothing is stored."""
        _refuses(self, harness, name)


def _refuses(group: TestNames, harness: Any, name: str) -> None:
    @scenario
    async def body(_: object, bench: Bench) -> None:
        queue = bench.name()
        backend = await bench.open(queue)
        good = bench.job(queue)
        uses: list[Callable[[], Awaitable[object]]] = [
            lambda: backend.enqueue([good, bench.job(name)]),
            lambda: backend.enqueue([good, bench.job(queue, id=name)]),
            lambda: backend.fetch([name], limit=1, lease=bench.lease, wait=0),
            lambda: backend.get(name),
            lambda: backend.wait(name, timeout=1),
            lambda: backend.cancel(name),
            lambda: backend.requeue(name),
            lambda: backend.pause(name),
            lambda: backend.resume(name),
            lambda: backend.limit(name, 1),
            lambda: backend.purge(name),
            lambda: backend.stats([name]),
            lambda: backend.register(WorkerInfo(id=name, queues=[]), ttl=1),
            lambda: backend.unregister(name),
            lambda: backend.died(name, []),
            lambda: backend.lead(name, "a", ttl=1),
            lambda: backend.lead(queue, name, ttl=1),
        ]
        for use in uses:
            with pytest.raises(ConfigurationError):
                await use()
        with pytest.raises(ConfigurationError):
            await bench.harness.connect(bench.lease).open([name])
        await bench.silent(backend, queue)
        assert await backend.get(good.id) is None

    body(group, harness)


class TestRefused:
    """Jobs that may not be stored: the whole batch is refused, and nothing of it is."""

    @scenario
    async def test_a_payload_that_is_too_large(self, bench: Bench) -> None:
        """`PayloadTooLarge`, which says how large it is and how large it may be."""
        error = await _refused(bench, PayloadTooLarge, payload=MEGABYTES)
        assert str(len(MEGABYTES)) in str(error)

    @scenario
    async def test_headers_that_are_too_large(self, bench: Bench) -> None:
        """`PayloadTooLarge` too."""
        await _refused(bench, PayloadTooLarge, headers={f"Naq-Tag-{n}": "v" * 1000 for n in range(50)})

    @scenario
    async def test_headers_that_reach_beyond_themselves(self, bench: Bench) -> None:
        """Line ends and NUL in a name or value, a colon, a space or nothing as a name, and text that is not ASCII."""
        for headers in (
            {"a": "b\r\nc: d"},
            {"a\r\nb": "c"},
            {"a": "b\x00"},
            {"a:b": "c"},
            {"a b": "c"},
            {"": "c"},
            {"a": "ü"},
        ):
            await _refused(bench, ConfigurationError, headers=headers)

    @scenario
    async def test_times_that_are_none(self, bench: Bench) -> None:
        """NaN and infinity."""
        for run_at in (nan, inf, -inf):
            await _refused(bench, ConfigurationError, run_at=run_at)

    @scenario
    async def test_a_priority_that_does_not_exist(self, bench: Bench) -> None:
        """There are three."""
        await _refused(bench, ConfigurationError, priority="urgent")


async def _refused(bench: Bench, error: type[NaqException], **fields: Any) -> NaqException:
    queue = bench.name()
    backend: Backend = await bench.open(queue)
    good = bench.job(queue)
    bad: JobSpec = bench.job(queue, **fields)
    with pytest.raises(error) as caught:
        await backend.enqueue([good, bad])
    await _nothing_stored(bench, backend, queue)
    return caught.value


async def _nothing_stored(bench: Bench, backend: Backend, queue: str) -> None:
    claims: list[Claim] = await bench.fetch(backend, queue, limit=10, wait=0.1)
    assert claims == []

"""One connection per app: opened once, on one event loop, and given up cleanly."""

import asyncio
import threading
from collections.abc import Sequence
from typing import cast

import pytest

import naq.app
from naq import Config, ConfigurationError, Naq, NaqConnectionError
from naq.backends.base import Backend
from naq.backends.memory import MemoryBackend, connect


class Slow(MemoryBackend):
    """A real backend that counts how often it is opened and closed, and may fail or wait on the way."""

    opened: list[list[str]]
    closed = 0
    failures = 0

    async def open(self, queues: Sequence[str] = (), *, wait: float | None = None) -> None:
        self.opened.append(list(queues))
        for _ in range(5):  # others get their turn while this one is opening
            await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise NaqConnectionError("not there")
        await super().open(queues, wait=wait)

    async def close(self) -> None:
        self.closed += 1
        await super().close()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Slow]:
    made: list[Slow] = []

    def from_url(config: Config) -> Backend:
        plain = cast("MemoryBackend", connect(config))
        slow = Slow(config, plain._store)  # pyright: ignore[reportPrivateUsage]
        slow.opened, slow.failures = [], Slow.failures
        made.append(slow)
        return slow

    monkeypatch.setattr(naq.app, "from_url", from_url)
    return made


def make() -> Naq:
    app = Naq("shop", broker_url="memory:connect")

    @app.task(name="a", queue="mail")
    async def a() -> None: ...

    @app.task(name="b")
    async def b() -> None: ...

    del a, b
    return app


def test_nothing_is_opened_before_it_is_needed_and_then_once(made: list[Slow]) -> None:
    app = make()
    assert made == []

    async def main() -> None:
        backend = await app.connect()
        assert await app.connect() is backend
        assert app.backend is backend
        await app.close()

    asyncio.run(main())
    assert [one.opened for one in made] == [[["default", "mail"]]]
    assert made[0].closed == 1


def test_first_uses_at_the_same_time_share_one_opening(made: list[Slow]) -> None:
    app = make()

    async def main() -> None:
        backends = await asyncio.gather(*(app.connect() for _ in range(20)))
        assert len(set(map(id, backends))) == 1
        await app.close()

    asyncio.run(main())
    assert [len(one.opened) for one in made] == [1]


def test_one_who_gives_up_does_not_fail_the_others(made: list[Slow]) -> None:
    app = make()

    async def main() -> None:
        first = asyncio.create_task(app.connect())
        second = asyncio.create_task(app.connect())
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await second).health().ready
        await app.close()

    asyncio.run(main())
    assert made[0].closed == 1


def test_a_failed_opening_is_tried_again_also_on_another_loop(
    made: list[Slow], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Slow, "failures", 1)
    app = make()

    async def fails() -> None:
        with pytest.raises(NaqConnectionError):
            await app.connect()

    asyncio.run(fails())
    monkeypatch.setattr(Slow, "failures", 0)

    async def works() -> None:
        async with app:
            assert app.backend.health().ready

    asyncio.run(works())
    assert [one.closed for one in made] == [1, 1]


def test_a_second_loop_is_told_what_to_do() -> None:
    app = make()

    async def connect() -> None:
        await app.connect()

    asyncio.run(connect())
    with pytest.raises(ConfigurationError, match=r"another event loop \(which has ended\).*async with app:"):
        asyncio.run(connect())


def test_a_loop_of_another_thread_is_told_while_the_first_runs() -> None:
    app = make()
    errors: list[BaseException] = []

    def other() -> None:
        try:
            asyncio.run(app.connect())
        except ConfigurationError as error:
            errors.append(error)

    async def main() -> None:
        async with app:
            thread = threading.Thread(target=other)
            thread.start()
            await asyncio.to_thread(thread.join)

    asyncio.run(main())
    assert len(errors) == 1
    assert "which has ended" not in str(errors[0])


def test_after_close_any_loop_may_use_it_again(made: list[Slow]) -> None:
    app = make()

    async def use() -> None:
        async with app:
            await app.connect()

    asyncio.run(use())
    asyncio.run(use())
    assert [(len(one.opened), one.closed) for one in made] == [(1, 1), (1, 1)]


def test_close_is_idempotent_and_may_come_before_any_use(made: list[Slow]) -> None:
    app = make()

    async def main() -> None:
        await app.close()
        async with app:
            pass
        await app.close()
        await asyncio.gather(app.close(), app.close())

    asyncio.run(main())
    assert [one.closed for one in made] == [1]


def test_close_during_an_opening_waits_for_it_and_later_uses_open_anew(made: list[Slow]) -> None:
    app = make()

    async def main() -> None:
        opening = asyncio.create_task(app.connect())
        await asyncio.sleep(0)
        closing = asyncio.create_task(app.close())
        waiting = asyncio.create_task(app.connect())
        await asyncio.gather(opening, closing)
        assert (await waiting).health().ready
        await app.close()

    asyncio.run(main())
    assert [(len(one.opened), one.closed) for one in made] == [(1, 1), (1, 1)]


def test_an_error_in_the_block_passes_and_the_connection_is_closed(made: list[Slow]) -> None:
    app = make()

    async def main() -> None:
        async with app:
            raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(main())
    assert made[0].closed == 1

"""Connections without an app: one for a configuration and a loop, opened once, let go with the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import cast

import pytest

from naq import Config, ConfigurationError, Naq, NaqConnectionError, connections, sync
from naq.backends.base import Backend
from naq.backends.memory import MemoryBackend, connect
from naq.connections import Connection, on_bridge, settings, shared

_numbers = count()


class Counted(MemoryBackend):
    """A real backend that counts how often it is opened and closed, and may fail on the way."""

    failures = 0

    async def open(self, queues: Sequence[str] = (), *, wait: float | None = None) -> None:
        events.append("open")
        await asyncio.sleep(0.01)
        if Counted.failures:
            Counted.failures -= 1
            raise NaqConnectionError("not there")
        await super().open(queues, wait=wait)

    async def close(self) -> None:
        events.append("close")
        await super().close()


events: list[str] = []


@pytest.fixture(autouse=True)
def _counted(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:  # pyright: ignore[reportUnusedFunction]
    def from_url(config: Config) -> Backend:
        plain = cast("MemoryBackend", connect(config))
        return Counted(config, plain._store)  # pyright: ignore[reportPrivateUsage]

    monkeypatch.setattr(connections, "from_url", from_url)
    events.clear()
    Counted.failures = 0
    yield
    sync.stop()


def make() -> Connection:
    return Connection(Config(broker_url=f"memory:connections-{next(_numbers)}"))


def test_a_loop_opens_one_however_many_ask() -> None:
    connection = make()

    async def main() -> None:
        found = await asyncio.gather(*(connection.connect() for _ in range(5)))
        assert len(set(map(id, found))) == 1
        assert await connection.connect() is found[0]
        await connection.close()
        await connection.close()

    asyncio.run(main())
    assert events == ["open", "close"]


def test_each_loop_has_its_own_and_threads_share_that_of_the_bridge() -> None:
    connection = make()

    async def main() -> Backend:
        mine = await connection.connect()
        theirs = await asyncio.to_thread(sync.run, "", connection.connect)
        assert mine is not theirs
        await connection.close()
        assert theirs.health().ready
        return theirs

    theirs = asyncio.run(main())
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(sync.run, "", connection.connect) for _ in range(8)]
        assert {done.result() for done in asked} == {theirs}
    assert events == ["open", "open", "close"]
    sync.stop()
    assert events[-1] == "close"
    assert not theirs.health().ready


def test_one_that_could_not_be_opened_is_closed_and_tried_again() -> None:
    connection = make()
    Counted.failures = 1

    async def main() -> None:
        with pytest.raises(NaqConnectionError, match="not there"):
            await connection.connect()
        assert events == ["open", "close"]
        assert (await connection.connect()).health().ready
        await connection.close()

    asyncio.run(main())


def test_closing_while_it_opens_leaves_nothing_open() -> None:
    connection = make()

    async def main() -> None:
        opening = asyncio.create_task(connection.connect())
        await asyncio.sleep(0)
        second = asyncio.create_task(connection.connect())
        await asyncio.sleep(0)
        await connection.close()
        backends = [await opening, await second]
        await connection.close()
        assert [backend.health().ready for backend in backends] == [False, False]

    asyncio.run(main())
    assert events.count("open") == events.count("close")


def test_what_belonged_to_a_loop_that_ended_is_let_go() -> None:
    connection = make()
    for _ in range(3):
        asyncio.run(connection.connect())  # pyright: ignore[reportArgumentType]  # a coroutine, by another name

    async def main() -> int:
        await connection.connect()
        return len(connection._places)  # pyright: ignore[reportPrivateUsage]

    assert asyncio.run(main()) == 1


def test_one_configuration_is_one_connection() -> None:
    config = Config(broker_url=f"memory:connections-{next(_numbers)}")
    assert shared(config) is shared(Config(broker_url=config.broker_url))
    assert shared(config) is not shared(Config(broker_url=config.broker_url, namespace="other"))
    app = Naq("shop", broker_url=config.broker_url, namespace=config.namespace)
    assert on_bridge(app) is shared(config), "an app's sync calls go through the process's own connection"
    own = Connection(config)
    assert on_bridge(own) is own


def test_settings_are_read_again_when_the_environment_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAQ_NAMESPACE", "one")
    first = settings()
    assert settings() is first
    monkeypatch.setenv("NAQ_NAMESPACE", "two")
    assert settings().namespace == "two"
    assert settings("memory:elsewhere").broker_url == "memory:elsewhere"
    monkeypatch.setenv("NAQ_LEASE", "soon")
    with pytest.raises(ConfigurationError, match="NAQ_LEASE"):
        settings()

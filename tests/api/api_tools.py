"""A real server before a real broker, in threads of their own, and how tests talk to it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx

from naq import Naq
from naq.config import Config
from naq.config.server import ServerConfig
from naq.server.access import tokens
from naq.server.serve import Serving
from naq.server.store import open_store
from naq.worker import Worker

DEADLINE = 30.0  # seconds any single wait may take; reached only by a failure
LOOK = 0.02
FREE = {"rate": "1000000/60s", "rate_login": "1000/60s", "rate_enqueue": "1000000/60s", "rate_bulk": "100000/60s"}


def document() -> dict[str, Any]:
    """The API's document as it is committed; that it is the code's is a test of its own, and takes two seconds."""
    return json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text(encoding="utf-8"))


class Served:
    """A server that answers at `url`."""

    def __init__(self, url: str, serving: Serving, loop: asyncio.AbstractEventLoop) -> None:
        self.url, self.serving, self.loop = url, serving, loop
        self.core = serving.core

    @contextmanager
    def client(self, token: str | None = None, **headers: str) -> Generator[httpx.Client]:
        given = {**({"Authorization": f"Bearer {token}"} if token else {}), **headers}
        with httpx.Client(base_url=self.url, headers=given, timeout=DEADLINE, trust_env=False) as client:
            yield client

    def token(self, role: Any, *, name: str = "", ttl: float = 3600.0, queues: Collection[str] | None = None) -> str:
        """A new token, made where `naq tokens create` makes it: in the database."""

        async def make() -> str:
            store = await open_store(self.core.settings.database)
            try:
                async with store.writing() as connection:
                    text, _ = await tokens.make(
                        connection, name=name or f"a-{role}", role=role, by="test", ttl=ttl, queues=queues
                    )
                    return text
            finally:
                await store.close()

        return asyncio.run(make())


@contextmanager
def serving(config: Config, folder: Path, **settings: Any) -> Generator[Served]:
    """A server while the block runs; with broker and database, unless ``whole=False`` is among the settings."""
    whole = settings.pop("whole", True)
    given: dict[str, Any] = {"database": f"sqlite:///{folder}/server.db", "port": 0, "poll": 0.05, **FREE}
    one = Serving(config, ServerConfig(**(given | settings)))
    ready, loops = threading.Event(), list[asyncio.AbstractEventLoop]()

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        await one.run(lambda _: ready.set())

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="server")
    thread.start()
    try:
        assert ready.wait(DEADLINE), "the server did not start"
        parts = (one.core.broker, one.core.database) if whole else ()
        eventually(lambda: all(part.since is None for part in parts), "broker and database are there")
        yield Served(one.address, one, loops[0])
    finally:
        loops[0].call_soon_threadsafe(one.stop)
        thread.join(DEADLINE)
        assert not thread.is_alive(), "the server did not end"


@contextmanager
def working(app: Naq) -> Generator[Worker]:
    """A worker of `app` in a thread of its own."""
    worker = Worker(app)
    ready, loops = threading.Event(), list[asyncio.AbstractEventLoop]()

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        running = asyncio.ensure_future(worker.run())
        await worker.wait_ready()
        ready.set()
        await running

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="worker")
    thread.start()
    try:
        assert ready.wait(DEADLINE)
        yield worker
    finally:
        loops[0].call_soon_threadsafe(worker.stop)
        thread.join(DEADLINE)


def eventually(ask: Any, what: str = "the condition", *, within: float = DEADLINE) -> Any:
    """The first answer of `ask` that is true, within so many seconds."""
    end = time.monotonic() + within
    while not (answer := ask()):
        assert time.monotonic() < end, f"{what} did not come true in {within:g} s"
        time.sleep(LOOK)
    return answer


class Event(dict[str, Any]):
    """An event of a stream: `name`, `id`, and what it says."""

    name = ""
    id = ""


def events(response: httpx.Response) -> Iterator[Event]:
    """The events of a stream, comments left out: those come all the time, so that no timeout of the client ends it."""
    name, ident, data = "message", "", list[str]()
    end = time.monotonic() + DEADLINE
    for line in response.iter_lines():
        assert time.monotonic() < end, f"no event within {DEADLINE:g} s"
        if not line:
            if data:
                event = Event(json.loads("\n".join(data)))
                event.name, event.id = name, ident
                yield event
                end = time.monotonic() + DEADLINE
            name, data = "message", []
        key, _, value = line.partition(": ")
        match key:
            case "event":
                name = value
            case "id":
                ident = value
            case "data":
                data.append(value)
            case _:
                pass


def next_event(stream: Iterator[Event], name: str, **wanted: Any) -> Event:
    """The next one of this name that says what is wanted."""
    for event in stream:
        if event.name == name and all(event.get(key) == value for key, value in wanted.items()):
            return event
    raise AssertionError(f"the stream ended before {name} {wanted}")

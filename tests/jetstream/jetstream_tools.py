"""What the tests of this folder share: opened backends, NATS by hand, waiting, servers with any configuration."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Final, ParamSpec, cast

import nats
from msgspec import Raw

from naq import clock
from naq.backends.base import Claim
from naq.backends.nats.backend import NatsBackend
from naq.backends.nats.broker.binary import find_binary
from naq.backends.nats.broker.process import read_ports
from naq.config import Config
from naq.job import JobRecord, JobSpec, JobState, new_id

P = ParamSpec("P")

PATIENCE: Final = 20.0  # seconds; what is waited for takes far less, the rest is for a busy machine
PAYLOAD: Final = b'{"v":1,"task":"test.task","args":[1],"kwargs":{}}'
NS: Final = "default"
JOBS: Final = f"NAQ_{NS}_JOBS"

dial: Any = cast("Any", nats).connect  # nats-py's own types are not complete


def story(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """An async test as pytest runs it; its parameters are fixtures."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


@asynccontextmanager
async def opened(url: str, *queues: str, **config: Any) -> AsyncGenerator[NatsBackend]:
    """A backend on `url`, ready for `queues`; `config` are fields of `Config`."""
    backend = NatsBackend(Config(broker_url=url, **config))
    try:
        await backend.open(queues)
        yield backend
    finally:
        await backend.close()


async def until(condition: Callable[[], object], what: str, *, within: float = PATIENCE) -> None:
    """Return when `condition()` is true; fail saying `what` was waited for."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"waited {within:g} s for {what}"
        await asyncio.sleep(0.01)


async def eventually(condition: Callable[[], Awaitable[Any]], what: str, *, within: float = PATIENCE) -> Any:
    """The first truthy value of `condition()`; fail saying `what` was waited for."""
    deadline = time.monotonic() + within
    while not (found := await condition()):
        assert time.monotonic() < deadline, f"waited {within:g} s for {what}"
        await asyncio.sleep(0.01)
    return found


def job(queue: str, **fields: Any) -> JobSpec:
    """A job with an id of its own."""
    made: dict[str, Any] = {"id": new_id(), "payload": PAYLOAD, "queue": queue, "fresh": True}
    return JobSpec(**made | fields)


async def claim_one(backend: NatsBackend, queue: str, *, wait: float = PATIENCE) -> Claim:
    """One job of `queue`, claimed."""
    claims = await backend.fetch([queue], limit=1, lease=backend.config.lease, wait=wait)
    assert len(claims) == 1, f"no job came out of {queue} within {wait:g} s"
    return claims[0]


async def claim_all(backend: NatsBackend, queue: str, count: int) -> list[Claim]:
    """`count` jobs of `queue`, claimed."""
    claims: list[Claim] = []
    while len(claims) < count:
        more = await backend.fetch([queue], limit=count - len(claims), lease=backend.config.lease, wait=PATIENCE)
        assert more, f"{len(claims)} of {count} jobs came out, then no more"
        claims += more
    return claims


def succeeded(claim: Claim, worker: str = "w1", **fields: Any) -> JobRecord:
    """The final record of a claimed job."""
    spec = claim.job
    made: dict[str, Any] = {
        "id": spec.id, "state": JobState.SUCCEEDED, "queue": spec.queue, "priority": spec.priority, "task": "test.task",
        "run": spec.run, "attempt": spec.attempt, "delivered": claim.delivered, "result": Raw(b"42"), "worker": worker,
        "finished_at": clock.now(),
    }  # fmt: skip
    return JobRecord(**made | fields)


class Operator:
    """NATS by hand: what a person, or a program that is none of ours, does to the broker."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def ask(self, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer of the JetStream API to `subject` (behind ``$JS.API.``)."""
        payload = json.dumps(body).encode() if body is not None else b""
        return json.loads((await self.client.request(f"$JS.API.{subject}", payload, timeout=PATIENCE)).data)

    async def must(self, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The same; fails where the broker refuses."""
        answer = await self.ask(subject, body)
        assert "error" not in answer, answer["error"]
        return answer

    async def store(self, subject: str, payload: bytes = PAYLOAD, **headers: str) -> dict[str, Any]:
        """Publish to a stream; its PubAck. In names of `headers`, ``_`` stands for ``-``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.client.request(subject, payload, timeout=PATIENCE, headers=named or None)
        return json.loads(answer.data)

    async def consumer(self, name: str) -> dict[str, Any]:
        """The state of a consumer of JOBS."""
        return await self.must(f"CONSUMER.INFO.{JOBS}.{name}")

    async def stored(self, stream: str = JOBS) -> int:
        """How many messages a stream has."""
        return int((await self.must(f"STREAM.INFO.{stream}"))["state"]["messages"])

    async def update_consumer(self, name: str, **settings: Any) -> None:
        """Change settings of a consumer of JOBS."""
        config = (await self.consumer(name))["config"] | settings
        body = {"stream_name": JOBS, "config": config, "action": "update"}
        await self.must(f"CONSUMER.DURABLE.CREATE.{JOBS}.{name}", body)


@asynccontextmanager
async def operator(url: str, **options: Any) -> AsyncGenerator[Operator]:
    """A person at the broker."""
    client = await dial(url, connect_timeout=5, **options)
    try:
        yield Operator(client)
    finally:
        await client.close()


@contextmanager
def server_with(directory: Path, lines: str, *, port: int = -1) -> Generator[str]:
    """A server with any configuration, on a free port unless told; its URL."""
    ports = directory / "ports"
    ports.mkdir()
    config = directory / "nats.conf"
    config.write_text(f'listen: "127.0.0.1:{port}"\nports_file_dir: "{ports}"\nserver_name: odd\n{lines}\n')
    process = subprocess.Popen([find_binary().path, "-c", config, "-l", directory / "nats.log"])
    try:
        deadline = time.monotonic() + PATIENCE
        while (found := read_ports(ports / f"nats-server_{process.pid}.ports")) is None:
            assert process.poll() is None, (directory / "nats.log").read_text()
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.01)
        yield found.url
    finally:
        process.kill()
        process.wait()

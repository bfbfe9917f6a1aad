"""Liveness and readiness: answered beside the event loop, from what is known, without asking the broker."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from naq import ConfigurationError, Naq
from naq.backends.base import Health
from naq.worker import Worker, vitals
from naq.worker.flights import Flights
from naq.worker.health import listen, respond
from naq.worker.vitals import Report, Vitals
from tests.tools import DEADLINE, make_app, run, until, working

LOCAL = "127.0.0.1:0"


def fetch(port: int, path: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=DEADLINE) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


async def ask(worker: Worker, path: str) -> tuple[int, dict[str, Any]]:
    return await asyncio.to_thread(fetch, worker.health_port, path)


@asynccontextmanager
async def starting(app: Naq) -> AsyncGenerator[Worker]:
    """A worker that is not waited for."""
    worker = Worker(app, health=LOCAL)
    running = asyncio.create_task(worker.run())
    try:
        await until(lambda: worker.health_port, "it listens")
        yield worker
    finally:
        worker.stop()
        async with asyncio.timeout(DEADLINE):
            await running
        await app.close()


def test_a_worker_says_how_it_is() -> None:
    async def test() -> None:
        async with working(make_app(), health=LOCAL, concurrency=7) as worker:
            status, said = await ask(worker, "/ready")
            assert (status, said["ready"], said["live"]) == (200, True, True)
            assert (said["worker"], said["state"], said["concurrency"]) == (worker.id, "running", 7)
            assert said["loop_lag"] < 5
            assert (await ask(worker, "/live?verbose"))[0] == 200
            assert (await ask(worker, "/"))[0] == 404
            port = worker.health_port
        with pytest.raises(OSError, match="refused"):
            await asyncio.to_thread(fetch, port, "/live")

    run(test())


def test_a_worker_that_waits_for_its_broker_lives_but_is_not_ready() -> None:
    async def test() -> None:
        # Port 1 of loopback: nobody listens, and being refused takes no time.
        async with starting(make_app(broker_url="nats://127.0.0.1:1")) as worker:
            assert (await ask(worker, "/live"))[0] == 200
            status, said = await ask(worker, "/ready")
            assert (status, said["ready"]) == (503, False)

    run(test())


def test_a_blocked_loop_is_seen_from_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vitals, "UNREADY", 0.6)
    monkeypatch.setattr(vitals, "STUCK", 0.8)
    app = make_app()
    answers: list[tuple[int, str]] = []
    blocked, seen = threading.Event(), threading.Event()

    @app.task(name="block")
    async def block() -> None:
        blocked.set()
        seen.wait(DEADLINE)

    def look(port: int) -> None:
        assert blocked.wait(DEADLINE)
        while not answers or answers[-1][0] == 200:
            fetch(port, "/ready")
            answers.append((fetch(port, "/live")[0], fetch(port, "/ready")[1]["detail"]))
        seen.set()

    async def test() -> None:
        async with working(app, health=LOCAL) as worker:
            looking = asyncio.create_task(asyncio.to_thread(look, worker.health_port))
            await until(looking.get_coro)
            job = await block.enqueue()
            await job.result(timeout=DEADLINE)
            await looking
            assert (await ask(worker, "/ready"))[0] == 200, "it has come back"
        assert answers[0][0] == 200, "a blocked loop is not at once a dead one"
        assert answers[-1][0] == 503
        assert "event loop has been blocked" in answers[-1][1]

    run(test())


def test_clients_that_say_nothing_sensible_keep_nobody_waiting() -> None:
    async def test() -> None:
        async with working(make_app(), health=LOCAL) as worker:
            silent = socket.create_connection(("127.0.0.1", worker.health_port))
            endless = socket.create_connection(("127.0.0.1", worker.health_port))
            endless.sendall(b"GET /" + b"x" * 20_000)
            assert (await ask(worker, "/live"))[0] == 200
            endless.settimeout(DEADLINE)
            with suppress(ConnectionResetError):
                assert await asyncio.to_thread(endless.recv, 1) == b"", "too much is too much"
            silent.close()
            endless.close()

    run(test())


@pytest.mark.parametrize("address", ["", "http", "70000", "127.0.0.1", "-1", "nowhere.invalid:80"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="health"):
        listen(address)


def test_a_port_that_is_taken_is_refused_before_anything_runs() -> None:
    async def test() -> None:
        with listen(LOCAL) as taken:
            worker = Worker(make_app(), health=f"127.0.0.1:{taken.getsockname()[1]}")
            with pytest.raises(ConfigurationError, match="choose another --health-port"):
                await worker.run()

    run(test())


def test_every_interface_is_the_default() -> None:
    with listen("0") as listening, socket.create_connection(("127.0.0.1", listening.getsockname()[1])):
        pass


@pytest.mark.parametrize(
    ("request_line", "status", "has_body"),
    [
        (b"GET /live HTTP/1.1", b"200 OK", True),
        (b"HEAD /live HTTP/1.1", b"200 OK", False),
        (b"GET /ready HTTP/1.0", b"503 Service Unavailable", True),
        (b"GET /ready/?a=b HTTP/1.1", b"503 Service Unavailable", True),
        (b"POST /live HTTP/1.1", b"405 Method Not Allowed", True),
        (b"GET /live/x HTTP/1.1", b"404 Not Found", True),
        (b"", b"405 Method Not Allowed", True),
    ],
)
def test_responses(request_line: bytes, status: bytes, has_body: bool) -> None:
    reply = respond(request_line + b"\r\n\r\n", lambda: Report(live=True, ready=False, detail="no broker"), dict)
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert bool(body) is has_body
    if has_body:
        assert f"Content-Length: {len(body)}".encode() in head


def test_readiness_needs_all_of_it() -> None:
    async def test() -> None:
        await asyncio.sleep(0)
        known = Vitals("me", concurrency=1, lease=0.0)
        assert known.report().detail == "not open"
        health = Health(ready=True, detail="connected")
        known.watch(lambda: health, Flights())
        assert known.report().detail == "the worker is starting"
        known.state = "running"
        assert known.report().ready
        known.state = "stopping"
        assert not known.report().ready
        health = Health(ready=False, detail="nothing heard")
        assert known.report().detail == "nothing heard"

    run(test())

"""Health checks while the broker is away: they are answered from what the worker knows, so nobody waits for them."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from rig.fleet import SETTINGS, Rig, story

from naq.backends.nats.broker.ports import free_ports

pytestmark = pytest.mark.faults

UNREADY = 15.0  # seconds of an outage within which a worker says that it is not ready (K)
READY = 5.0  # seconds after it within which it is ready again (K)
ANSWER = 5.0  # seconds that an answer may take on a busy machine; a question to the broker would take 10 and more
PATIENCE = 30.0  # seconds to come up


def probe(port: int, path: str) -> tuple[int, dict[str, Any]]:
    """What is answered, and with which status; 0 where nobody listens yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=ANSWER) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionRefusedError):
            return 0, {}
        raise


async def ready_is(port: int, status: int, *, within: float) -> dict[str, Any]:
    """Ask until `/ready` has `status`; `/live` must be 200 all the while, and every answer in time."""
    deadline = time.monotonic() + within
    while True:
        code, said = await asyncio.to_thread(probe, port, "/ready")
        if code == status:
            return said
        assert time.monotonic() < deadline, f"/ready is {code} after {within:g} s: {said}"
        if code:
            assert (await asyncio.to_thread(probe, port, "/live"))[0] == 200
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("processes", ["0", "2"])
@story
async def test_health_checks_never_ask_the_broker(rig: Rig, processes: str) -> None:
    """Faults 34 and 37, from outside: a broker that is frozen, then killed, makes a worker unready and never dead."""
    (port,) = free_ports(1)
    command = ("worker", "rig.serving:app", "--processes", processes, "--health-port", f"127.0.0.1:{port}")
    worker = rig._start("naq", command, {**SETTINGS, "NAQ_BROKER_URL": rig.url})  # pyright: ignore[reportPrivateUsage]
    await ready_is(port, 200, within=PATIENCE)
    rig.server.pause()
    said = json.dumps(await ready_is(port, 503, within=UNREADY + ANSWER))
    assert "nothing heard from" in said or "no connection to" in said  # who hears nothing hangs up
    rig.server.resume()
    await ready_is(port, 200, within=READY + ANSWER)
    rig.server.kill()
    said = await ready_is(port, 503, within=ANSWER)
    assert "no connection to" in json.dumps(said)
    rig.server.start()
    await ready_is(port, 200, within=READY + ANSWER)
    await rig.stop(worker)

"""The same app on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import pytest
from market import app, double, flaky, send, sign_up

import naq
from naq import ConfigurationError, Naq
from naq.backends.nats.broker.process import ServerProcess
from naq.testing import FakeClock, on_server
from naq.testing.broker import bundled_server

DEADLINE = 30.0
PATIENT: Any = {"connect_timeout": DEADLINE, "publish_timeout": DEADLINE}  # the app itself is not, for other tests


@pytest.fixture(scope="module")
def server() -> Generator[ServerProcess]:
    with bundled_server() as running:
        yield running


def test_jobs_run_in_a_real_worker(server: ServerProcess) -> None:
    with on_server(app, server.url, **PATIENT) as jobs, jobs.worker():
        assert sign_up.enqueue_sync("ann").result_sync(DEADLINE) == "ann"

        async def test() -> int:
            async with app:
                return await (await send.enqueue("a@b")).result(DEADLINE)

        assert asyncio.run(test()) == 3
        jobs.assert_enqueued(send, args={"to": "ann@b"}, delay=3600)
        jobs.assert_enqueued(send, args={"to": "a@b"}, delay=0)


def test_each_has_a_namespace_of_its_own_unless_it_is_told(server: ServerProcess) -> None:
    with on_server(app, server.url, **PATIENT) as one:
        assert not send.options(job_id="same").enqueue_sync("a@b").duplicate
    with on_server(app, server.url, **PATIENT, namespace="shared-by-two") as two:
        assert not send.options(job_id="same").enqueue_sync("a@b").duplicate
        assert one.config.namespace != two.config.namespace == "shared-by-two"
    with on_server(app, server.url, **PATIENT, namespace="shared-by-two"):
        assert send.options(job_id="same").enqueue_sync("a@b").duplicate


def test_functions_without_an_app(server: ServerProcess) -> None:
    with on_server(None, server.url, **PATIENT) as jobs:
        job = naq.enqueue_sync(double, 4)
        jobs.assert_enqueued(double, args=(4,))
        with jobs.worker(imports=["market"]):
            assert job.result_sync(DEADLINE) == 8


def test_what_a_server_cannot_do_says_what_can(server: ServerProcess) -> None:
    with on_server(app, server.url, **PATIENT) as jobs:
        flaky.enqueue_sync(1)
        with pytest.raises(ConfigurationError, match=r"jobs\.worker"):
            jobs.drain_sync()
        with pytest.raises(ConfigurationError, match="its clock is its own"):
            jobs.clock.advance(1)
        with pytest.raises(ConfigurationError, match="inline"):
            jobs.inline = True
    with FakeClock(), pytest.raises(ConfigurationError, match="does not rule"), on_server(app, server.url, **PATIENT):
        pass


def test_logins_of_production_are_not_used(server: ServerProcess) -> None:
    own = Naq("login", broker_url="nats://production:4222", user="root", password="secret", tls_ca="/no/such/file")

    @own.task(name="any")
    def any_task() -> None: ...

    with on_server(own, server.url, **PATIENT) as jobs:
        any_task.enqueue_sync()
        jobs.assert_enqueued(any_task)
        assert "production" not in jobs.config.broker_url

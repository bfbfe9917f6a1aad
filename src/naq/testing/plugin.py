"""The pytest plugin: fixtures for testing code that uses naq (docs/testing.md). Loaded wherever naq is installed.

Whatever costs time is imported by the fixture that needs it: a run that uses none pays next to nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.backends.nats.broker.process import ServerProcess
    from naq.testing.clock import FakeClock
    from naq.testing.sandbox import Sandbox

_FIXTURES = "naq_"  # what the names of ours begin with
_PATIENCE = (
    5.0  # seconds until a call to a broker that is down gives up; in production, unless set, it is three times that
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The setting `naq_app`."""
    parser.addini("naq_app", "the app that the fixtures of naq put under test: 'module:attribute'", default="")


@pytest.hookimpl
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test that uses a fixture of naq, where no other plugin has taken it by now."""
    test = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test) or not any(name.startswith(_FIXTURES) for name in pyfuncitem.fixturenames):
        return None
    import asyncio

    from naq.connections import close_all

    given = {name: pyfuncitem.funcargs[name] for name in inspect.signature(test).parameters}

    async def run() -> None:
        try:
            await test(**given)
        finally:
            await close_all()

    asyncio.run(run())
    return True


@pytest.fixture
def naq_app(request: pytest.FixtureRequest) -> Naq:
    """The app under test: the one that `naq_app` in pytest's settings names, else a new one.

    Or define a fixture of this name in your conftest.py that returns yours.
    """
    where: str = request.config.getini("naq_app")
    if where:
        from naq.worker.loader import load_app

        return load_app(where)
    from naq.app import Naq

    return Naq("test")


@pytest.fixture
def naq_jobs(naq_app: Naq, request: pytest.FixtureRequest) -> Generator[Sandbox]:
    """`naq_app` with its jobs in memory: a `naq.testing.Sandbox`, made by `naq.testing.override`."""
    from naq.testing.overriding import override

    _clock_first(request)
    with override(naq_app) as jobs:
        yield jobs


@pytest.fixture
def naq_inline(naq_jobs: Sandbox) -> Sandbox:
    """`naq_jobs`, each job run as it is enqueued."""
    naq_jobs.inline = True
    return naq_jobs


@pytest.fixture
def naq_functions(request: pytest.FixtureRequest) -> Generator[Sandbox]:
    """Code without an app (`naq.enqueue`, `naq.Queue`, ...) with its jobs in memory: a `naq.testing.Sandbox`."""
    from naq.testing.overriding import override

    _clock_first(request)
    with override() as jobs:
        yield jobs


@pytest.fixture
def naq_clock() -> Generator[FakeClock]:
    """The time that jobs go by, standing still at the moment the test began: a `naq.testing.FakeClock`."""
    from naq.testing.clock import FakeClock

    with FakeClock(None) as clock:
        yield clock


@pytest.fixture(scope="session")
def naq_server() -> Generator[ServerProcess]:
    """A NATS server on a free port, one for the whole run. Needs ``naq[dev]``, or a nats-server on the path."""
    from naq.testing.broker import bundled_server

    with bundled_server() as server:
        yield server


@pytest.fixture
def naq_broker(naq_app: Naq, naq_server: ServerProcess) -> Generator[Sandbox]:
    """`naq_app` with its jobs on `naq_server`, in a namespace of the test's own: a `naq.testing.Sandbox`."""
    from naq.testing.overriding import on_server

    with on_server(naq_app, naq_server.url, connect_timeout=_PATIENCE, publish_timeout=_PATIENCE) as jobs:
        yield jobs


def _clock_first(request: pytest.FixtureRequest) -> None:
    """The jobs go by the test's clock, in whichever order it asks for the two."""
    if "naq_clock" in request.fixturenames:
        request.getfixturevalue("naq_clock")

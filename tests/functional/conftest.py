"""Every test of this folder has a place for jobs that no other sees: in memory, or on a real server."""

from __future__ import annotations

from collections.abc import Generator
from itertools import count

import given_jobs
import pytest

import naq
from naq.testing.broker import bundled_server

_numbers = count(1)


@pytest.fixture(scope="package")
def server() -> Generator[str]:
    with bundled_server() as running:
        yield running.url


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:  # pyright: ignore[reportUnusedFunction]
    """A namespace of its own in a memory store of its own; what the test leaves open is closed."""
    number = next(_numbers)
    monkeypatch.setenv("NAQ_BROKER_URL", f"memory:functional-{number}")
    monkeypatch.setenv("NAQ_NAMESPACE", f"functional-{number}")
    given_jobs.failures.clear()
    given_jobs.runs.clear()
    given_jobs.release.clear()
    yield
    given_jobs.release.set()
    naq.disconnect_sync()


@pytest.fixture(params=["memory", "nats"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the jobs of the test live; it runs once on each backend."""
    if request.param == "nats":
        monkeypatch.setenv("NAQ_BROKER_URL", request.getfixturevalue("server"))
    return request.param

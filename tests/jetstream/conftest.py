"""One server for the tests of a file that leave it as it is, and one for each test that breaks it."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from naq.backends.nats.broker.process import ServerProcess
from naq.testing.broker import bundled_server


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Generator[ServerProcess]:
    """A server that nobody breaks."""
    with bundled_server(tmp_path_factory.mktemp("shared")) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Generator[ServerProcess]:
    """A server to kill, to freeze or to fill."""
    with bundled_server(tmp_path / "server") as server:
        try:
            yield server
        finally:
            server.resume()

"""A broker, a worker and a server for each file: one that outlived its file would see the clocks that others set."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from api_tools import Served, serving, working

from naq import Naq
from naq.config import Config
from naq.testing.broker import bundled_server


@pytest.fixture(scope="module")
def broker() -> Generator[str]:
    with bundled_server() as server:
        yield server.url


@dataclass
class Address:
    city: str


@dataclass
class Order:
    id: int
    to: Address


def make_tasks(app: Naq) -> None:
    async def add(a: int, b: int = 1, password: str = "") -> dict[str, Any]:
        return {"sum": a + b, "secret": "hunter2"}

    def fail(why: str) -> None:
        raise ValueError(why)

    async def ship(order: Order) -> str:
        return order.to.city

    async def guard(n: int, password: str) -> str:
        if n == 1:
            raise ValueError(n)
        return password[::-1]

    app.task(name="shop.ship", queue="ships")(ship)
    app.task(name="shop.guard")(guard)
    app.task(name="shop.add")(add)
    app.task(name="shop.fail")(fail)


@pytest.fixture(scope="module")
def app(broker: str) -> Naq:
    app = Naq("api", broker_url=broker, namespace="api")
    make_tasks(app)
    return app


@pytest.fixture(scope="module")
def worker(app: Naq) -> Generator[Any]:
    with working(app) as one:
        yield one


@pytest.fixture(scope="module")
def served(broker: str, worker: Any, tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    """A server without access control, a worker that serves queue default."""
    folder: Path = tmp_path_factory.mktemp("server")
    with serving(Config(broker_url=broker, namespace="api"), folder) as one:
        yield one


@pytest.fixture(scope="module")
def guarded(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    """A server that asks for tokens."""
    folder = tmp_path_factory.mktemp("guarded")
    config = Config(broker_url=broker, namespace="guarded")
    with serving(config, folder, auth="tokens", admin_password="a long password") as one:
        yield one


@pytest.fixture
def client(served: Served) -> Generator[httpx.Client]:
    with served.client() as one:
        yield one

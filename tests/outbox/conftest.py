"""A database for each test that asks for one."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from outbox_tools import Place, make_place


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Place]:
    """Each database in turn."""
    with make_place(request.param, tmp_path) as place:
        yield place


@pytest.fixture
def file(tmp_path: Path) -> Generator[Place]:
    """SQLite, for what is not about the database."""
    with make_place("sqlite", tmp_path) as place:
        yield place

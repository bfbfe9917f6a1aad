from __future__ import annotations

from collections.abc import Iterator

import pytest

from naq import sync
from naq.connections import close_all


@pytest.fixture(scope="module", autouse=True)
def _closed(url: str) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    """What sync calls have opened is closed, before the server ends."""
    yield
    sync.run("", close_all)

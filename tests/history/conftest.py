from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from history_tools import DIALECTS, make_url


@pytest.fixture(params=DIALECTS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """An empty database of each kind."""
    with make_url(request.param, tmp_path) as made:
        yield made

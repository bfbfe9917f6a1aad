"""The sample app starts each test with nothing done."""

from __future__ import annotations

import market
import pytest


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    market.ran.clear()

"""A world for each fault test; everything in it ends with the test."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from rig.fleet import Rig

from naq.testing.broker import bundled_server


@pytest.fixture
def rig(tmp_path: Path) -> Generator[Rig]:
    with bundled_server(tmp_path / "broker") as server:
        rig = Rig(tmp_path, server)
        try:
            yield rig
        finally:
            rig.close()

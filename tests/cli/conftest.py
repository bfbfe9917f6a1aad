from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.cli_tools import TASKS, Naqs, running_worker


@pytest.fixture
def naq(url: str, tmp_path: Path) -> Naqs:
    """The command line in a folder with an app, in a namespace of its own."""
    (tmp_path / "tasks.py").write_text(TASKS)
    return Naqs(url, tmp_path)


@pytest.fixture
def worker(naq: Naqs) -> Iterator[Naqs]:
    """The same, with a worker that runs."""
    with running_worker(naq):
        yield naq

"""What importing naq costs. In CPU seconds and the best of several, so that a busy machine does not make it fail."""

from __future__ import annotations

import subprocess
import sys

import pytest

resource = pytest.importorskip("resource", reason="Windows does not say what a child process took")
LIMIT = 0.060  # CPU seconds over a bare Python
RUNS = 7


def cpu_seconds(statement: str) -> float:
    """The least CPU time that a Python took to run `statement` and end; compiled files are warm after the first."""
    taken: list[float] = []
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", statement], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken)


def test_importing_naq_is_quick() -> None:
    assert cpu_seconds("import naq") - cpu_seconds("pass") < LIMIT

"""The functional examples run as their docstrings say, on an embedded broker, and print what these say they print."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "functional"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py"))
DEADLINE = 60  # seconds; each takes two


def said(script: Path) -> str:
    return ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""


def environment() -> dict[str, str]:
    """Without the settings of this folder's tests: the examples bring their own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("NAQ_")}


@contextmanager
def worker(doc: str, folder: Path) -> Generator[None]:
    """The worker that the docstring starts, if it does; stopped in order at the end."""
    lines = [line.split() for line in doc.splitlines() if line.startswith("    naq worker")]
    if not lines:
        yield
        return
    log = folder / "worker.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", *lines[0]]
        process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=out, stderr=out)
    try:
        yield
        process.terminate()
        assert process.wait(DEADLINE) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_prints_what_it_says(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "functional"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns(".naq", "__pycache__"))
    doc = said(folder / name)
    promised = dedent(doc.partition("Prints:\n")[2]).strip("\n")
    assert promised
    with worker(doc, folder):
        done = subprocess.run(
            [sys.executable, "-W", "error", name],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
    assert (done.stdout.strip("\n"), done.stderr) == (promised, "")

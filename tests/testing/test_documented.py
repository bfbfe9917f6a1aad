"""docs/testing.md and examples/testing: what they show is run, and what they list is what there is."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from naq.testing import Sandbox, plugin
from naq.testing.asking import Asked

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_example_passes(tmp_path: Path) -> None:
    folder = shutil.copytree(
        ROOT / "examples" / "testing", tmp_path / "testing", ignore=shutil.ignore_patterns("__pycache__")
    )
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", plugin.__name__, "-q", "-W", "error"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{_tests(folder)} passed" in done.stdout


def _tests(folder: Path) -> int:
    return len(
        re.findall(r"^(?:async )?def test_", (folder / "test_shop.py").read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_code_that_is_shown_is_a_part_of_the_example() -> None:
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "examples" / "testing").glob("*.py")]
    blocks = PYTHON.findall(PAGE)
    assert len(blocks) >= 8
    for block in blocks:
        for part in block.rstrip("\n").split("\n\n\n"):
            assert any(part in text for text in files), part


def test_every_fixture_question_and_option_is_on_the_page() -> None:
    fixtures = [name for name in vars(plugin) if name.startswith("naq_")]
    assert len(fixtures) == 7
    for name in [*fixtures, *Asked.__annotations__]:
        assert f"`{name}`" in PAGE, name
    for name in list(inspect.signature(Sandbox.drain).parameters)[1:]:
        assert f"`{name}" in PAGE, name
    for name in (name for name, value in vars(Sandbox).items() if callable(value) and name[0] != "_"):
        assert f"{name}(" in PAGE or name in {"before", "after", "opened"}, name

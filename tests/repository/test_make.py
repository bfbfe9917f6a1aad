"""Bare ``make`` says what it can do, and every target it names, and the documents name, exists."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="missing: make; apt-get install make")


def make(*arguments: str) -> str:
    """What make prints; a make that runs the tests would have it name the folder it is in."""
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def targets() -> set[str]:
    """The targets that bare make prints, each with what it does."""
    lines = make().splitlines()
    found = {match[1]: match[2] for line in lines if (match := re.match(r"^  make ([a-z-]+) +(\S.*)$", line))}
    assert len(found) == len(lines), lines
    return set(found)


def test_bare_make_prints_every_target_and_changes_nothing() -> None:
    source = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = next(line for line in source.splitlines() if line.startswith(".PHONY:")).split()[1:]
    assert targets() == set(phony)
    assert {"setup", "demo", "test", "check"} <= targets()


def test_every_target_that_a_document_names_exists() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/guarantees.md", "examples/README.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        commands = re.findall(r"`make ([a-z-]+)", text)
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            commands += re.findall(r"^make ([a-z-]+)", block, re.MULTILINE)
        assert set(commands) <= targets(), name


def test_check_is_everything_that_a_machine_can_see() -> None:
    said = make("--dry-run", "--always-make", "check")
    for tool in ("ruff format --check", "ruff check", "basedpyright", "lint-imports", "tools/sizes.py"):
        assert tool in said

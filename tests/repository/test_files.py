"""What must hold of every file in the repository."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Where this very machine keeps things, and where packages come from: neither is anybody else's business. Put together
# here, so that this file does not contain them.
FOREIGN = re.compile(
    "|".join(
        [
            "/(?:" + r"home|root|Users)/[\w.-]+",
            r"/opt/" + "pypi",
            r"/work/" + "(?:main|shared)",
            r"https?://[^\s\"'<>)]*" + r"\.(?:whl|tgz|tar\.gz)",
            r"(?:index|extra-index)-url",
            r"https?://(?:[\w-]+\.)*" + r"(?:pypi|pythonhosted|npmjs)\.\w+",
        ]
    )
)
LEFT_OPEN = re.compile(r"\b(?:TO" + "DO|FIX" + r"ME|XX" + r"X)\b")


def tracked() -> list[Path]:
    """Files that are committed, or would be by `git add -A`."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [path for name in sorted(set(listed)) if (path := ROOT / name).is_file()]


def found(pattern: re.Pattern[str]) -> list[str]:
    """``file:line: text`` of every line that `pattern` matches."""
    lines: list[str] = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or the like
        lines += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:160]}"
            for number, line in enumerate(text.splitlines(), 1)
            if pattern.search(line)
        ]
    return lines


def test_no_file_knows_a_machine_or_a_package_registry() -> None:
    assert found(FOREIGN) == []


def test_nothing_is_left_open() -> None:
    assert found(LEFT_OPEN) == []


def test_the_patterns_find_what_they_are_for() -> None:
    for line in ("/" + "home/ada/naq", "/" + "root/x", "https://host/naq-1" + ".whl", "--index" + "-url http://x"):
        assert FOREIGN.search(line), line
    assert not FOREIGN.search("see /usr/bin/env and https://www.w3.org/TR/trace-context")


def test_the_licence_is_there_and_is_the_one_that_the_package_names() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert licence.startswith("MIT License")
    assert "Copyright (c)" in licence
    assert 'license = "MIT"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_the_documents_are_there(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) > 20

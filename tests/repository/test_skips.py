"""A test that was skipped because something is missing fails the run in CI, and only there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
MISSING = "missing: redis; pip install redis"
TESTS = {
    "mark": f"import pytest\n@pytest.mark.skip(reason={MISSING!r})\ndef test_it(): ...\n",
    "call": f"import pytest\ndef test_it(): pytest.skip({MISSING!r})\n",
    "fixture": f"import pytest\n@pytest.fixture\ndef it(): pytest.skip({MISSING!r})\ndef test_it(it): ...\n",
    "module": f"import pytest\npytest.skip({MISSING!r}, allow_module_level=True)\n",
    "importorskip": f"import pytest\npytest.importorskip('no_such_module', reason={MISSING!r})\n",
}
OPTIONS = ["-p", "no:cacheprovider", "-ra", "--continue-on-collection-errors"]
OTHER = "import pytest\n@pytest.mark.skip(reason='Windows has no signals')\ndef test_it(): ...\n"


def run(folder: Path, tests: dict[str, str], *options: str, ci: bool) -> subprocess.CompletedProcess[str]:
    """What pytest makes of `tests` (a file each, by name) under this repository's conftest."""
    (folder / "conftest.py").write_bytes(CONFTEST.read_bytes())
    for name, test in tests.items():
        (folder / f"test_{name}.py").write_text(test, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "NAQ_"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, *options, "--rootdir", str(folder), str(folder)],
        cwd=folder,
        env={**environment, "NAQ_CI": "1" if ci else "0", "PYTHONPATH": str(CONFTEST.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "two processes"])
def test_in_ci_a_missing_component_is_a_failure_that_says_which(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = run(tmp_path, TESTS, *options, ci=True)
    assert done.returncode not in {0, 5}, done.stdout
    for name in TESTS:
        assert re.search(rf"test_{name}\.py\S* was skipped in CI: {MISSING}", done.stdout), done.stdout
    assert "skipped" not in done.stdout.splitlines()[-1]


def test_elsewhere_it_is_a_skip(tmp_path: Path) -> None:
    done = run(tmp_path, TESTS, ci=False)
    assert done.returncode == 0, done.stdout
    assert f"{len(TESTS)} skipped" in done.stdout.splitlines()[-1]
    assert MISSING in done.stdout


def test_what_a_platform_cannot_do_is_no_missing_component(tmp_path: Path) -> None:
    done = run(tmp_path, {"other": OTHER}, ci=True)
    assert done.returncode == 0, done.stdout

"""The page that tells third parties how to prove a backend: what it says is true."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from naq.backends.base import Entries, EventLog, JobAdmin, JobQueue, Registry, Signals
from naq.testing import conformance

PAGE = (Path(__file__).parents[2] / "docs" / "backends.md").read_text(encoding="utf-8")


def test_the_example_runs_where_only_pytest_is(tmp_path: Path) -> None:
    [example] = [code for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "MyHarness" in code]
    (tmp_path / "test_mine.py").write_text(example.replace('"mystore:"', '"memory:mine"'), encoding="utf-8")
    (tmp_path / "mystore.py").write_text("from naq.backends.memory import connect\n", encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-k",
            "TestEnqueue or TestRefused",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d\d passed", done.stdout)


def test_every_method_of_the_seam_is_on_the_page() -> None:
    for protocol in (JobQueue, JobAdmin, EventLog, Registry, Entries, Signals):
        [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{protocol.__name__}`")]
        named = set(re.findall(r"`(\w+)`", row)) - {protocol.__name__}
        assert named == {name for name in vars(protocol) if callable(vars(protocol)[name]) and name[0] != "_"}


def test_every_group_is_exported_and_on_the_page() -> None:
    groups = {name for name in vars(conformance) if name.startswith("Test")}
    assert groups <= set(conformance.__all__)
    assert groups == set(re.findall(r"`(Test\w+)`", PAGE))

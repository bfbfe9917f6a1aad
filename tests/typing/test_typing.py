"""The types are part of the surface: what must be right is, and what must be wrong is an error on exactly its line."""

import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MARK = re.compile(r"# error: ([A-Za-z]+(?:, [A-Za-z]+)*)")
Found = Counter[tuple[str, int, str]]


def check(*arguments: str) -> list[dict[str, Any]]:
    """The errors and warnings that the type checker reports."""
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] > 0, done.stderr
    return report["generalDiagnostics"]


def test_lines_that_must_fail_fail_and_no_others_do() -> None:
    reported: Found = Counter(
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1, each.get("rule", ""))
        for each in check("--project", str(HERE / "negative"))
    )
    expected: Found = Counter(
        (path.name, number, rule)
        for path in sorted((HERE / "negative").glob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if (mark := MARK.search(line))
        for rule in mark[1].split(", ")
    )
    assert len(expected) > 50
    assert {"not reported": expected - reported, "not expected": reported - expected} == {
        "not reported": Counter(),
        "not expected": Counter(),
    }


def test_what_users_write_is_clean() -> None:
    assert check(str(HERE / "positive.py"), str(HERE / "positive_workflows.py")) == []


def test_what_users_write_can_be_declared() -> None:
    spec = importlib.util.spec_from_file_location("positive", HERE / "positive.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(module.app.tasks) == {"positive.charge", "positive.remind", "typing.tick", "positive.many"} | {
        "positive.patient"
    }

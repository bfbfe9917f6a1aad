"""Every example runs with a real worker on an embedded broker, and prints what it says it prints."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from tests.dev.dev_tools import running_dev

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py"))
TIMEOUT = 60  # seconds; each takes two


def promised(script: Path) -> str:
    """What the docstring of `script` says that it prints."""
    said = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
    return dedent(said.partition("Prints:\n")[2]).strip("\n")


@contextmanager
def worker(target: str, folder: Path, *, log: Path) -> Generator[subprocess.Popen[bytes]]:
    """``naq worker TARGET`` in `folder`, stopped in order at the end."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "naq", "worker", target],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        yield process
        process.terminate()
        assert process.wait(TIMEOUT) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def run(program: str, folder: Path, *, log: Path) -> str:
    """What ``python PROGRAM`` prints in `folder`."""
    done = subprocess.run(
        [sys.executable, program], cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert done.returncode == 0, f"{done.stderr}\nthe worker said:\n{log.read_text()}"
    return done.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_prints_what_it_says(name: str, tmp_path: Path) -> None:
    script, log = EXAMPLES / name, tmp_path / "worker.log"
    assert promised(script), f"the docstring of examples/{name} must end with 'Prints:' and what it prints"
    with worker(str(script), tmp_path, log=log):
        assert run(str(script), tmp_path, log=log).strip("\n") == promised(script)


@pytest.mark.parametrize("name", sorted(path.name for path in (EXAMPLES / "server").glob("*.py")))
def test_an_example_with_a_server_of_its_own_prints_what_it_says(name: str, tmp_path: Path) -> None:
    script, log = EXAMPLES / "server" / name, tmp_path / "none.log"
    log.touch()
    assert promised(script)
    assert run(str(script), tmp_path, log=log).strip("\n") == promised(script)


@pytest.mark.parametrize("name", sorted(path.name for path in (EXAMPLES / "monitoring").iterdir()))
def test_dashboards_and_rules_ask_for_numbers_that_there_are(name: str) -> None:
    page = (EXAMPLES.parent / "docs" / "observability.md").read_text(encoding="utf-8")
    listed = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `naq_")}
    text = (EXAMPLES / "monitoring" / name).read_text(encoding="utf-8")
    asked = set(re.findall(r"\bnaq_[a-z_]+", text))
    assert asked
    assert {one.removesuffix("_bucket") for one in asked} <= listed
    if name.endswith(".json"):
        json.loads(text)


def test_the_quickstart_of_the_readme_greets_the_world(tmp_path: Path) -> None:
    """Its commands: ``naq dev --new`` writes the file that is shown, and ``python main.py`` finds its broker."""
    log = tmp_path / "dev.log"
    (tmp_path / "main.py").write_bytes((EXAMPLES / "quickstart" / "main.py").read_bytes())
    with running_dev(tmp_path, "--new") as dev:
        dev.see('"Hello, world!"')
        assert (tmp_path / "tasks.py").read_text() == (EXAMPLES / "quickstart" / "tasks.py").read_text()
        log.write_text(dev.text)
        assert run("main.py", tmp_path, log=log) == "Hello, world!\n"
        assert dev.end() == 0


def test_the_index_lists_every_example_and_nothing_else() -> None:
    index = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    there = {path.name for path in EXAMPLES.iterdir() if path.name not in {"README.md", "__pycache__", ".naq"}}
    assert {line.split("](")[1].split(")")[0] for line in index.splitlines() if line.startswith("| [")} == there

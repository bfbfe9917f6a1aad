"""What the documents say is so: links lead somewhere, paths exist, code is code that runs, diagrams are the tables."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent, indent

import pytest

from naq.job import FINAL, TRANSITIONS, JobState

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "examples/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
)
# Pages whose every Python block must be a part of an example; code in the others is held by tests of their own.
SHOWN = [
    *("README.md", "docs/index.md", "docs/guarantees.md", "docs/security.md", "docs/architecture.md"),
    *("docs/callbacks.md", "docs/executors.md", "docs/limits.md", "docs/middleware.md", "docs/logging.md"),
    *("docs/alerts.md", "docs/pickle.md", "docs/schedules.md", "docs/workflows.md", "docs/versions.md"),
]
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """The headings of `page`, as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(name: str) -> list[str]:
    """Links of a document that lead nowhere in the repository."""
    wrong: list[str] = []
    for link in LINK.findall(re.sub(r"```.*?```", "", read(name), flags=re.DOTALL)):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    assert broken(name) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_tests_that_are_named_exist(name: str) -> None:
    named = set(re.findall(r"`(test_\w+)`", read(name)))
    if named:
        tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
        assert {test for test in named if f"def {test}(" not in tests} == set()


def test_the_index_lists_every_page() -> None:
    listed = set(LINK.findall(read("docs/index.md")))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - listed == {"index.md"}


@pytest.mark.parametrize("name", SHOWN)
def test_python_that_is_shown_is_a_part_of_an_example(name: str) -> None:
    examples = [path.read_text(encoding="utf-8") for path in (ROOT / "examples").rglob("*.py")]
    for block in PYTHON.findall(read(name)):
        code = dedent(block)
        whole = [indent(code, " " * depth) for depth in (0, 4, 8)]
        assert any(part in example for example in examples for part in whole), f"in no example: {code}"


def test_the_readme_shows_both_files_of_the_quickstart() -> None:
    blocks = PYTHON.findall(read("README.md"))
    for file in ("tasks.py", "main.py"):
        assert read(f"examples/quickstart/{file}") in blocks


def test_every_module_that_the_architecture_names_exists() -> None:
    text = read("docs/architecture.md").partition("## Layers")[2]
    for row in re.findall(r"^\| .* \| (.*) \|$", text, re.MULTILINE):
        folder = ""
        for name in re.findall(r"`((?:[\w]+/)*[\w]+(?:\.py|/))`", row):
            places = [ROOT / "src" / "naq" / name, ROOT / "src" / "naq" / folder / name]
            assert any(place.exists() for place in places), f"{name} in: {row}"
            folder = name if name.endswith("/") else name.rpartition("/")[0] or folder


def test_everything_at_the_top_of_naq_is_in_the_architecture() -> None:
    text = read("docs/architecture.md")
    there = {path.stem for path in (ROOT / "src" / "naq").iterdir() if not path.name.startswith(("_", "py.typed"))}
    assert {name for name in there if not re.search(rf"\b{name}\b", text)} == set()


def test_the_layers_in_the_architecture_are_those_that_are_checked() -> None:
    contract = read("pyproject.toml").partition("layers = [")[2].partition("]")[0]
    checked = [row.split(" : ") for row in re.findall(r'"([^"]+)"', contract)]
    drawn = read("docs/architecture.md").partition("## Layers")[2].split("```")[1]
    assert [re.split(r"\s{2,}", line)[:-1] for line in drawn.strip().splitlines()] == checked


def test_the_life_of_a_job_is_drawn_as_the_table_says() -> None:
    drawn = re.findall(r"^    (\w+) --> (\w+)", read("docs/architecture.md"), re.MULTILINE)
    arrows = {(before, after) for before, after in drawn if before in set(JobState)}
    table = {(before.value, after.value) for before, several in TRANSITIONS.items() for after in several}
    assert arrows == table
    assert {state.value for state in FINAL} <= {before for before, _ in arrows}


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = sorted(path.name[:4] for path in (ROOT / "docs" / "adr").glob("*.md"))
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    for path in (ROOT / "docs" / "adr").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {int(path.name[:4])}. ")
        for part in ("**Context.**", "**Decision.**", "**Consequence.**"):
            assert part in text, path.name

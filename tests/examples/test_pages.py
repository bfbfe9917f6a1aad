"""The code of pages that are about what an example shows is that example's, line by line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
#: Of pages: the examples whose code they show; all that they show is one's, or they show something of each.
WHOLE = {
    "later": ["later"],
    "cancelling": ["cancel", "workflow"],
    "dead": ["dead"],
    "events": ["events"],
    "streaming": ["streaming"],
    "schedules": ["schedules"],
    "versions": ["versions"],
}
PARTLY = {
    "limits": ["limits", "priorities", "unique", "why"],
    "workflows": ["workflow"],
    "inside": ["reporting", "steps", "fencing"],
    "outbox": ["outbox"],
}


def plain(code: str) -> str:
    """Code without its indentation, which depends on where it stands."""
    return "\n".join(line.strip() for line in code.strip().splitlines())


def shown(page: str) -> list[str]:
    return [plain(block) for block in PYTHON.findall((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"))]


def source(example: str) -> str:
    return plain((ROOT / "examples" / f"{example}.py").read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", WHOLE)
def test_all_that_a_page_shows_is_run(page: str) -> None:
    sources = [source(name) for name in WHOLE[page]]
    blocks = shown(page)
    assert blocks
    assert [block for block in blocks if not any(block in each for each in sources)] == []


@pytest.mark.parametrize(
    ("page", "name"), [(page, name) for page, names in {**WHOLE, **PARTLY}.items() for name in names]
)
def test_a_page_shows_its_examples(page: str, name: str) -> None:
    assert any(block in source(name) for block in shown(page))

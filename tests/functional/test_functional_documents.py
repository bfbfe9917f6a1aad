"""docs/functional.md and docs/sync.md: their code is code that runs, and their names are all the names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import naq
from naq import Job, Queue, SyncClient, Worker

ROOT = Path(__file__).parents[2]
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)

FUNCTIONS = [
    *("enqueue", "enqueue_at", "enqueue_in", "purge_queue", "cancel_scheduled_job"),
    *("fetch_job_result", "list_workers", "connect", "disconnect"),
]


def read(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["functional.md", "sync.md"])
def test_code_that_is_shown_is_a_part_of_an_example(page: str) -> None:
    examples = [path.read_text(encoding="utf-8") for path in (ROOT / "examples" / "functional").glob("*.py")]
    blocks = PYTHON.findall(read(page))
    assert blocks
    for block in blocks:
        assert any(block in example for example in examples), block


def test_every_function_is_there_with_its_twin_and_on_the_page() -> None:
    page = read("functional.md")
    for name in FUNCTIONS:
        assert callable(getattr(naq, name))
        assert callable(getattr(naq, f"{name}_sync"))
        assert f"`{name}" in page, name
    for name in ("enqueue", "enqueue_at", "enqueue_in", "purge", "cancel_scheduled_job"):
        assert callable(getattr(Queue, name))
        assert callable(getattr(Queue, f"{name}_sync"))
        assert f"`.{name}(" in page, name
    for name in ("run", "list_workers", "list_workers_sync"):
        assert callable(getattr(Worker, name))
    assert callable(naq.setup_logging)


def test_the_table_of_twins_is_complete() -> None:
    page = read("sync.md")
    app = naq.Naq("documents")

    @app.task(name="any")
    def some() -> None: ...

    for thing in (some, some.options(), app, Job, Queue):
        for name in (name for name in dir(thing) if name.endswith("_sync") and not name.startswith("_")):
            assert f"`{name}`" in page or f"`Job.{name}`" in page, name
            assert hasattr(thing, name.removesuffix("_sync")), f"{name} is a twin of nothing"


def test_the_client_has_what_the_page_says() -> None:
    text = read("sync.md").partition("## A client")[2].partition("It has")[2].partition("`open()`")[0]
    names = {name.partition("(")[0] for name in re.findall(r"`(\w+(?:\(\w+\))?)`", text)}
    methods = {name for name in dir(SyncClient) if not name.startswith("_") and name not in {"open", "close", "config"}}
    assert names == methods

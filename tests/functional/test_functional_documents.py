"""docs/functional.md and docs/sync.md: their code is code that runs, and their names are all the names."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_overloads

import pytest

import naq
from naq import Job, Queue, SyncClient, Worker
from naq.worker import Worker as AppWorker

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


# What users of naq pass, in the order in which they may pass it by position; what follows a star goes by name.
SIGNATURES: list[tuple[Callable[..., Any], str]] = [
    (Queue, "name nats_url default_timeout"),
    (Queue.enqueue, "self func *args max_retries retry_delay **kwargs"),
    (Queue.enqueue_at, "self dt func *args max_retries retry_delay **kwargs"),
    (Queue.enqueue_in, "self delta func *args max_retries retry_delay **kwargs"),
    (Queue.purge, "self"),
    (Queue.cancel_scheduled_job, "self job_id"),
    (naq.enqueue, "func *args queue_name nats_url max_retries retry_delay **kwargs"),
    (naq.enqueue_at, "dt func *args queue_name nats_url max_retries retry_delay **kwargs"),
    (naq.enqueue_in, "delta func *args queue_name nats_url max_retries retry_delay **kwargs"),
    (naq.purge_queue, "queue_name nats_url"),
    (naq.cancel_scheduled_job, "job_id nats_url"),
    (naq.fetch_job_result, "job_id nats_url"),
    (naq.list_workers, "nats_url"),
    (naq.connect, "nats_url"),
    (naq.disconnect, ""),
    (naq.setup_logging, "level"),
    (Job, "function args kwargs job_id enqueue_time max_retries retry_delay queue_name"),
    (Job[Any].get_retry_delay, "self attempt"),
    (Job.serialize_result, "result status error traceback_str"),
    (Job.deserialize_result, "data"),
    (Job.deserialize, "data"),
    (Job.fetch_result, "job_id nats_url"),
    (Worker.list_workers, "nats_url"),
    (SyncClient, "nats_url"),
]


@pytest.mark.parametrize(("thing", "names"), SIGNATURES, ids=lambda value: getattr(value, "__qualname__", ""))
def test_what_users_of_naq_pass_is_taken_in_their_order(thing: Callable[..., Any], names: str) -> None:
    found = [str(each).partition(":")[0].partition("=")[0] for each in inspect.signature(thing).parameters.values()]
    wanted = names.split()
    assert [name for name in found if name in wanted] == wanted
    if not isinstance(thing, type) and (twin := _twin(thing)) is not None:
        assert inspect.signature(twin).parameters == inspect.signature(thing).parameters


def _twin(thing: Callable[..., Any]) -> Callable[..., Any] | None:
    owner: Any = {"Queue": Queue, "Job": Job, "Worker": Worker}.get(thing.__qualname__.partition(".")[0], naq)
    return getattr(owner, f"{thing.__name__}_sync", None)


def test_a_worker_by_queues_takes_naqs_arguments_in_their_order_and_one_of_an_app_all_there_are() -> None:
    of_app, of_queues = (inspect.signature(each).parameters for each in get_overloads(Worker.__init__))
    positional = [name for name, each in of_queues.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
    names = "self queues nats_url concurrency worker_name heartbeat_interval worker_ttl shutdown_timeout"
    assert positional == names.split()
    own = inspect.signature(AppWorker.__init__).parameters
    assert {name: each.default for name, each in of_app.items()} == {name: each.default for name, each in own.items()}

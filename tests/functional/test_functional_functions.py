"""Which functions may be jobs, and what a worker makes of their names: only what it was told to import ever runs."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import given_jobs
import pytest
from functional_tools import DEADLINE, until, working
from given_jobs import add

import naq
from naq import ConfigurationError, JobState, Naq, Queue, connections, sync
from naq.backends.base import DeadLetter
from naq.job import JobSpec, new_id
from naq.task.function import read_function
from naq.worker import Worker
from naq.worker.tasks import ImportPathRefused, Tasks


def put(task: str, *args: object) -> str:
    """Enqueue a message with any name, as anybody may; its id."""
    payload = json.dumps({"v": 1, "task": task, "args": args}).encode()
    job = JobSpec(id=new_id(), payload=payload)
    sync.run("", connections.store, connections.shared(connections.settings()), [job])
    return job.id


def dead() -> list[DeadLetter]:
    async def read() -> list[DeadLetter]:
        backend = await connections.shared(connections.settings()).connect()
        return await backend.dead()

    return sync.run("", read)


REFUSED: dict[str, tuple[Callable[..., Any], str]] = {
    "builtin": (os.urandom, "no function of a module"),
    "class": (given_jobs.Order, "no function of a module"),
    "method": (given_jobs.Mailer().send, "no function of a module"),
    "static method": (given_jobs.Mailer.post, "not at the top of its module"),
    "partial": (functools.partial(add, 1), "no function of a module"),
    "lambda": (given_jobs.short, "is a lambda"),
    "inner function": (given_jobs.alias, "not at the top of its module"),
    "private function": (given_jobs._private, "is private"),  # pyright: ignore[reportPrivateUsage]
    "what cannot travel": (given_jobs.odd, "has no JSON form"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_worker_could_find_or_read_is_refused_at_once(what: str) -> None:
    func, why = REFUSED[what]
    with pytest.raises(ConfigurationError, match=why):
        naq.enqueue_sync(func)


def test_a_function_that_its_module_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def add() -> None: ...

    add.__module__, add.__qualname__ = "given_jobs", "add"
    with pytest.raises(ConfigurationError, match="'given_jobs' has another thing by the name 'add'"):
        naq.enqueue_sync(add)
    add.__module__ = "no_such_module"
    with pytest.raises(ConfigurationError, match="no_such_module"):
        naq.enqueue_sync(add)


def test_a_decorated_function_goes_by_its_own_name() -> None:
    assert read_function(given_jobs.decorated).name == "given_jobs.decorated"
    with working():
        assert naq.enqueue_sync(given_jobs.decorated, 4).result_sync(timeout=DEADLINE) == 8


def test_a_task_brings_its_options_and_goes_only_where_its_app_looks() -> None:
    shop = given_jobs.shop
    with pytest.raises(ConfigurationError, match="is a task of an app in namespace 'shop'"):
        naq.enqueue_sync(given_jobs.charge, 1)
    job = Queue("money", app=shop).enqueue_sync(given_jobs.charge, 1)
    assert (job.max_retries, job.queue_name) == (2, "money")
    same = Queue("other", app=shop).enqueue_sync(given_jobs.charge.func, 1, max_retries=0)
    assert (same.record_sync().task, same.queue_name, same.max_retries) == ("given_jobs.charge", "other", 0)


def test_a_registered_task_is_found_by_its_import_path_with_a_colon_too() -> None:
    tasks = Tasks(given_jobs.shop)
    assert tasks.find("given_jobs.charge") is given_jobs.charge
    assert tasks.find("given_jobs:charge") is given_jobs.charge
    assert tasks.names() == ["given_jobs.charge"]


ATTACKS = ["subprocess.getoutput", "subprocess:getoutput", "os.system", "os:system", "builtins:eval"]
INSIDE = [
    "given_jobs.getoutput",
    "given_jobs:getoutput",
    "given_jobs._private",
    "given_jobs.Mailer.post",
    "given_jobs.Order",
]


@pytest.mark.parametrize("name", [*ATTACKS, *INSIDE, "given_jobs:Mailer.post", "given_jobs.failures.clear"])
def test_a_worker_runs_nothing_but_the_public_functions_of_the_modules_it_imports(name: str) -> None:
    tasks = Tasks(Naq("empty"), ["given_jobs"])
    assert tasks.find("given_jobs.add") is not None
    assert tasks.find("given_jobs:add") is not None
    try:
        assert tasks.find(name) is None
    except ImportPathRefused:
        assert ":" in name
    assert name not in tasks.names()


def test_names_that_lead_out_are_refused_or_wait_and_nothing_of_them_happens(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with working() as worker:
        put("subprocess:getoutput", f"touch {trace}")
        waits = put("subprocess.getoutput", f"touch {trace}")
        inside = put("given_jobs.getoutput", f"touch {trace}")
        until(lambda: worker.processed == 3)
        client = naq.SyncClient()
        assert [client.job(job).status_sync() for job in (waits, inside)] == [JobState.SCHEDULED] * 2
        client.close()
    assert [(letter.kind, "refused import path" in letter.reason) for letter in dead()] == [("malformed", True)]
    assert not trace.exists()


def test_a_name_is_never_a_reason_to_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bait_of_functional.py").write_text("def catch(): return 1\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with working() as worker:
        put("bait_of_functional.catch")
        put("bait_of_functional:catch")
        until(lambda: worker.processed == 2)
    assert "bait_of_functional" not in sys.modules


def test_a_worker_lists_what_it_may_run() -> None:
    names = Tasks(Naq("empty"), ["given_jobs"]).names()
    assert {"given_jobs.add", "given_jobs.greet", "given_jobs.decorated"} <= set(names)
    # A decorator is a function too; what cannot be read from a message, and tasks of other apps, are not there.
    assert not {"given_jobs.odd", "given_jobs.charge", "given_jobs.shop"} & set(names)


def test_a_worker_by_queues_takes_naqs_arguments_and_the_modules_of_the_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NAQ_IMPORTS", "given_jobs")
    worker = naq.Worker(["mail", "default"], "memory:other", 3, "ada", 1, 9, 4)
    assert isinstance(worker, Worker)
    assert worker.queues == ["mail", "default"]
    assert worker.id.startswith("ada-")
    config = worker.config
    assert (config.broker_url, config.concurrency) == ("memory:other", 3)
    assert (config.heartbeat_interval, config.worker_ttl, config.shutdown_timeout) == (1.0, 9.0, 4.0)
    assert worker.tasks.find("given_jobs.add") is not None
    assert naq.Worker("mail").queues == ["mail"]
    assert naq.Worker().queues == ["default"]
    with pytest.raises(ConfigurationError, match="there is no module 'no_such_module'"):
        naq.Worker("mail", imports=["no_such_module"])
    with pytest.raises(ConfigurationError, match="heartbeat_interval"):
        naq.Worker("mail", heartbeat_interval=60)


def test_the_same_class_takes_an_app() -> None:
    worker = naq.Worker(given_jobs.shop, concurrency=7, name="till")
    assert (worker.queues, worker.config.concurrency, worker.app) == (["money"], 7, given_jobs.shop)
    assert naq.Worker(app=given_jobs.shop, queues=["other"]).queues == ["other"]

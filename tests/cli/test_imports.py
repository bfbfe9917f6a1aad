"""What a command loads, for that is what it costs: a command is quick because of what it does not import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.cli_tools import DEADLINE, Naqs

CODE = "import sys; from naq.cli import main; main(sys.argv[1:]); sys.stdout.flush(); print('#', *sys.modules)"
#: Never needed to look at a broker: what runs jobs, what serves the history, what only terminals and tests need.
NEVER = frozenset(
    [
        "aiohttp",
        "alembic",
        "attrs",
        "cyclopts",
        "fastapi",
        "http.server",
        "multiprocessing",
        "nats",
        "naq.app",
        "naq.check",
        "naq.dev",
        "naq.flow.compose",
        "naq.outbox",
        "naq.server",
        "naq.task",
        "naq.testing",
        "naq.worker",
        "pytest",
        "rich",
        "shutil",
        "sqlalchemy",
        "unittest",
        "urllib.request",
        "uvloop",
    ]
)
MOST = 110  # modules of naq with which a broker is asked something; each takes some 0.2 ms


def loaded(naq: Naqs, *args: str) -> set[str]:
    """The modules that a command has imported when it ends."""
    command = [sys.executable, "-c", CODE, *args]
    done = subprocess.run(
        command, env=naq.env, cwd=naq.folder, capture_output=True, text=True, timeout=DEADLINE, check=True
    )
    return set(done.stdout.rpartition("#")[2].split())


def within(modules: set[str], packages: frozenset[str]) -> set[str]:
    """Those of `modules` that are one of `packages`, or in one."""
    return {name for name in modules if any(name == package or name.startswith(f"{package}.") for package in packages)}


def test_the_version_loads_nothing(naq: Naqs) -> None:
    modules = loaded(naq, "--version")
    assert {name for name in modules if name.startswith("naq")} == {"naq", "naq._version", "naq.cli"}
    assert not {"asyncio", "cyclopts", "msgspec", "typing"} & modules


def test_the_help_loads_no_command(naq: Naqs) -> None:
    modules = loaded(naq, "--help")
    assert {name for name in modules if name.startswith("naq.cli.")} == {
        f"naq.cli.{name}" for name in ("app", "errors", "exits", "parameter", "parser", "quick", "text")
    }
    assert not {"asyncio", "msgspec", "naq.backends", "naq.config"} & modules


@pytest.mark.parametrize("group", ["jobs", "queues", "workers", "schedules"])
def test_the_help_of_a_group_loads_no_client(naq: Naqs, group: str) -> None:
    modules = loaded(naq, group, "--help")
    assert f"naq.cli.{group}" in modules
    assert not {"naq.backends.nats", "naq.app", "naq.worker"} & modules


@pytest.mark.parametrize("args", ["queues list", "jobs list", "workers list", "dead list"])
def test_a_question_loads_what_asks_and_prints(naq: Naqs, args: str) -> None:
    modules = loaded(naq, *args.split())
    assert "naq.backends.nats.client.wire" in modules
    assert not within(modules, NEVER)
    ours = {name for name in modules if name.startswith("naq")}
    assert len(ours) <= MOST, sorted(ours)


def test_a_job_needs_no_worker(naq: Naqs) -> None:
    modules = loaded(naq, "enqueue", "hello")
    assert not within(modules, NEVER - {"naq.app", "naq.task"})

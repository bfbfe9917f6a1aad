"""What a process says of settings that trust more than the defaults: once, as a warning and in the log."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from security_tools import key

CLIENT = """
import logging, sys, warnings
logging.basicConfig(format="%(levelname)s %(name)s %(message)s")
from naq import Naq
app = Naq("shop", broker_url="memory:")
Naq("other", broker_url="memory:")
"""
WORKER = (
    CLIENT
    + """
import asyncio
from naq.worker import Worker
async def main():
    for _ in range(2):
        worker = Worker(app); running = asyncio.create_task(worker.run())
        await worker.wait_ready(); worker.stop(); await running
asyncio.run(main())
"""
)


def say(tmp_path: Path, program: str, *flags: str, **variables: str) -> str:
    """What `program` says on stderr, as a file of its own, so that a warning can name its line."""
    path = tmp_path / "program.py"
    path.write_text(program)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NAQ_", "PYTHONWARN"))}
    done = subprocess.run(
        [sys.executable, *flags, str(path)],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.returncode == 0 or "-W" in "".join(flags), done.stderr
    return done.stderr


def test_a_client_that_pickles_says_so_once(tmp_path: Path) -> None:
    said = say(tmp_path, CLIENT, NAQ_CODEC="pickle")
    assert said.count("WARNING naq.security codec='pickle': arguments are pickled") == 1
    assert said.count("PickleWarning: codec='pickle': arguments are pickled") == 1
    assert "program.py:5: PickleWarning" in said.replace("\\", "/")
    assert "signing_keys are not set" in said


def test_functions_without_an_app_say_so_too(tmp_path: Path) -> None:
    program = CLIENT.partition("from naq")[0] + (
        "import naq, json\nfor _ in range(2):\n    naq.enqueue_sync(json.dumps, {1})\n"
    )
    said = say(tmp_path, program, NAQ_CODEC="pickle", NAQ_BROKER_URL="memory:")
    assert said.count("WARNING naq.security codec='pickle': arguments are pickled") == 1
    assert said.count("PickleWarning: codec='pickle': arguments are pickled") == 1


def test_a_worker_that_unpickles_says_so_once(tmp_path: Path) -> None:
    said = say(tmp_path, WORKER, NAQ_CODEC="pickle", NAQ_SIGNING_KEYS=key("a"))
    assert said.count("WARNING naq.security codec='pickle': this worker unpickles arguments") == 1
    assert said.count("PickleWarning: codec='pickle': this worker unpickles arguments") == 1
    assert "so whoever can write to its queues can run any code as this user" in " ".join(said.split())
    assert "signing_keys are not set" not in said


def test_whoever_does_not_want_it_can_make_it_an_error(tmp_path: Path) -> None:
    assert "PickleWarning" in say(tmp_path, CLIENT, "-Werror", NAQ_CODEC="pickle").splitlines()[-1]


def test_the_defaults_and_plain_keys_have_nothing_to_say(tmp_path: Path) -> None:
    assert say(tmp_path, WORKER, "-Werror") == ""
    assert say(tmp_path, WORKER, "-Werror", NAQ_SIGNING_KEYS=key("a"), NAQ_ENCRYPTION_KEYS=key("a")) == ""


@pytest.mark.parametrize(("name", "what"), [("SIGNING", "signed"), ("ENCRYPTION", "encrypted")])
def test_a_worker_in_a_rollout_says_so_once(tmp_path: Path, name: str, what: str) -> None:
    said = say(tmp_path, WORKER, **{f"NAQ_{name}_KEYS": f"none,{key('a')}"})
    assert said.count(f"WARNING naq.security {name.lower()}_keys has 'none' in it: jobs that are not {what}") == 1
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("missing", "variable", "value", "extra"),
    [
        ("cloudpickle", "NAQ_CODEC", "pickle", "naq[pickle]"),
        ("cryptography", "NAQ_ENCRYPTION_KEYS", key("a"), "naq[crypto]"),
    ],
)
def test_a_missing_extra_is_one_line_with_the_command(
    tmp_path: Path, missing: str, variable: str, value: str, extra: str
) -> None:
    program = f"""
import sys
sys.modules[{missing!r}] = None
from naq import Naq, NaqException
try:
    Naq("shop", broker_url="memory:")
except NaqException as error:
    print(type(error).__name__, error, file=sys.stderr)
"""
    said = say(tmp_path, program, **{variable: value})
    assert said.splitlines()[-1].startswith("ConfigurationError ")
    assert said.rstrip().endswith(f" {missing}, which is not installed: pip install '{extra}'")
    assert len(said.splitlines()) == 1


def test_signing_needs_no_extra(tmp_path: Path) -> None:
    program = "import sys\nsys.modules['cryptography'] = sys.modules['cloudpickle'] = None\n" + WORKER
    assert say(tmp_path, program, "-Werror", NAQ_SIGNING_KEYS=key("a")) == ""

"""``naq completion`` in a real bash: commands, and the names that only the broker knows."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from naq.cli.complete import wanted
from tests.cli.cli_tools import DEADLINE, Naqs

PROMPT = "ready> "


class Bash:
    """A bash on a terminal, in which ``naq`` can be completed."""

    def __init__(self, naq: Naqs) -> None:
        script = naq.folder / "completion.bash"
        script.write_text(naq("completion", "bash").out)
        (naq.folder / "bin").mkdir()
        program = naq.folder / "bin" / "naq"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m naq "$@"\n')
        program.chmod(0o755)
        self._fd, theirs = pty.openpty()
        env = {
            **naq.env,
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "PS1": PROMPT,
            "TERM": "dumb",
            "COLUMNS": "200",
        }
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"],
            cwd=naq.folder,
            env={**env, "INPUTRC": "/dev/null"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.until(PROMPT)
        self.type(f"bind 'set bell-style none'; source {script}\n")
        self.until(f"{PROMPT}")

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def until(self, pattern: str) -> str:
        """What is printed up to `pattern`, that included."""
        text, end = "", time.monotonic() + DEADLINE
        while not re.search(pattern, text):
            assert time.monotonic() < end, f"{pattern!r} never came in {text!r}"
            if select.select([self._fd], [], [], 0.1)[0]:
                text += os.read(self._fd, 65536).decode()
        return text

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._fd)


@pytest.fixture
def bash(worker: Naqs) -> Generator[Bash]:
    if shutil.which("bash") is None:
        pytest.skip("missing: bash; apt-get install bash")
    worker("queues", "pause", "mail")
    shell = Bash(worker)
    yield shell
    shell.end()


def test_names_of_the_broker_are_completed(worker: Naqs, bash: Bash) -> None:
    job = worker("enqueue", "hello", "-q", "--queue", "mail").lines[0]
    assert worker("jobs", "show", job, "-q").lines == [job]
    for typed, whole in {
        "naq queues pau": "naq queues pause ",
        "naq worker --re": "naq worker --reload ",  # and not what nobody types: --requests
        "naq queues resume m": "naq queues resume mail ",
        "naq jobs list --queue m": "naq jobs list --queue mail ",
        f"naq jobs cancel {job[:-3]}": f"naq jobs cancel {job} ",
        "naq enqueue he": "naq enqueue hello ",
        "naq tasks show tasks:app he": "naq tasks show tasks:app hello ",
        "naq workers drain ": f"naq workers drain {worker('workers', 'list', '-q').lines[0]} ",
    }.items():
        bash.type(f"{typed}\t")
        bash.until(re.escape(whole))
        bash.type("\x15")  # away with the line


def test_which_names_are_offered_depends_on_the_command(worker: Naqs) -> None:
    worker("queues", "pause", "mail")
    waits = worker("enqueue", "hello", "-q", "--queue", "mail").lines[0]
    failed = worker("enqueue", "bad", "-q").lines[0]
    worker("jobs", "wait", failed, code=None)

    def offered(*words: str) -> set[str]:
        return set(worker("__complete", str(len(words) - 1), *words).lines)

    assert offered("naq", "jobs", "cancel", "") == {waits}
    assert offered("naq", "jobs", "retry", "") == {failed}
    assert {waits, failed} <= offered("naq", "jobs", "show", "")
    assert offered("naq", "jobs", "show", failed[:-2]) == {failed}
    assert offered("naq", "dead", "retry", "") == {failed}
    assert "mail" in offered("naq", "queues", "show", "")
    assert offered("naq", "jobs", "list", "--state", "f") == {"failed"}
    assert offered("naq", "queues", "list", "") == set()


def test_it_is_silent_whatever_is_wrong(naq: Naqs, tmp_path: Path) -> None:
    cases: list[tuple[Sequence[str], dict[str, str]]] = [
        (["3", "naq", "queues", "show", ""], {"NAQ_BROKER_URL": "nats://127.0.0.1:1"}),
        (["3", "naq", "queues", "show", ""], {"NAQ_BROKER_URL": "embedded:nowhere"}),
        (["3", "naq", "queues", "show", ""], {"NAQ_BROKER_URL": "memory:"}),
        (["3", "naq", "queues", "show", ""], {"NAQ_CONCURRENCY": "many"}),
        (["3", "naq", "jobs", "show", "", "-A", "nothing:app"], {}),
        (["3", "naq", "tasks", "show", "nothing:app", ""], {}),
        (["x"], {}),
        ([], {}),
    ]
    usual = naq.env
    for words, env in cases:
        naq.env = {**usual, **env}
        said = naq("__complete", *words)
        assert (said.out, said.err) == ("", ""), words
    assert not (tmp_path / "nowhere").exists()  # no server was started for this


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("", ""),
        ("jobs", ""),
        ("jobs show", "job"),
        ("jobs show 01J", "job"),
        ("jobs show --json", "job"),
        ("jobs show --namespace", ""),
        ("jobs show --namespace shop", "job"),
        ("jobs show --namespace=shop", "job"),
        ("jobs download 01J", ""),
        ("jobs list", ""),
        ("jobs list --task", "task"),
        ("queues move", "queue"),
        ("queues move mail", "queue"),
        ("workers stop --all", "worker"),
        ("dead show", "letter"),
        ("schedules pause", "schedule"),
        ("enqueue", "task"),
        ("enqueue hello", ""),
        ("enqueue hello --after", "job"),
        ("worker --queues", "queue"),
        ("worker --queues=", "queue"),
        ("tasks show tasks:", ""),
        ("broker check", ""),
    ],
)
def test_what_comes_after_a_line(line: str, kind: str) -> None:
    assert wanted(line.split())[0] == kind

"""What a task is called, and which functions may be one."""

import functools
import runpy
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from naq import ConfigurationError, Naq
from naq.task.naming import module_name, name_task


def top(number: int = 0) -> int:
    return number


class Holder:
    @staticmethod
    def method() -> None: ...

    def __call__(self, number: int) -> int:
        return number


def numbers() -> Iterator[int]:
    yield 1


async def async_numbers() -> AsyncIterator[int]:
    yield 1


def nested() -> Callable[[], None]:
    def inner() -> None: ...

    return inner


def test_module_and_qualified_name() -> None:
    assert name_task(top, None) == f"{__name__}.top"
    assert name_task(Holder.method, None) == f"{__name__}.Holder.method"
    assert name_task(top, "mail.send:v2") == "mail.send:v2"


@pytest.mark.parametrize(("func", "says"), [(lambda: None, "is a lambda"), (nested(), "inside another function")])
def test_what_no_worker_could_import_is_refused_with_what_to_do(func: Callable[..., Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{says}.*move it to the top of a module.*@app\.task\(name="):
        Naq(broker_url="memory:").task(func)


def test_a_name_of_its_own_makes_such_a_function_a_task() -> None:
    app = Naq(broker_url="memory:")
    assert app.task(name="inner")(nested()).name == "inner"


@pytest.mark.parametrize("func", [functools.partial(top, 1), Holder()])
def test_a_callable_without_a_name_needs_one(func: Callable[..., Any]) -> None:
    with pytest.raises(ConfigurationError, match="has no name of its own"):
        name_task(func, None)
    assert name_task(func, "given") == "given"


@pytest.mark.parametrize("func", [numbers, async_numbers])
def test_generators_are_tasks_that_stream(func: Callable[..., Any]) -> None:
    assert name_task(func, "given") == "given"


@pytest.mark.parametrize(
    "name", ["", "*", ">", "a b", "a\r\nb", "a\0b", "ä", "1st", ".x", "x" * 4096, "a/b", "os system", 5]
)
def test_hostile_names(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="task name"):
        name_task(top, name)


def test_a_function_with_a_name_that_no_wire_takes() -> None:
    def size() -> None: ...

    size.__qualname__ = "größe"
    with pytest.raises(ConfigurationError, match="task name"):
        name_task(size, None)


SCRIPT = """
from naq import Naq
app = Naq(broker_url="memory:")

@app.task
def work() -> None: ...

print(work.name)
"""


def test_a_script_goes_by_its_module_name(tmp_path: Path) -> None:
    (tmp_path / "billing.py").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "jobs.py").write_text(SCRIPT, encoding="utf-8")

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    assert run("billing.py") == "billing.work"
    assert run("-m", "billing") == "billing.work"
    assert run("-m", "pack.jobs") == "pack.jobs.work"
    assert runpy.run_path(str(tmp_path / "billing.py"), run_name="billing")["work"].name == "billing.work"


def test_an_interactive_session_cannot_be_imported() -> None:
    done = subprocess.run([sys.executable, "-"], input=SCRIPT, capture_output=True, text=True, check=False)
    assert "ConfigurationError: a function of an interactive session cannot be imported" in done.stderr
    named = SCRIPT.replace("@app.task", "@app.task(name='work')")
    assert (
        subprocess.run([sys.executable, "-"], input=named, capture_output=True, text=True, check=True).stdout
        == "work\n"
    )


def test_other_modules_keep_their_name() -> None:
    assert module_name("shop.mail") == "shop.mail"

"""What `naq` exports, and what asking for it costs."""

import inspect
import subprocess
import sys

import pytest

import naq
import naq.exceptions


def test_every_public_name_is_there_and_is_listed_once() -> None:
    assert len(set(naq.__all__)) == len(naq.__all__)
    for name in naq.__all__:
        assert getattr(naq, name) is not None, name
    assert dir(naq) == sorted(naq.__all__)


def test_a_star_import_brings_exactly_the_public_names() -> None:
    found: dict[str, object] = {}
    exec("from naq import *", found)
    assert set(found) - {"__builtins__"} == set(naq.__all__)


def test_type_checkers_see_the_same_names() -> None:
    source = inspect.getsource(naq)
    block = source[source.index("if TYPE_CHECKING:") : source.index("__all__")]
    imported = {word.strip(" ,()") for line in block.splitlines() for word in line.partition("import")[2].split(",")}
    listed = {line.strip(" ,") for line in block.splitlines() if line.startswith("        ") and line.endswith(",")}
    assert (imported | listed) - {""} == set(naq.__all__) - {"__version__"}


def test_every_exception_is_public() -> None:
    exceptions = {name for name, value in vars(naq.exceptions).items() if inspect.isclass(value) and name != "Any"}
    assert exceptions <= set(naq.__all__)


def test_public_things_say_what_they_are() -> None:
    for name in set(naq.__all__) - {"__version__"}:
        assert getattr(naq, name).__doc__, name


def test_an_unknown_name_is_an_ordinary_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'naq' has no attribute 'Worcker'"):
        naq.Worcker  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
    assert not hasattr(naq, "_nothing")


@pytest.mark.parametrize(
    ("statement", "not_loaded"),
    [
        ("import naq", {"asyncio", "msgspec", "nats", "typing", "inspect", "logging", "naq.app"}),
        ("from naq import Retry, JobState", {"asyncio", "nats", "naq.app"}),
        ("from naq import Naq", {"nats", "difflib", "tomllib", "rich", "cyclopts", "importlib.metadata", "naq.worker"}),
    ],
)
def test_an_import_loads_no_more_than_it_needs(statement: str, not_loaded: set[str]) -> None:
    program = f"import sys; {statement}; print(*sys.modules)"
    # -S: site may load modules of its own for editable installs; the path is handed over instead.
    source = f"import sys; sys.path[:] = {sys.path!r}; {program}"
    loaded = subprocess.run([sys.executable, "-S", "-c", source], capture_output=True, text=True, check=True).stdout
    assert not_loaded & set(loaded.split()) == set()

"""Arguments against what workers said of a task, with and without the library that checks types."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from naq import Naq
from naq.task import describe
from naq.task.describe import Described
from naq.task.taken import Taken

app = Naq(broker_url="memory:")


@app.task(name="mail")
async def mail(to: str, copies: int = 1, *, urgent: bool = False) -> None:
    """Send it."""


@app.task(name="add")
async def add(first: int, *more: int) -> None:
    """Add them."""


def described(task: str) -> Described:
    return describe.decode(describe.encode(describe.describe(app.get_task(task), app="shop", at=0.0)))


@pytest.fixture(params=["with types", "names only"])
def has_types(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if request.param == "names only":
        monkeypatch.setitem(sys.modules, "jsonschema_rs", None)  # as where naq is installed without extras
    return request.param == "with types"


@pytest.mark.parametrize(
    ("args", "kwargs", "codes"),
    [
        (["a"], {}, []),
        (["a", 2], {"urgent": True}, []),
        ([], {"to": "a"}, []),
        ([], {}, ["required"]),
        (["a"], {"copy": 1}, ["additionalProperties"]),
        (["a", 2, True], {}, ["too_many"]),
        (["a"], {"to": "b"}, ["given_twice"]),
    ],
)
@pytest.mark.usefixtures("has_types")
def test_names_and_numbers_are_checked_anywhere(args: list[Any], kwargs: dict[str, Any], codes: list[str]) -> None:
    assert [error["code"] for error in Taken(described("mail")).errors(args, kwargs)] == codes


def test_types_are_checked_where_that_is_possible(has_types: bool) -> None:
    assert bool(Taken(described("mail")).errors(["a", "two"], {})) is has_types
    assert bool(Taken(described("add")).errors([1, 2, "three"], {})) is has_types
    assert not Taken(described("add")).errors([1, 2, 3], {})


def test_of_what_is_not_described_nothing_is_refused() -> None:
    assert Taken(Described(name="t")).errors([1], {"a": 2}) == []
    assert Taken(Described(name="t", codec="pickle")).errors([], {})[0]["code"] == "pickled"

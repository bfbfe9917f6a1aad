"""`naq.check`: an app by itself, without a broker."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from naq import Naq
from naq.check import Finding, read_code

_stores = itertools.count()


def make_app(**settings: Any) -> Naq:
    return Naq("check", broker_url=f"memory:check-code-{next(_stores)}", **settings)


def no_tasks(app: Naq) -> None:
    del app


def a_gap(app: Naq) -> None:
    app.task(name="grown", version=4)(_take).upcast(2)(_older)


def two_minds(app: Naq) -> None:
    app.task(name="a", group="api", group_max_concurrency=5)(_take)
    app.task(name="b", group="api", group_max_concurrency=3)(_take)


def out_of_reach(app: Naq) -> None:
    def inner(number: int) -> None: ...

    app.task(name="inner", executor="process")(inner)


def never(app: Naq) -> None:
    app.cron("0 0 1 1 *", end=1.0)(app.task(name="take")(_nothing))


def too_big(app: Naq) -> None:
    app.every(60, args=["x"])(app.task(name="take")(_any))


def _take(number: int) -> None: ...


def _nothing() -> None: ...


def _any(text: str) -> None: ...


def _older(text: str) -> dict[str, Any]:
    return {"number": int(text)}


@pytest.mark.parametrize(
    ("declare", "level", "what", "says"),
    [
        (no_tasks, "problem", "check", "has no tasks"),
        (a_gap, "problem", "grown", "and none from 3"),
        (two_minds, "problem", "b", "group api allows 5 jobs at once by task a, 3 by b"),
        (out_of_reach, "problem", "inner", "no new process could import"),
        (never, "warning", "take", "never fires again"),
        (too_big, "problem", "take", "schedule take cannot be"),
    ],
)
def test_what_is_wrong_is_said(declare: Callable[[Naq], None], level: str, what: str, says: str) -> None:
    app = make_app(max_headers=16 if declare is too_big else 4096)
    declare(app)
    (found,) = read_code(app)
    assert (found.level, found.what) == (level, what)
    assert says in found.text


def test_an_app_that_is_good_has_nothing_to_say() -> None:
    app = make_app()
    app.task(name="grown", version=2)(_take).upcast(1)(_older)
    app.cron("*/5 * * * *")(app.task(name="nothing")(_nothing))
    app.task(name="a", group="api", group_max_concurrency=5)(_take)
    app.task(name="b", group="api", group_max_concurrency=5, executor="process")(_take)
    assert read_code(app) == []


@pytest.mark.filterwarnings("ignore::naq.codec.caution.PickleWarning")
def test_pickle_without_keys_is_a_warning() -> None:
    app = make_app(codec="pickle")
    app.task(name="take")(_take)
    assert [(each.level, each.what) for each in read_code(app)] == [("warning", "check")]
    assert isinstance(read_code(app)[0], Finding)

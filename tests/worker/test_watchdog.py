"""Who blocks the event loop, and where."""

from __future__ import annotations

import logging
import re
import sys
import time

import pytest

from naq.worker.watchdog import place_of
from tests.tools import ended, make_app, run, working


def test_it_names_the_task_and_its_line(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()

    @app.task(name="block")
    async def block() -> None:
        _deeper()

    async def test() -> None:
        async with working(app):
            job = await block.enqueue()
            await ended(job)
        (line,) = [line for line in caplog.messages if "blocked the event loop" in line]
        assert f"task block (job {job.id})" in line
        assert f", in {__file__} line {LINE} (_deeper)" in line

    with caplog.at_level(logging.WARNING, "naq.worker"):
        run(test())


def _deeper() -> None:
    list(map(time.sleep, [1.8]))


LINE = _deeper.__code__.co_firstlineno + 1


def test_a_place_is_the_users_rather_than_a_librarys() -> None:
    seen: list[str] = []

    def look(found: re.Match[str]) -> str:
        frame = sys._getframe()  # pyright: ignore[reportPrivateUsage]
        assert frame.f_back is not None
        assert frame.f_back.f_code.co_filename != __file__
        seen.extend((place_of(frame), place_of(frame.f_back)))
        return found[0]

    re.sub("a", look, "a")
    assert ".look)" in seen[0]
    assert "(test_a_place_is_the_users_rather_than_a_librarys)" in seen[1], "the line that called the library"
    assert place_of(None) == ""

"""The bridge: one loop for every thread, honest about loops, interrupts and ends."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import pytest

from naq import ConfigurationError, NaqConnectionError, sync

DEADLINE = 10.0  # seconds; reached only by a failure


@pytest.fixture(autouse=True)
def _fresh() -> Generator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    sync.stop()


async def here() -> tuple[int, str]:
    return id(asyncio.get_running_loop()), threading.current_thread().name


async def forever(begun: threading.Event | None = None) -> None:
    if begun is not None:
        begun.set()
    await asyncio.Event().wait()


def test_all_threads_share_one_loop_in_one_thread() -> None:
    with ThreadPoolExecutor(8) as pool:
        found = {done.result(DEADLINE) for done in [pool.submit(sync.run, "", here) for _ in range(64)]}
    assert len(found) == 1
    assert found == {sync.run("", here)}
    assert found.pop()[1] == "naq-sync"


def test_calls_of_many_threads_wait_for_each_other_on_the_loop() -> None:
    async def meet() -> None:
        waiting.append(1)
        if len(waiting) == 4:
            all_there.set()
        await all_there.wait()

    waiting: list[int] = []
    all_there = asyncio.Event()
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(sync.run, "", meet) for _ in range(4)]:
            done.result(DEADLINE)


def test_arguments_go_in_and_errors_come_out() -> None:
    async def divide(a: int, *, by: int) -> float:
        return a / by

    assert sync.run("", divide, 1, by=2) == 0.5
    with pytest.raises(ZeroDivisionError):
        sync.run("", divide, 1, by=0)


def test_context_variables_are_the_callers() -> None:
    async def read() -> str:
        return variable.get()

    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("mine")
    assert sync.run("", read) == "mine"


def test_under_a_running_loop_it_says_what_to_write_instead() -> None:
    called: list[int] = []

    async def never() -> None:
        called.append(1)

    async def main() -> None:
        with pytest.raises(ConfigurationError, match=r"write 'await the\.thing'"):
            sync.run("await the.thing", never)
        await asyncio.to_thread(sync.run, "", here)  # as the message says

    asyncio.run(main())
    assert not called


def test_on_its_own_loop_it_refuses_too() -> None:
    async def nested() -> None:
        sync.run("await here()", here)

    with pytest.raises(ConfigurationError, match="await here"):
        sync.run("", nested)


def test_stopping_gives_up_what_waits_and_the_next_call_starts_anew() -> None:
    begun = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(sync.run, "", forever, begun)
        assert begun.wait(DEADLINE)
        sync.stop()
        with pytest.raises(NaqConnectionError, match="ended its sync calls"):
            waiting.result(DEADLINE)
    assert not [thread for thread in threading.enumerate() if thread.name == "naq-sync"]
    assert sync.run("", here)[1] == "naq-sync"
    sync.stop()
    sync.stop()


def test_stop_runs_the_farewells_on_the_loop_and_survives_those_that_fail_or_hang() -> None:
    said: list[str] = []

    async def well() -> None:
        said.append(threading.current_thread().name)

    async def badly() -> None:
        raise OSError("no more")

    for farewell in (well, badly):
        sync.at_stop(farewell)
        sync.at_stop(farewell)
    sync.run("", here)
    sync.stop()
    assert said == ["naq-sync"]
    _forget(well, badly)
    sync.at_stop(forever)
    sync.run("", here)
    begun = time.monotonic()
    sync.stop()
    assert time.monotonic() - begun < DEADLINE
    _forget(forever)


def _forget(*farewells: object) -> None:
    from naq.sync import bridge

    kept = bridge._bridge._farewells  # pyright: ignore[reportPrivateUsage]
    kept[:] = [each for each in kept if each not in farewells]


def test_a_callback_that_exits_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    async def plant() -> None:
        asyncio.get_running_loop().call_soon(exit_now)

    def exit_now() -> None:
        raise SystemExit(3)

    sync.run("", plant)
    assert sync.run("", here)[1] == "naq-sync"
    assert "broke out of the loop" in caplog.text

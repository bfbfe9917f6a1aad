"""Where jobs are in their code: on the event loop, in a thread, in a child process; and while the loop is blocked."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from process_tools import begun, serving, start, story

from naq.backends import stacks
from naq.backends.orders import KIND
from naq.backends.stacks import Stack, Stacks
from naq.exceptions import ResultTimeout
from tests.tools import DEADLINE, make_app, run, running_state, store, until, until_so, working

BY_SIGNAL_ONLY = {"heartbeat_interval": 3000.0, "worker_ttl": 6000.0}


def innermost(stack: Stack) -> tuple[str, str]:
    """The function and the text of the line where its own code is."""
    own = [frame for frame in stack.frames if frame.own]
    return own[-1].function.rpartition(".")[2], own[-1].code


def of(said: Stacks, job: str) -> Stack:
    return next(stack for stack in said.jobs if stack.job == job)


async def deep(event: asyncio.Event, begun: threading.Semaphore) -> None:
    begun.release()
    await event.wait()  # here


def test_a_coroutine_and_a_thread_are_seen_without_any_of_their_values() -> None:
    app, gate, event = make_app(**BY_SIGNAL_ONLY), threading.Event(), asyncio.Event()
    begun = threading.Semaphore(0)

    @app.task(name="waits")
    async def waits(secret: str) -> None:
        await deep(event, begun)
        assert secret

    @app.task(name="sleeps")
    def sleeps(secret: str) -> None:
        begun.release()
        gate.wait(DEADLINE)
        assert secret

    async def test() -> None:
        async with working(app) as worker, store(app) as backend:
            one, two = await waits.enqueue("hunter2"), await sleeps.enqueue("hunter2")
            for _ in range(2):
                await until(lambda: begun.acquire(blocking=False))
            said = await stacks.ask(backend, worker.id, timeout=DEADLINE)
            assert (said.left_out, {stack.job for stack in said.jobs}) == (0, {one.id, two.id})
            waiting, sleeping = of(said, one.id), of(said, two.id)
            assert (waiting.where, waiting.phase, waiting.task) == ("loop", "running", "waits")
            assert innermost(waiting) == ("deep", "await event.wait()  # here")
            assert waiting.frames[0].function.endswith("waits"), "nothing of naq is outside of it"
            assert not waiting.frames[-1].own, "what it awaits is asyncio's"
            assert waiting.at > 0
            assert (sleeping.where, innermost(sleeping)) == ("thread", ("sleeps", "gate.wait(DEADLINE)"))
            assert sleeping.frames[0].function.endswith("sleeps")
            assert b"hunter2" not in stacks.encode(said)
            both = await asyncio.gather(*(stacks.ask(backend, worker.id, timeout=DEADLINE) for _ in range(2)))
            assert [len(each.jobs) for each in both] == [2, 2], "who asks at once is answered at once"
            event.set()
            gate.set()

    run(test())


def test_a_blocked_loop_is_looked_into() -> None:
    app, gate, begins = make_app(**BY_SIGNAL_ONLY), threading.Event(), threading.Event()
    found: list[Stacks] = []

    @app.task(name="blocks")
    async def blocks() -> None:
        begins.set()
        gate.wait(DEADLINE)

    async def ask(worker: str) -> None:
        try:
            async with store(app) as other:
                found.append(await stacks.ask(other, worker, timeout=DEADLINE))
        finally:
            gate.set()

    def beside(worker: str) -> None:
        begins.wait(DEADLINE)
        asyncio.run(ask(worker))

    async def test() -> None:
        async with working(app) as worker:
            asking = threading.Thread(target=beside, args=(worker.id,))
            asking.start()
            await blocks.enqueue()
            await until(gate.is_set)
            asking.join()
        [stack] = found[0].jobs
        assert (stack.where, innermost(stack)) == ("loop", ("blocks", "gate.wait(DEADLINE)"))

    run(test())


@pytest.mark.parametrize(("task", "function"), [("wait_for", "wait_for"), ("sleep", "sleep")])
def test_a_child_process_says_where_it_is(tmp_path: Path, task: str, function: str) -> None:
    path = tmp_path / "begun"

    async def test() -> None:
        async with serving(shutdown_timeout=0.05) as (app, worker), store(app) as backend:
            given = (str(tmp_path / "never"), str(path)) if task == "wait_for" else (str(path),)
            await start(app, task, *given)
            await begun(path)
            [stack] = (await stacks.ask(backend, worker.id, timeout=DEADLINE)).jobs
            assert (stack.where, stack.task, innermost(stack)[0]) == ("process", task, function)
            assert stack.frames[0].function == function
            worker.stop()
            worker.stop()

    story(test())


def test_without_a_signal_the_heartbeat_does_and_nobody_answers_for_who_has_gone() -> None:
    app = make_app(heartbeat_interval=0.05)
    event = asyncio.Event()

    @app.task(name="here")
    async def here() -> None:
        await event.wait()

    async def test() -> None:
        async with working(app) as worker, store(app) as backend:
            await running_state(await here.enqueue())
            version = await backend.put(KIND, worker.id, b'{"look":true}', ttl=60)

            async def said() -> Stacks | None:
                there = await backend.entry(stacks.KIND, worker.id)
                return None if there is None else stacks.read(there.value)

            answer = await until_so(said)
            assert answer is not None
            assert (answer.answers, len(answer.jobs)) == (version, 1)
            with pytest.raises(ResultTimeout, match="worker gone did not say"):
                await stacks.ask(backend, "gone", timeout=0.05)
            event.set()

    run(test())

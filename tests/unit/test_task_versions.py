"""Versions of a task's parameters: old jobs are read by upcasters; newer ones wait; what cannot be is refused early."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import Raw
from msgspec.json import encode

from naq import ConfigurationError, Job, JobExecutionError, JobState, Naq, SerializationError, result_of
from naq.codec.envelope import VERSION, Envelope, decode_envelope, encode_envelope
from naq.flow.letters import edited
from naq.job import JobSpec, new_id
from naq.limits.why import explain
from naq.testing import override
from naq.worker.arguments import read_arguments

_stores = itertools.count()


@dataclass
class Address:
    user: str
    host: str


def app_of(version: int, *, name: str = "versions", **settings: Any) -> Naq:
    """The app as it was at `version` of its task: first a text, then its two halves by name, then one address."""
    app = Naq(name, broker_url=settings.pop("broker_url", f"memory:versions-{next(_stores)}"), **settings)
    if version == 1:

        @app.task(name="send")
        async def send_first(to: str, copies: int = 1) -> str:
            return f"1: {to} {copies}"

    elif version == 2:

        @app.task(name="send", version=2)
        async def send_second(user: str, host: str, *, when: datetime) -> str:
            return f"2: {user} {host} {when:%Y}"

    else:

        @app.task(name="send", version=3)
        async def send(to: Address, when: datetime) -> str:
            assert isinstance(to, Address)
            return f"3: {to.user} at {to.host} {when:%Y}"

        @send.upcast(1)
        def _(to: str, copies: int = 1) -> dict[str, Any]:
            assert copies == 1, "no copies any more"
            user, _, host = to.partition("@")
            return {"user": user, "host": host, "when": datetime(2026, 1, 1, tzinfo=UTC)}

        @send.upcast(2)
        def _(user: str, host: str, *, when: datetime) -> tuple[Address, datetime]:
            assert isinstance(when, datetime), "it has the types of its own annotations"
            return Address(user, host), when

    return app


def play(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # pyright: ignore[reportArgumentType]


async def old_job(now: Naq, version: int, *args: Any, **kwargs: Any) -> str:
    """Enqueue, where `now` keeps its jobs, as the code of `version` did."""
    then = app_of(version)
    call = then.get_task("send").call(*args, **kwargs)
    spec = call.plan.build(call.args, call.kwargs, 1.0)
    await (await now.connect()).enqueue([spec])
    return spec.id


@pytest.mark.filterwarnings("ignore::naq.codec.caution.PickleWarning")
@pytest.mark.parametrize("codec", ["json", "pickle"])
def test_old_arguments_come_through_all_steps(codec: str) -> None:
    new, old = app_of(3, codec=codec).get_task("send"), app_of(1, codec=codec).get_task("send")
    args, kwargs = old.signature.encode(("a@b",), {})
    values, named = read_arguments(new, codec, args, kwargs, {}, 1)
    assert (tuple(values), named) == ((Address("a", "b"), datetime(2026, 1, 1, tzinfo=UTC)), {})


def test_jobs_of_every_version_run_and_carry_it() -> None:
    async def test() -> None:
        app = app_of(3)
        with override(app) as jobs:
            first = await old_job(app, 1, "a@b")
            second = await old_job(app, 2, "c", "d", when=datetime(2027, 1, 1, tzinfo=UTC))
            third = await app.get_task("send").enqueue(Address("e", "f"), datetime(2028, 1, 1, tzinfo=UTC))
            backend = await app.connect()
            specs = await backend.specs([first, second, third.id])
            assert [decode_envelope(specs[id_].payload).version for id_ in (first, second, third.id)] == [1, 2, 3]
            assert b"version" not in specs[first].payload, "what was always so is not said"
            await jobs.drain()
            results = [await app.job(id_).result(timeout=5) for id_ in (first, second, third.id)]
            assert results == ["3: a at b 2026", "3: c at d 2027", "3: e at f 2028"]

    play(test)


def test_a_result_of_another_job_is_an_old_argument_as_well() -> None:
    async def test() -> None:
        app, then = app_of(3), app_of(1)

        @app.task(name="who")
        async def who() -> str:
            return "g@h"

        with override(app) as jobs:
            parent = await who.enqueue()
            call = then.get_task("send").call(result_of(parent))
            child = call.plan.build(call.args, call.kwargs, 1.0)
            await (await app.connect()).enqueue([child])
            await jobs.drain()
            assert await app.job(child.id).result(timeout=5) == "3: g at h 2026"

    play(test)


def test_newer_than_the_code_it_waits_and_says_so_until_a_worker_knows() -> None:
    async def test() -> None:
        old, store = app_of(1), f"memory:versions-{next(_stores)}"
        new = app_of(3, broker_url=store)
        old = app_of(1, broker_url=store)
        async with new, old:
            with override(old) as jobs:
                spec = new.get_task("send").call(Address("a", "b"), datetime(2028, 1, 1, tzinfo=UTC))
                job = spec.plan.build(spec.args, spec.kwargs, 1.0)
                backend = await old.connect()
                await backend.enqueue([job])
                await jobs.drain()
                record = await backend.get(job.id)
                assert record is not None
                assert (record.state, record.attempt, record.errors) == (JobState.SCHEDULED, 1, [])
                assert record.reason == "no worker here knows version 3 of task 'send', only up to 1"
                found = await explain(backend, job.id)
                assert (found.cause, "deploy the code" in found.text) == ("unknown task", True)
                assert found.earliest > 0

    play(test)


def test_without_an_upcaster_it_fails_once_and_can_be_run_again_when_there_is_one() -> None:
    async def test() -> None:
        app = app_of(2)
        with override(app) as jobs:
            job_id = await old_job(app, 1, "a@b")
            drained = await jobs.drain()
            assert [record.state for record in drained.records] == [JobState.FAILED]
            with pytest.raises(JobExecutionError, match=r"nothing makes version 2 of version 1: add @task.upcast\(1\)"):
                await app.job(job_id).result(timeout=5)

            @app.get_task("send").upcast(1)
            def _(to: str, copies: int = 1) -> dict[str, Any]:
                return {"user": to, "host": str(copies), "when": "2030-01-01T00:00:00Z"}

            assert await (await app.connect()).requeue(job_id)
            await jobs.drain()
            assert await app.job(job_id).result(timeout=5) == "2: a@b 1 2030"

    play(test)


def test_an_edited_dead_letter_keeps_the_version_that_its_arguments_are_of() -> None:
    async def test() -> None:
        app = app_of(3)
        with override(app) as jobs:
            job_id = await old_job(app, 1, "a@b", copies=2)  # which the upcaster refuses
            drained = await jobs.drain()
            assert drained.records[0].errors[0].type == "builtins.AssertionError"
            backend = await app.connect()
            letter = await backend.letter(job_id)
            assert letter is not None
            assert await backend.requeue(job_id, payload=edited(letter, app.config, kwargs={"copies": 1}))
            await jobs.drain()
            assert await app.job(job_id).result(timeout=5) == "3: a at b 2026"

    play(test)


def test_an_attempt_that_failed_comes_again_with_its_version() -> None:
    async def test() -> None:
        app = Naq("again", broker_url=f"memory:versions-{next(_stores)}")
        seen: list[int] = []

        @app.task(name="send", version=2, retries=2)
        async def send(number: int) -> int:
            seen.append(number)
            if len(seen) < 3:
                raise ValueError(number)
            return number

        @send.upcast(1)
        def _(text: str) -> dict[str, Any]:
            return {"number": int(text)}

        with override(app) as jobs:
            payload = encode_envelope(Envelope(v=VERSION, task="send", args=Raw(encode(["7"]))))
            spec = JobSpec(id=new_id(), payload=payload)
            await (await app.connect()).enqueue([spec])
            await jobs.drain(advance=timedelta(hours=1))
            assert await app.job(spec.id).result(timeout=5) == 7
        assert seen == [7, 7, 7]

    play(test)


def test_a_schedule_keeps_the_version_its_arguments_were_made_for() -> None:
    async def test() -> None:
        store = f"memory:versions-{next(_stores)}"
        new, old = app_of(3, broker_url=store), app_of(1, broker_url=store)
        with override(new) as jobs:
            call = old.get_task("send").call("a@b")
            await new.schedules.create("nightly", call, interval=60)
            drained = await jobs.drain(advance=timedelta(seconds=90))
            assert [record.state for record in drained.records] == [JobState.SUCCEEDED]
            assert drained.records[0].result is not None
            assert bytes(drained.records[0].result) == b'"3: a at b 2026"'

    play(test)


def test_a_job_as_bytes_carries_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        new, old = app_of(3), app_of(1)
        job = await old.get_task("send").enqueue("a@b")
        data = job.serialize()
        from naq.task import function

        known = function.Function("send", new.get_task("send").func, new.get_task("send"))
        monkeypatch.setitem(function._named, "send", known)  # pyright: ignore[reportPrivateUsage]
        again = Job.deserialize(data)
        assert again.args == (Address("a", "b"), datetime(2026, 1, 1, tzinfo=UTC))
        assert decode_envelope(again.serialize()).version == 3
        await old.close()

    play(test)


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        ({"user": "a"}, "missing a required argument: 'host'"),
        ({"user": "a", "host": 1, "when": "2026-01-01T00:00:00Z"}, "parameter 'host' does not fit"),
        ({"user": "a", "host": object()}, "cannot be stored"),
        (["a", "b"], "returned a list; expected a dict"),
        (None, "returned a NoneType"),
    ],
)
def test_what_an_upcaster_returns_is_checked(returned: Any, says: str) -> None:
    app = app_of(2)
    task = app.get_task("send")

    @task.upcast(1)
    def _(to: str) -> Any:
        return returned

    with pytest.raises(SerializationError, match=says):
        read_arguments(task, "json", Raw(b'["a@b"]'), Raw(b"{}"), {}, 1)


def test_what_cannot_be_is_refused_where_it_stands() -> None:
    app = Naq("refused", broker_url=f"memory:versions-{next(_stores)}")
    for version in (0, -1, 1.5, True, "2", 10**7):
        with pytest.raises(ConfigurationError, match="version is"):
            app.task(name="no", version=version)  # pyright: ignore[reportArgumentType, reportCallIssue]

    @app.task(name="send", version=3)
    async def send(to: str) -> None: ...

    def nothing() -> dict[str, Any]:
        return {}

    for version in (0, 3, 4, True):
        with pytest.raises(ConfigurationError, match="leads nowhere: the task is of version 3"):
            send.upcast(version)(nothing)
    send.upcast(1)(nothing)
    with pytest.raises(ConfigurationError, match="there already"):
        send.upcast(1)(nothing)

    async def later() -> dict[str, Any]:
        return {}

    with pytest.raises(ConfigurationError, match="plain function"):
        send.upcast(2)(later)  # pyright: ignore[reportArgumentType]
    assert send.versions.gaps() == [2]


@pytest.mark.parametrize("version", [0, -1, 1.5, '"2"', 10**7])
def test_a_message_with_a_version_that_is_none_is_malformed(version: object) -> None:
    with pytest.raises(SerializationError, match="malformed"):
        decode_envelope(f'{{"v":1,"task":"send","version":{version}}}'.encode())

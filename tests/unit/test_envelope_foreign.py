"""A program that knows only docs/wire.md and a NATS client: it enqueues, delays, waits for results, and errs."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
import nats
import pytest
from nats.js.errors import APIError

from naq import Naq, current_context
from naq.worker import Worker

GUARD = "Nats-Expected-Last-Subject-Sequence"
LIMIT = 20.0  # seconds for anything to happen
ran: list[str] = []  # whom `hello` has greeted


@asynccontextmanager
async def stranger(url: str, namespace: str) -> AsyncGenerator[Any]:
    """A connection that knows nothing of naq, beside a worker that does."""
    app = Naq(namespace, broker_url=url)

    @app.task(name="hello")
    async def hello(name: str, *, when: datetime | None = None) -> dict[str, Any]:
        ran.append(name)
        return {"name": name, "when": when, "tags": current_context().tags}

    worker = Worker(app)
    async with app:
        running = asyncio.create_task(worker.run())
        await asyncio.wait_for(worker.wait_ready(), LIMIT)
        client: Any = await cast("Any", nats).connect(url)
        try:
            yield client
        finally:
            await client.close()
            worker.stop()
            await asyncio.wait_for(running, LIMIT)


async def enqueue(client: Any, subject: str, message: str, **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    await client.jetstream().publish(subject, message.encode(), headers={GUARD: "0", **named})


async def emptied(client: Any, stream: str) -> None:
    while (await client.jetstream().stream_info(stream)).state.messages:  # noqa: ASYNC110 - the broker does not tell
        await asyncio.sleep(0.01)


async def ended(client: Any, namespace: str, job_id: str, message: str, **headers: str) -> dict[str, Any]:
    """Enqueue on the default queue, and the record that is pushed when the job has ended."""
    pushed = await client.subscribe(f"naq.{namespace}.c.r.default.{job_id}")
    subject = headers.pop("subject", f"naq.{namespace}.j.q.default.n.-.{job_id}")
    await enqueue(client, subject, message, **headers)
    record = await pushed.next_msg(LIMIT)
    stored = await client.jetstream().get_last_msg(f"NAQ_{namespace}_LOG", f"naq.{namespace}.r.default.{job_id}")
    assert stored.data == record.data
    return msgspec.json.decode(record.data)


def test_the_shortest_message_runs(url: str):
    async def scenario() -> dict[str, Any]:
        async with stranger(url, "short") as client:
            return await ended(client, "short", "order-17", '{"v":1,"task":"hello","args":["x"]}')

    record = asyncio.run(scenario())
    assert (record["id"], record["state"], record["task"]) == ("order-17", "succeeded", "hello")
    assert record["result"] == {"name": "x", "when": None, "tags": {}}


def test_names_tags_and_types_arrive(url: str):
    message = '{"v":1,"task":"hello","kwargs":{"name":"Grüße","when":"2026-07-01T12:00:00"}}'

    async def scenario() -> dict[str, Any]:
        async with stranger(url, "full") as client:
            tags = {"Naq_Tag_shop": "berlin", "Naq_Tag_who": "M%C3%BCller"}
            return await ended(client, "full", "a", message, **tags)

    record = asyncio.run(scenario())
    tags = {"shop": "berlin", "who": "Müller"}
    assert record["tags"] == tags
    assert record["result"] == {"name": "Grüße", "when": "2026-07-01T12:00:00Z", "tags": tags}


def test_the_same_id_is_one_job(url: str):
    ran.clear()

    def greeting(name: str) -> str:
        return f'{{"v":1,"task":"hello","args":["{name}"]}}'

    async def scenario() -> None:
        async with stranger(url, "twice") as client:
            await ended(client, "twice", "a", greeting("first"))
            await enqueue(
                client, "naq.twice.j.q.default.n.-.a", greeting("second")
            )  # stored; its worker sees the record
            await ended(client, "twice", "b", greeting("third"))
            await asyncio.wait_for(emptied(client, "NAQ_twice_JOBS"), LIMIT)
            await enqueue(client, "naq.twice.j.q.nobody.n.-.c", greeting("fourth"))
            with pytest.raises(APIError) as refused:
                await enqueue(client, "naq.twice.j.q.nobody.n.-.c", greeting("fifth"))
            assert refused.value.err_code == 10071

    asyncio.run(scenario())
    assert ran == ["first", "third"]


def test_a_timer_starts_at_its_time_and_not_before(url: str):
    async def scenario() -> tuple[float, dict[str, Any]]:
        async with stranger(url, "later") as client:
            due = time.time() + 1.5
            record = await ended(
                client,
                "later",
                "a",
                '{"v":1,"task":"hello","args":["x"]}',
                subject="naq.later.j.s.default.h.-.a",
                Nats_Schedule=f"@at {datetime.fromtimestamp(due, UTC).isoformat().replace('+00:00', 'Z')}",
                Nats_Schedule_Target="naq.later.j.q.default.h.-.a",
                Nats_Schedule_Rollup="sub",
            )
            return due, record

    due, record = asyncio.run(scenario())
    assert record["state"] == "succeeded"
    assert record["priority"] == "high"
    assert due <= record["started_at"] < due + 5


def test_arguments_that_do_not_fit_fail_with_the_reason(url: str):
    async def scenario() -> dict[str, Any]:
        async with stranger(url, "misfit") as client:
            return await ended(client, "misfit", "a", '{"v":1,"task":"hello","args":[5]}')

    record = asyncio.run(scenario())
    assert record["state"] == "failed"
    (error,) = record["errors"]
    assert error["message"] == "task 'hello': parameter 'name' does not fit str: Expected `str`, got `int`"


@pytest.mark.parametrize(
    ("number", "message", "reason"),
    [
        (0, "not json", "malformed job: JSON is malformed"),
        (1, '{"v":2,"task":"hello"}', "malformed job: version 2 of the wire format is unknown"),
        (2, '{"v":1,"task":"os:system","args":["true"]}', "refused import path"),
        (3, '{"v":1,"task":"hello","args":' + "[" * 100 + "]" * 100 + "}", "malformed job: nested more than 64 deep"),
        (4, '{"v":1,"task":"hello","task":"hello"}', "malformed job: the field 'task' is given twice"),
        (5, '{"v":1,"task":"hello","args":["' + "x" * 2**20 + '"]}', "malformed job: 1048610 bytes, more than the"),
    ],
    ids=["garbage", "version", "import path", "depth", "twice", "size"],
)
def test_what_is_malformed_is_kept_raw_with_the_reason(url: str, number: int, message: str, reason: str):
    namespace = f"bad{number}"

    async def scenario() -> Any:
        async with stranger(url, namespace) as client:
            pull = await client.jetstream().pull_subscribe(
                f"naq.{namespace}.d.malformed.>", stream=f"NAQ_{namespace}_DEAD"
            )
            await enqueue(client, f"naq.{namespace}.j.q.default.n.-.a", message)
            (letter,) = await pull.fetch(1, LIMIT)
            good = await ended(client, namespace, "b", '{"v":1,"task":"hello","args":["x"]}')
            assert good["state"] == "succeeded"
            return letter

    letter = asyncio.run(scenario())
    assert letter.subject.startswith(f"naq.{namespace}.d.malformed.default.")
    assert letter.data == message.encode()
    assert letter.headers["Naq-Reason"].startswith(reason)

"""Signed jobs: who may enqueue where only signed jobs are taken, and what does not get through."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import pytest
from security_tools import Trap, key, letters, refused, stored_job, stored_record

from naq import Naq, current_context
from naq.exceptions import JobExecutionError, PayloadTooLarge
from naq.job import JobState, new_id
from tests.tools import make_app, memory_url, put, run, store, until, working

pytestmark = pytest.mark.filterwarnings("ignore::naq.codec.caution.PickleWarning")
OLD, NEW, STRANGE = key("old"), key("new"), key("strange")


def ours(**settings: Any) -> tuple[Naq, list[Any]]:
    """An app whose one task notes what it was called with."""
    app = make_app(**{"signing_keys": [NEW, OLD], **settings})
    seen: list[Any] = []

    @app.task(name="note", retry=[0.0])
    async def note(value: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        seen.append(value)
        if value == "twice" and current_context().attempt == 1:
            raise ValueError("once more")
        if value == "never":
            raise ValueError("no good")
        return value

    return app, seen


def signed(body: str, job_id: str, *, text: str = NEW, namespace: str = "test", queue: str = "default") -> bytes:
    """`body` signed as docs/wire.md says, by a program that knows only that."""
    key_id, _, secret = text.partition(":")
    place = f"naq-job-1\n{namespace}\n{queue}\n{job_id}\n"
    mac = hmac.new(base64.b64decode(secret), (place + body).encode(), hashlib.sha256).hexdigest()
    return f'{body[:-1]},"sig":"{key_id}:{mac}"}}'.encode()


BODY = '{"v":1,"task":"note","args":["x"]}'


@pytest.mark.parametrize("value", ["once", "twice"])
def test_jobs_and_results_are_signed_by_the_first_key(value: str) -> None:
    app, seen = ours()

    async def test() -> None:
        async with working(app):
            job = await app.tasks["note"].enqueue(value)
            assert await job.result(timeout=5) == value
        assert (await stored_record(app, job.id)).sig.startswith("new:")

    run(test())
    assert set(seen) == {value}


@pytest.mark.parametrize(
    ("signs_with", "accepts"),
    [([OLD], [NEW, OLD]), ([NEW, OLD], [OLD, NEW]), ([NEW], ["none", NEW])],
)
def test_rotation_what_an_old_key_signed_is_taken_and_what_is_answered_too(
    signs_with: list[str], accepts: list[str]
) -> None:
    url = memory_url()
    client, _ = ours(broker_url=url, signing_keys=signs_with)
    worker, seen = ours(broker_url=url, signing_keys=accepts)

    async def test() -> None:
        job = await client.tasks["note"].enqueue("x")
        async with working(worker):
            assert await worker.job(job.id).result(timeout=5) == "x"
        await client.close()

    run(test())
    assert seen == ["x"]


def test_a_foreign_program_signs_with_what_the_page_says() -> None:
    app, seen = ours()

    async def test() -> None:
        await put(app, signed(BODY, "order-17"), job_id="order-17")
        spaced = signed(BODY, "order-18").replace(b',"sig":"', b' , "sig" :\n "')
        await put(app, spaced, job_id="order-18")
        async with working(app) as worker:
            await until(lambda: worker.processed == 2)
        assert await letters(app) == []

    run(test())
    assert seen == ["x", "x"]


WRONG = {
    "not signed": (BODY.encode(), "it is not signed, and only signed jobs are taken here"),
    "not even json": (b"\xff\x00", "it is not signed"),
    "nothing": (b"", "it is not signed"),
    "signed for another job": (signed(BODY, "another"), r"its signature \(key 'new'\) is wrong"),
    "signed for another queue": (signed(BODY, "the-job", queue="other"), "is wrong"),
    "signed for another namespace": (signed(BODY, "the-job", namespace="shop"), "is wrong"),
    "changed": (signed(BODY, "the-job").replace(b'"x"', b'"y"'), "is wrong"),
    "signed by a stranger": (signed(BODY, "the-job", text=STRANGE), "key 'strange', which is not among signing_keys"),
    "signed by a stranger with our key's id": (
        signed(BODY, "the-job", text="new:" + STRANGE.partition(":")[2]),
        "is wrong",
    ),
    "a signature of zeros": (BODY[:-1].encode() + b',"sig":"new:' + b"0" * 64 + b'"}', "is wrong"),
    "a short signature": (signed(BODY, "the-job")[:-12] + b'"}', "it is not signed"),
    "a signature in front": (
        b'{"sig":"new:' + b"0" * 64 + b'",' + BODY[1:].encode(),
        "it is not signed",
    ),
    "a signature inside": (signed(BODY, "the-job")[:-1] + b',"at":1}', "it is not signed"),
    "signed twice": (signed(signed(BODY, "the-job").decode(), "the-job")[:-1] + b',"sig":"new:"}', "it is not signed"),
    "signed, and no job": (signed('{"v":1}', "the-job"), "missing required field"),
    "signed, and an import path": (signed('{"v":1,"task":"os:system"}', "the-job"), "refused import path"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_not_signed_well_goes_raw_to_the_dead_letters(what: str) -> None:
    app, seen = ours()
    payload, reason = WRONG[what]

    async def test() -> None:
        said = await refused(app, payload, job_id="the-job")
        assert re.search(reason, said), said

    run(test())
    assert seen == []


def test_a_signed_job_that_is_replayed_under_another_id_is_refused() -> None:
    app, seen = ours()

    async def test() -> None:
        await app.tasks["note"].enqueue("pay")
        stolen = (await stored_job(app)).payload
        assert "is wrong" in await refused(app, stolen, job_id=new_id())

    run(test())
    assert seen == []


def test_a_worker_without_keys_takes_signed_jobs_so_that_producers_may_begin() -> None:
    url = memory_url()
    client, _ = ours(broker_url=url)
    worker, seen = ours(broker_url=url, signing_keys=[])

    async def test() -> None:
        job = await client.tasks["note"].enqueue("x")
        async with working(worker):
            await stored_record(worker, job.id)
        await client.close()

    run(test())
    assert seen == ["x"]


@pytest.mark.parametrize("keys", [["none", NEW], [NEW, "none"]])
def test_with_none_unsigned_jobs_are_taken_but_no_wrong_ones(keys: list[str]) -> None:
    app, seen = ours(signing_keys=keys)

    async def test() -> None:
        await put(app, BODY.encode())
        await put(app, WRONG["changed"][0], job_id="the-job")
        await put(app, WRONG["signed by a stranger"][0], job_id="the-other")
        async with working(app) as worker:
            await until(lambda: worker.processed == 3)
        assert len(await letters(app)) == 2

    run(test())
    assert seen == ["x"]


@pytest.mark.parametrize("keys", [["none", NEW], [NEW, "none"]])
def test_an_unsigned_pickle_is_never_read_where_there_are_keys(tmp_path: Path, keys: list[str]) -> None:
    """Not even during a rollout that accepts unsigned JSON."""
    trap, url = Trap(tmp_path), memory_url()
    client, _ = ours(broker_url=url, codec="pickle", signing_keys=[])
    worker, seen = ours(broker_url=url, codec="pickle", signing_keys=keys)

    async def test() -> None:
        await client.tasks["note"].enqueue(trap)
        async with working(worker) as running:
            await until(lambda: running.processed == 1)
        (letter,) = await letters(worker)
        assert "its arguments are pickled and it is not signed" in letter.reason
        await client.close()

    run(test())
    assert seen == []
    assert not trap.sprung


def test_a_signed_pickle_is_read() -> None:
    app, seen = ours(codec="pickle")

    async def test() -> None:
        async with working(app):
            await (await app.tasks["note"].enqueue("x")).result(timeout=5)

    run(test())
    assert seen == ["x"]


def test_a_signed_job_over_the_limit_is_refused_by_the_client_and_one_below_survives_its_retries() -> None:
    app, seen = ours(max_payload=2000)

    async def test() -> None:
        with pytest.raises(PayloadTooLarge, match=r"once it is signed or encrypted, more than the limit of 2000"):
            await app.tasks["note"].enqueue("x" * 1900)
        async with working(app):
            job = await app.tasks["note"].enqueue("x" * 1000)
            assert await job.result(timeout=5) == "x" * 1000
            again = await app.tasks["note"].enqueue("twice")
            assert await again.result(timeout=5) == "twice"
            with pytest.raises(JobExecutionError, match="no good"):
                await (await app.tasks["note"].enqueue("never")).result(timeout=5)

    run(test())
    assert seen.count("never") == 2


def test_a_dead_job_that_is_run_again_is_still_signed() -> None:
    app, seen = ours()

    async def test() -> None:
        async with working(app):
            job = await app.tasks["note"].enqueue("never")
            await stored_record(app, job.id)
            async with store(app) as backend:
                assert await backend.requeue(job.id)
            await until(lambda: len(seen) == 4)
            assert (await stored_record(app, job.id)).run == 2

    run(test())
    assert seen == ["never"] * 4


def test_what_people_see_of_a_waiting_job_needs_no_key() -> None:
    app, _ = ours()

    async def test() -> None:
        job = await app.tasks["note"].options(delay=60).enqueue("x")
        record = await job.record()
        assert (record.task, record.state) == ("note", JobState.SCHEDULED)
        await job.cancel()
        assert await job.status() is JobState.CANCELLED
        assert (await job.record()).sig == ""
        await app.close()

    run(test())


def test_a_worker_with_other_keys_leaves_the_job_for_a_person() -> None:
    url = memory_url()
    client, _ = ours(broker_url=url, signing_keys=[STRANGE])
    worker, seen = ours(broker_url=url)

    async def test() -> None:
        await client.tasks["note"].enqueue("x")
        async with working(worker) as running:
            await until(lambda: running.processed == 1)
        (letter,) = await letters(worker)
        assert letter.kind == "malformed"
        assert json.loads(letter.payload)["sig"].startswith("strange:")
        await client.close()

    run(test())
    assert seen == []

"""What a job was called with stands in its record, so that it is known of one that ran at once."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from naq import Naq
from naq.backends.base import Claim, Settled
from naq.backends.memory import MemoryBackend
from naq.codec.arguments import carried
from naq.exceptions import PayloadTooLarge
from naq.job import JobRecord, JobState
from tests.tools import ended, make_app, put, run, store, working


def declare(app: Naq) -> None:
    @app.task(name="take", retries=0)
    async def take(n: int, to: str = "") -> str:  # pyright: ignore[reportUnusedFunction]
        if n < 0:
            raise ValueError(to)
        return "x" * n


def recorded(*payloads: bytes, stored: bool = False, **settings: Any) -> list[JobRecord]:
    """The records of jobs that `payloads` are, or as they are `stored`."""
    app, found = make_app(**settings), list[JobRecord]()
    declare(app)

    async def test() -> None:
        async with working(app):
            for payload in payloads:
                job = app.job(await put(app, payload))
                record = await ended(job)
                if stored:
                    async with store(app) as backend:
                        there = await backend.get(job.id)
                        assert there is not None
                        record = there
                found.append(record)

    run(test())
    return found


def called(record: JobRecord) -> bytes | None:
    return None if record.arguments is None else bytes(record.arguments)


@pytest.mark.parametrize(
    ("call", "state", "arguments"),
    [
        (b'"args":[2]', JobState.SUCCEEDED, b'{"args":[2],"kwargs":{}}'),
        (b'"kwargs":{"n":2, "to":"\xc3\xa9"}', JobState.SUCCEEDED, b'{"args":[],"kwargs":{"n":2, "to":"\xc3\xa9"}}'),
        (b'"args":[-1,"why"]', JobState.FAILED, b'{"args":[-1,"why"],"kwargs":{}}'),
        (b'"args":["no number"]', JobState.FAILED, b'{"args":["no number"],"kwargs":{}}'),
        (b'"args":["\xff"]', JobState.FAILED, None),
        (b'"args":[2],"expires_at":1.0', JobState.EXPIRED, b'{"args":[2],"kwargs":{}}'),
    ],
    ids=["by position", "by name", "failed", "wrong", "no text", "expired"],
)
def test_the_record_carries_what_the_job_was_called_with(call: bytes, state: JobState, arguments: bytes | None) -> None:
    [record] = recorded(b'{"v":1,"task":"take",%b}' % call)
    assert (record.state, called(record)) == (state, arguments)


def test_longer_ones_are_left_out_and_said_to_be_and_0_keeps_none() -> None:
    long = b'{"v":1,"task":"take","args":[1,"%b"]}' % (b"x" * 80)
    [record] = recorded(long, record_arguments=100)
    assert called(record) == b'{"naq:left_out":"107 bytes, more than the limit of 100 (record_arguments)"}'
    [record] = recorded(long, record_arguments=0)
    assert (record.state, called(record)) == (JobState.SUCCEEDED, None)


def test_pickled_and_encrypted_ones_are_nobody_elses() -> None:
    assert carried("pickle", Raw(b'["gASV"]'), Raw(b"{}"), 8192) is None
    assert carried("encrypted", Raw(b'["a","gASV"]'), Raw(b"{}"), 8192) is None


def test_a_result_that_only_fits_without_them_is_stored_without(monkeypatch: pytest.MonkeyPatch) -> None:
    complete = MemoryBackend.complete

    async def small(self: MemoryBackend, claim: Claim, record: JobRecord) -> Settled:
        if record.arguments is not None:
            raise PayloadTooLarge("the broker takes less")
        return await complete(self, claim, record)

    monkeypatch.setattr(MemoryBackend, "complete", small)
    [record] = recorded(b'{"v":1,"task":"take","args":[2]}')
    assert (record.state, called(record), bytes(record.result or b"")) == (JobState.SUCCEEDED, None, b'"xx"')

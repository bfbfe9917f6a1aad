"""Records that are signed or encrypted: what a client takes for a result, and what it does not."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace
from security_tools import Trap, key, stored_record

from naq import Naq
from naq.backends.base import Claim
from naq.codec.record import decode_record, encode_record
from naq.codec.seal import Seal
from naq.codec.sealing import opened, seal_for
from naq.config import Config
from naq.exceptions import JobExecutionError, SerializationError, WorkerLost
from naq.job import AttemptError, JobRecord, JobState
from tests.tools import make_app, memory_url, run, store, until, working

SIGNED: Mapping[str, Any] = {"signing_keys": [key("a")]}
ENCRYPTED: Mapping[str, Any] = {"encryption_keys": [key("b")]}
BOTH: Mapping[str, Any] = {**SIGNED, **ENCRYPTED}
ALL = pytest.mark.parametrize("settings", [SIGNED, ENCRYPTED, BOTH], ids=["signed", "encrypted", "both"])
ERROR = AttemptError(type="builtins.ValueError", message="it was 0.1 \u2028 \u00fc", attempt=1, at=1790000000.123456)
RECORD = JobRecord(
    id="j",
    state=JobState.SUCCEEDED,
    queue="mail",
    task="shop.send",
    run=2,
    result=Raw(b'{"b": 1e3, "a":[1,\n2]}'),
    errors=[ERROR],
    reason="why",
    arguments=Raw(b'{"args":["secret"],"kwargs":{}}'),
    finished_at=1.5,
)


def seal(settings: Mapping[str, Any]) -> tuple[Seal, Config]:
    config = Config(namespace="test", **settings)
    made = seal_for(config)
    assert made is not None
    return made, config


@ALL
def test_a_record_comes_back_as_it_was_also_through_json(settings: Mapping[str, Any]) -> None:
    made, config = seal(settings)
    stored = decode_record(encode_record(made.seal_record(RECORD)))
    back = opened(stored, "j", config)
    assert bytes(back.result or b"") == bytes(RECORD.result or b"")
    assert (back.errors, back.reason) == ([ERROR], "why")
    assert bytes(back.arguments or b"") == bytes(RECORD.arguments or b"")
    assert bool(stored.sealed) == ("encryption_keys" in settings)
    assert bool(stored.sig) == ("signing_keys" in settings)
    if stored.sealed:
        assert stored.result is stored.arguments is None
        assert (stored.reason, stored.errors[0].message, stored.errors[0].type) == ("", "(encrypted)", ERROR.type)


@ALL
@pytest.mark.parametrize(
    "changes",
    [
        {"queue": "other"},
        {"task": "shop.other"},
        {"run": 3},
        {"state": JobState.FAILED},
        {"result": Raw(b"5")},
        {"errors": []},
        {"reason": "because"},
        {"arguments": Raw(b"{}")},
        {"task": "shop.send\nshop.send"},
    ],
    ids=["queue", "task", "run", "state", "result", "errors", "reason", "arguments", "two lines"],
)
def test_a_changed_record_is_not_taken(settings: Mapping[str, Any], changes: dict[str, Any]) -> None:
    made, config = seal(settings)
    stored = made.seal_record(RECORD)
    if stored.sealed and set(changes) & {"result", "errors", "reason", "arguments"}:  # what is encrypted is what counts
        assert bytes(opened(replace(stored, **changes), "j", config).result or b"") == bytes(RECORD.result or b"")
        return
    with pytest.raises(SerializationError, match="the record of job j is not taken: "):
        opened(replace(stored, **changes), "j", config)


@ALL
def test_another_jobs_record_is_not_taken(settings: Mapping[str, Any]) -> None:
    made, config = seal(settings)
    with pytest.raises(SerializationError, match="the record of job other is not taken: it"):
        opened(made.seal_record(RECORD), "other", config)


@ALL
@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED])
def test_what_ended_without_a_worker_needs_no_key_but_a_success_does(
    settings: Mapping[str, Any], state: JobState
) -> None:
    _, config = seal(settings)
    ended = replace(RECORD, state=state, result=None)
    assert opened(ended, "j", config) == ended
    with pytest.raises(SerializationError, match=r"only (signed|encrypted)"):
        opened(RECORD, "j", config)
    waits = replace(RECORD, state=JobState.RUNNING)
    assert opened(waits, "j", config) == waits


@ALL
def test_with_none_what_has_no_key_is_taken(settings: Mapping[str, Any]) -> None:
    _, config = seal({name: ["none", *keys] for name, keys in settings.items()})
    assert opened(RECORD, "j", config) == RECORD


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sealed": "b:AAAA"}, "cut off"),
        ({"sealed": "c:AAAA"}, "key 'c', which is not among encryption_keys"),
        ({"sealed": "nothing"}, "key 'nothing'"),
        ({"sealed": ""}, "only encrypted ones"),
    ],
)
def test_what_cannot_be_decrypted_is_not_taken(changes: dict[str, Any], reason: str) -> None:
    made, config = seal(ENCRYPTED)
    with pytest.raises(SerializationError, match=reason):
        opened(replace(made.seal_record(RECORD), **changes), "j", config)


def test_without_keys_an_encrypted_result_is_said_to_be_one_and_a_failure_is_a_failure() -> None:
    made, _ = seal(ENCRYPTED)
    with pytest.raises(SerializationError, match="job j is not taken: it is encrypted, and there are no encryption_ke"):
        opened(made.seal_record(RECORD), "j", Config(namespace="test"))
    failed = made.seal_record(replace(RECORD, state=JobState.FAILED))
    assert opened(failed, "j", Config(namespace="test")) == failed
    assert opened(failed, "j", Config(namespace="test", signing_keys=("none", key("x")))) == failed


@pytest.mark.parametrize(
    ("worker", "kept"),
    [
        ((key("b"),), b'{"args":[],"kwargs":{"n":7}}'),
        ((key("b"), "none"), b'{"args":[],"kwargs":{"n":7}}'),
        (("none", key("b")), None),
    ],
    ids=["on", "turned on", "turned off"],
)
def test_arguments_of_an_encrypted_job_are_in_no_record_that_is_not(
    worker: tuple[str, ...], kept: bytes | None
) -> None:
    url = memory_url()
    producer, worker_app = make_app(broker_url=url, **ENCRYPTED), make_app(broker_url=url, encryption_keys=worker)
    for app in (producer, worker_app):
        app.task(name="work")(_work)

    async def test() -> None:
        async with working(worker_app):
            job = await producer.tasks["work"].enqueue(n=7)
            async with store(worker_app) as backend:
                stored = await backend.wait(job.id, timeout=30)
        assert b'"n":7' not in encode_record(stored)
        found = opened(stored, job.id, worker_app.config).arguments
        assert (None if found is None else bytes(found)) == kept
        await producer.close()

    run(test())


async def _work(n: int) -> None:
    pass


def test_a_signed_record_is_readable_without_keys() -> None:
    made, _ = seal(SIGNED)
    stored = made.seal_record(RECORD)
    assert opened(stored, "j", Config(namespace="test")) == stored
    assert bytes(stored.result or b"") == bytes(RECORD.result or b"")


async def forge(app: Naq, result: bytes) -> str:
    """Store a success of our own for a job that waits, as somebody may who can write to the broker; its id."""
    job = await app.tasks["work"].enqueue()
    async with store(app) as backend:
        (claim,) = await backend.fetch(["default"], limit=1, lease=30.0, wait=5.0)
        assert isinstance(claim, Claim)
        record = JobRecord(id=job.id, state=JobState.SUCCEEDED, task="work", result=Raw(result))
        await backend.complete(claim, record)
    return job.id


@ALL
def test_a_forged_result_reaches_nobody(settings: Mapping[str, Any]) -> None:
    app = make_app(**settings)

    @app.task(name="work")
    async def work() -> str:  # pyright: ignore[reportUnusedFunction]
        return "real"

    async def test() -> None:
        job = app.job(await forge(app, b'"forged"'))
        for ask in (job.result, job.record):
            with pytest.raises(SerializationError, match="is not taken"):
                await ask()
        assert await job.status() is JobState.SUCCEEDED
        await app.close()

    run(test())


@pytest.mark.filterwarnings("ignore::naq.codec.caution.PickleWarning")
def test_no_record_and_no_dead_letter_is_unpickled(tmp_path: Path) -> None:
    """Not even where pickle is opted into: results, errors and letters are JSON, and a pickle in them is text."""
    trap = Trap(tmp_path)
    data = pickle.dumps(trap)
    app = make_app(codec="pickle")

    @app.task(name="work")
    async def work() -> Any:  # pyright: ignore[reportUnusedFunction]
        return None

    async def test() -> None:
        text = base64.b64encode(data).decode()
        job = app.job(await forge(app, f'["{text}"]'.encode()))
        assert await job.result(timeout=5) == [text]
        async with store(app) as backend:
            waiting = await app.tasks["work"].enqueue()
            (claim,) = await backend.fetch(["default"], limit=1, lease=30.0, wait=5.0)
            failed = JobRecord(id=waiting.id, state=JobState.FAILED, task="work", errors=[replace(ERROR, message=text)])
            await backend.discard(claim, failed)
            assert len(await backend.dead()) == 1
            with pytest.raises(JobExecutionError, match=f"ValueError: {text[:20]}"):
                await waiting.result(timeout=5)

    run(test())
    assert not trap.sprung


@ALL
def test_a_job_that_workers_die_of_is_signed_and_encrypted_too(settings: Mapping[str, Any]) -> None:
    url = memory_url()
    app = make_app(**settings, broker_url=url, crash_limit=1, lease=0.2)

    @app.task(name="work")
    async def work() -> None: ...  # pyright: ignore[reportUnusedFunction]

    async def test() -> None:
        job = await app.tasks["work"].enqueue()
        for _ in range(2):
            async with store(app) as backend:
                assert await backend.fetch(["default"], limit=1, lease=0.05, wait=5.0)
        async with working(app) as worker:
            await until(lambda: worker.processed == 1)
            with pytest.raises(WorkerLost, match="delivered 2 times without an outcome"):
                await job.result(timeout=5)
        record = await stored_record(app, job.id)
        assert (bool(record.sig), bool(record.sealed)) == ("signing_keys" in settings, "encryption_keys" in settings)

    run(test())

"""Encrypted jobs and results: nothing of the arguments, results or errors is stored in the clear."""

from __future__ import annotations

import base64
import hmac
import json
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from security_tools import key, letters, refused, stored_job, stored_record

from naq import Naq, current_context
from naq.backends.base import DeadLetter
from naq.codec import cipher
from naq.codec.record import encode_record
from naq.config.keys import keyring
from naq.exceptions import (
    CancelJob,
    JobCancelled,
    JobExecutionError,
    PayloadTooLarge,
    SerializationError,
    SnoozeJob,
)
from naq.job import JobSpec, JobState
from tests.tools import make_app, memory_url, put, run, store, until, working

OLD, NEW, STRANGE = key("old"), key("new"), key("strange")
SECRET = "the-password-of-ada"
PLACE = b"naq-job-1\ntest\ndefault\nthe-job\n"


def ours(**settings: Any) -> tuple[Naq, list[Any]]:
    """An app whose one task does with the secret what its first argument says."""
    app = make_app(**{"encryption_keys": [NEW, OLD], **settings})
    seen: list[Any] = []

    @app.task(name="use", retry=[0.0])
    async def use(how: str, secret: str) -> str:  # pyright: ignore[reportUnusedFunction]
        seen.append(secret)
        attempt = current_context().attempt
        if how == "fail" or (how == "retry" and attempt == 1):
            raise ValueError(secret)
        if how == "cancel":
            raise CancelJob(secret)
        if how == "snooze" and len(seen) == 1:
            raise SnoozeJob(0.05, secret)
        return secret

    return app, seen


def encrypted(inner: bytes, place: bytes = PLACE, *, text: str = NEW, outside: str = "use") -> bytes:
    """`inner` encrypted as docs/wire.md says, by a program that knows only that."""
    key_id, _, secret = text.partition(":")
    salt, nonce = b"s" * 16, b"n" * 12
    derived = hmac.digest(base64.b64decode(secret), b"naq-encryption-1" + salt, "sha256")
    sealed = base64.b64encode(salt + nonce + AESGCM(derived).encrypt(nonce, inner, place)).decode()
    return json.dumps({"v": 1, "task": outside, "codec": "encrypted", "args": [key_id, sealed]}).encode()


def cut(payload: bytes, length: int) -> bytes:
    """An encrypted job of which only `length` bytes are left of what is encrypted."""
    read = json.loads(payload)
    read["args"][1] = base64.b64encode(base64.b64decode(read["args"][1])[:length]).decode()
    return json.dumps(read).encode()


INNER = json.dumps({"v": 1, "task": "use", "args": ["return", SECRET]}).encode()
GOOD = encrypted(INNER)


@pytest.mark.parametrize("signing", [[], [key("signs")]])
@pytest.mark.parametrize("how", ["return", "retry", "fail", "cancel", "snooze"])
def test_neither_job_nor_record_nor_letter_nor_event_shows_what_it_is_about(how: str, signing: list[str]) -> None:
    app, seen = ours(signing_keys=signing)
    stored: list[bytes] = []
    jobs: list[JobSpec] = []

    async def test() -> None:
        await app.tasks["use"].enqueue(how, SECRET)
        jobs.append(await stored_job(app))
        job = await app.tasks["use"].enqueue(how, SECRET)
        async with working(app):
            if how == "fail":
                with pytest.raises(JobExecutionError, match=f"ValueError: {SECRET}"):
                    await job.result(timeout=5)
            elif how == "cancel":
                with pytest.raises(JobCancelled, match=SECRET):
                    await job.result(timeout=5)
            else:
                assert await job.result(timeout=5) == SECRET
            record = await stored_record(app, job.id)
            stored.append(encode_record(record))
            opened = await job.record()
            assert opened.sealed == ""
            assert SECRET in f"{opened.errors}{opened.result and bytes(opened.result)}{opened.reason}"
        dead: list[DeadLetter] = await letters(app)
        stored.extend(letter.payload + letter.reason.encode() + str(letter.headers).encode() for letter in dead)
        assert len(dead) == (1 if how == "fail" else 0)
        async with store(app) as backend:
            events = [event for _, event in await backend.read()]
            stored.extend(event.data for event in events)
            assert ("attempt_failed" in {event.kind for event in events}) == (how in {"retry", "fail"})

    run(test())
    assert seen
    payload = jobs[0].payload
    assert json.loads(payload)["task"] == "use"
    for text in (payload, *stored):
        assert SECRET.encode() not in text
        assert base64.b64encode(SECRET.encode())[:-4] not in text


@pytest.mark.parametrize("how", ["fail", "snooze"])
def test_why_a_job_waits_does_not_tell_either(how: str) -> None:
    app, seen = ours()

    @app.task(name="wait", retry=[60.0])
    async def wait(how: str, secret: str) -> None:
        seen.append(secret)
        raise ValueError(secret) if how == "fail" else SnoozeJob(60.0, secret)

    async def test() -> None:
        async with working(app) as worker:
            job = await wait.enqueue(how, SECRET)
            await until(lambda: worker.processed == 1)
            record = await job.record()
            assert record.state in {JobState.RETRYING, JobState.SCHEDULED}
            assert SECRET not in str(record)
            assert record.reason == ("(encrypted)" if how == "fail" else "")

    run(test())
    assert seen == [SECRET]


@pytest.mark.parametrize(
    ("writes_with", "accepts"),
    [([OLD], [NEW, OLD]), ([NEW, OLD], [OLD, NEW]), ([NEW], ["none", NEW]), (["none", NEW], [NEW, "none"])],
)
def test_rotation_what_an_old_key_encrypted_is_read_and_what_is_answered_too(
    writes_with: list[str], accepts: list[str]
) -> None:
    url = memory_url()
    client, _ = ours(broker_url=url, encryption_keys=writes_with)
    worker, seen = ours(broker_url=url, encryption_keys=accepts)

    async def test() -> None:
        job = await client.tasks["use"].enqueue("return", SECRET)
        async with working(worker):
            assert await worker.job(job.id).result(timeout=5) == SECRET
        await client.close()

    run(test())
    assert seen == [SECRET]


def test_a_foreign_program_encrypts_with_what_the_page_says() -> None:
    app, seen = ours()

    async def test() -> None:
        job_id = await put(app, GOOD, job_id="the-job")
        async with working(app):
            assert (await stored_record(app, job_id)).state is JobState.SUCCEEDED

    run(test())
    assert seen == [SECRET]


WRONG = {
    "not encrypted": (INNER, "it is not encrypted, and only encrypted jobs are taken here"),
    "cut off inside": (cut(GOOD, 60), r"it cannot be decrypted \(key 'new'\)"),
    "cut off early": (cut(GOOD, 43), "cut off"),
    "nothing left": (cut(GOOD, 0), "cut off"),
    "cut off in the base64": (GOOD[:-4] + b'"]}', "cut off, or is not base64"),
    "cut off in the message": (GOOD[:-10], "truncated"),
    "a key nobody has": (encrypted(INNER, text=STRANGE), "key 'strange', which is not among encryption_keys"),
    "a stranger with our key's id": (encrypted(INNER, text="new:" + STRANGE.partition(":")[2]), "cannot be decrypted"),
    "for another job": (encrypted(INNER, PLACE.replace(b"the-job", b"that-job")), "cannot be decrypted"),
    "for another queue": (encrypted(INNER, PLACE.replace(b"default", b"other")), "cannot be decrypted"),
    "for another namespace": (encrypted(INNER, PLACE.replace(b"test", b"shop")), "cannot be decrypted"),
    "a record, not a job": (encrypted(INNER, PLACE.replace(b"job-1", b"record-1")), "cannot be decrypted"),
    "another task outside": (encrypted(INNER, outside="harmless"), "names one task outside and another in"),
    "encrypted twice": (encrypted(GOOD), "it is encrypted, and there are no encryption_keys"),
    "no job inside": (encrypted(b"[]"), "malformed job"),
    "no key": (json.dumps({"v": 1, "task": "use", "codec": "encrypted"}).encode(), "the key's id and the text"),
    "numbers": (json.dumps({"v": 1, "task": "use", "codec": "encrypted", "args": [1, 2]}).encode(), "the key's id"),
    "not ascii": (
        json.dumps({"v": 1, "task": "use", "codec": "encrypted", "args": ["new", "ü" * 80]}).encode(),
        "not base64",
    ),
    "a pickle inside": (encrypted(b'{"v":1,"task":"use","codec":"pickle","args":["gASVAAAA"]}'), "are pickled"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_decrypted_goes_raw_to_the_dead_letters(what: str) -> None:
    app, seen = ours()
    payload, reason = WRONG[what]

    async def test() -> None:
        said = await refused(app, payload, job_id="the-job")
        assert said.startswith("malformed job: ")
        assert re.search(reason, said), said
        assert SECRET not in said

    run(test())
    assert seen == []


def test_every_changed_byte_is_noticed() -> None:
    keys = keyring((NEW,))
    assert keys is not None
    key_id, text = cipher.encrypt(keys, PLACE, b"abc")
    assert cipher.decrypt(keys, PLACE, key_id, text) == b"abc"
    sealed = bytearray(base64.b64decode(text))
    for index in range(len(sealed)):
        sealed[index] ^= 1
        with pytest.raises(SerializationError, match="cannot be decrypted"):
            cipher.decrypt(keys, PLACE, key_id, base64.b64encode(sealed).decode())
        sealed[index] ^= 1


def test_the_same_job_is_never_encrypted_the_same() -> None:
    keys = keyring((NEW,))
    assert keys is not None
    assert len({cipher.encrypt(keys, PLACE, b"abc") for _ in range(100)}) == 100


def test_an_encrypted_job_without_keys_is_refused_and_not_run_without_arguments() -> None:
    app = make_app()
    seen: list[Any] = []

    @app.task(name="use")
    async def use(*args: Any, **kwargs: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        seen.append((args, kwargs))

    async def test() -> None:
        assert "it is encrypted, and there are no encryption_keys here" in await refused(app, GOOD)

    run(test())
    assert seen == []


def test_encryption_alone_accepts_no_plain_job_but_with_none_it_does() -> None:
    app, seen = ours(encryption_keys=[NEW, "none"])

    async def test() -> None:
        await put(app, INNER)
        await put(app, GOOD, job_id="the-job")
        async with working(app) as worker:
            await until(lambda: worker.processed == 2)
        assert await letters(app) == []

    run(test())
    assert seen == [SECRET, SECRET]


def test_signed_and_encrypted_the_signature_is_outside_and_comes_first() -> None:
    """What is not signed is not even decrypted."""
    app, seen = ours(signing_keys=[key("signs")])

    async def test() -> None:
        assert "it is not signed" in await refused(app, GOOD, job_id="the-job")

    run(test())
    assert seen == []


@pytest.mark.parametrize("signing", [[], [key("signs")]])
def test_an_encrypted_job_over_the_limit_is_refused_by_the_client_and_one_below_survives_its_retries(
    signing: list[str],
) -> None:
    app, seen = ours(max_payload=3000, signing_keys=signing)

    async def test() -> None:
        with pytest.raises(PayloadTooLarge, match=r"once it is signed or encrypted, more than the limit of 3000"):
            await app.tasks["use"].enqueue("return", "x" * 2500)
        async with working(app):
            long = "x" * 1200
            assert await (await app.tasks["use"].enqueue("retry", long)).result(timeout=5) == long

    run(test())
    assert len(seen) == 2


def test_a_dead_job_that_is_run_again_is_still_encrypted() -> None:
    app, seen = ours()

    async def test() -> None:
        async with working(app):
            job = await app.tasks["use"].enqueue("fail", SECRET)
            await stored_record(app, job.id)
            async with store(app) as backend:
                assert await backend.requeue(job.id)
            await until(lambda: len(seen) == 4)
            assert (await stored_record(app, job.id)).run == 2

    run(test())
    assert seen == [SECRET] * 4

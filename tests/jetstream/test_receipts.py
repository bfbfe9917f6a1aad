"""Ack subjects in both forms (trap 9): servers with `js_ack_fc_v2` put the domain and the account before the stream."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from jetstream_tools import claim_all, claim_one, job, opened, operator, server_with, story, succeeded

from naq.backends.base import Settled
from naq.backends.nats.messages import Receipt

V1 = b"$JS.ACK.NAQ_default_JOBS.mail_n.3.1234.5678.1795332288463530000.42"
V2 = b"$JS.ACK.hub.ABCDEF.NAQ_default_JOBS.mail_n.3.1234.5678.1795332288463530000.42"


@pytest.mark.parametrize("receipt", [V1, V2, V2 + b".token"], ids=["v1", "v2", "v2 with a token"])
def test_both_forms_are_read(receipt: bytes) -> None:
    read = Receipt(receipt)
    assert (read.delivered, read.sequence, read.pending) == (3, 1234, 42)


def _config(directory: Path, flags: str) -> str:
    return f'jetstream {{ store_dir: "{directory}/js", max_file_store: 256MB, max_memory_store: 64MB }}\n{flags}'


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_life_of_jobs_on_a_server_with_each_form(tmp_path: Path, version: str) -> None:
    flag = "true" if version == "v2" else "false"

    async def body() -> None:
        with server_with(tmp_path, _config(tmp_path, f"feature_flags {{ js_ack_fc_v2: {flag} }}")) as url:
            async with opened(url, "both", lease=2.0) as backend, operator(url) as admin:
                await backend.enqueue([job("both") for _ in range(300)])
                first = await claim_one(backend, "both")
                words = first.receipt.count(b".") + 1
                assert words == 9 if version == "v1" else words >= 11, first.receipt
                await backend.release(first)
                claims = await claim_all(backend, "both", 300)
                assert {claim.delivered for claim in claims} == {1, 2}
                extended = await backend.extend(claims[:10], lease=2.0)
                assert len(extended.deadlines) == 10
                await backend.retry(claims[0], delay=0.1)
                for claim in claims[1:]:
                    assert await backend.complete(claim, succeeded(claim)) is Settled.DONE
                again = await claim_one(backend, "both")
                assert again.job.attempt == 2
                await backend.reject(again, reason="no job")
                await backend.link.flush()
                assert await admin.stored() == 0
                [stats] = await backend.stats(["both"])
                assert (stats.queued, stats.running) == (0, 0)

    asyncio.run(body())


@story
async def test_rescue_and_hand_back_with_the_second_form(tmp_path: Path) -> None:
    """What else reads or uses receipts."""
    with server_with(tmp_path, _config(tmp_path, "feature_flags { js_ack_fc_v2: true }")) as url:
        async with opened(url, "back") as backend:
            await backend.enqueue([spec := job("back")])
            claim = await claim_one(backend, "back")
            subject = backend.subjects.ready("back", "normal", spec.id).encode()
            await backend.hand_back((subject, claim.receipt, spec.payload, b""))
            again = await claim_one(backend, "back")
            assert (again.job.id, again.delivered) == (spec.id, 1)
            backend.settle(again.receipt, b"-NAK")
            assert (await claim_one(backend, "back")).delivered == 2

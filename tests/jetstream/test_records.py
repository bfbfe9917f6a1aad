"""The final record: compared and set, first writer wins, whoever crashes in between (RELIABILITY.md 5.3)."""

from __future__ import annotations

import asyncio

import pytest
from jetstream_tools import (
    JOBS,
    PAYLOAD,
    claim_all,
    claim_one,
    eventually,
    job,
    opened,
    operator,
    story,
    succeeded,
    until,
)

from naq.backends.base import Event, Settled
from naq.backends.nats.broker.process import ServerProcess
from naq.exceptions import NaqConnectionError
from naq.job import JobRecord, JobSpec, JobState
from naq.testing.proxy import DOWN, FaultProxy


@story
async def test_fifty_race_and_one_wins(shared: ServerProcess) -> None:
    async with opened(shared.url, "race") as one, opened(shared.url, "race") as two:
        for _ in range(20):
            await one.enqueue([spec := job("race")])
            claim = await claim_one(one, "race")
            racers = [
                (two if number % 2 else one).complete(claim, succeeded(claim, worker=f"w{number}"))
                for number in range(50)
            ]
            outcomes = await asyncio.gather(*racers)
            assert sorted(outcomes) == [Settled.DONE, *[Settled.SUPERSEDED] * 49]
            record = await two.get(spec.id)
            assert record is not None
            assert record.worker == f"w{outcomes.index(Settled.DONE)}"


@story
async def test_an_event_with_an_id_whose_answer_is_lost_is_stored_once(server: ServerProcess) -> None:
    """It is sent again as long as nobody answers, and once more by whoever was told that it may not be stored."""
    with FaultProxy(server.url) as proxy:
        async with opened(proxy.url, "events", publish_timeout=3) as backend, opened(server.url, "events") as other:
            events = [Event(kind="log", job_id=f"j{n}", queue="events", data=b"{}", id=f"e{n}") for n in range(3)]
            proxy.drop(DOWN)
            with pytest.raises(NaqConnectionError):
                await backend.append(events)
            proxy.reset()
            proxy.heal()
            await backend.append([*events, Event(kind="log", job_id="j3", queue="events", data=b"{}")])
            assert [event.job_id for _, event in await other.read(kind="log")] == ["j0", "j1", "j2", "j3"]


@story
async def test_a_record_whose_answer_is_lost_is_known_as_our_own(server: ServerProcess) -> None:
    """The try after it conflicts with it, and says done; with another's it says superseded."""
    with FaultProxy(server.url) as proxy:
        async with opened(proxy.url, "own") as backend, opened(server.url, "own") as other:
            await other.enqueue([mine := job("own"), theirs := job("own")])
            claims = {claim.job.id: claim for claim in await claim_all(backend, "own", 2)}
            proxy.drop(DOWN)
            ours = asyncio.create_task(backend.complete(claims[mine.id], succeeded(claims[mine.id])))
            lost = asyncio.create_task(backend.complete(claims[theirs.id], succeeded(claims[theirs.id], worker="w1")))
            await other.complete(claims[theirs.id], succeeded(claims[theirs.id], worker="w2"))
            await other.wait(mine.id, timeout=10)
            proxy.reset()
            proxy.heal()
            assert await ours is Settled.DONE
            record = await other.wait(theirs.id, timeout=10)
            assert await lost is (Settled.DONE if record.worker == "w1" else Settled.SUPERSEDED)


@story
async def test_a_repeated_publish_says_so_and_is_looked_up(server: ServerProcess) -> None:
    """Stored, run and acked before its answer was lost: the repeat must not run again."""
    with FaultProxy(server.url) as proxy:
        async with opened(proxy.url, "flag") as producer, opened(server.url, "flag") as worker:
            proxy.drop(DOWN)
            spec = job("flag")
            storing = asyncio.create_task(producer.enqueue([spec]))
            claim = await claim_one(worker, "flag")
            assert claim.job.fresh
            await worker.complete(claim, succeeded(claim))
            await worker.link.flush()
            proxy.reset()
            proxy.heal()
            await storing
            again = await claim_one(worker, "flag")
            assert (again.job.id, again.delivered, again.job.fresh) == (spec.id, 1, False)
            known = await worker.lookup(again)
            assert known is not None
            assert known.state is JobState.SUCCEEDED
            await worker.drop(again)
            assert await worker.fetch(["flag"], limit=1, lease=30, wait=0.3) == []


@story
async def test_an_id_that_has_run_is_dropped_when_it_is_stored_again(server: ServerProcess) -> None:
    """Fault 27: also when the server was killed in between, which makes it forget what it had de-duplicated (0.4)."""
    async with opened(server.url, "id") as backend:
        spec = JobSpec(id="chosen", queue="id", payload=PAYLOAD)
        await backend.enqueue([spec])
        claim = await claim_one(backend, "id")
        await backend.complete(claim, succeeded(claim))
        wire = backend.link.wire
        server.restart(kill=True)
        await until(lambda: backend.link.wire not in {wire, None}, "the connection to be back")
        [result] = await backend.enqueue([spec])
        if not result.duplicate:
            again = await claim_one(backend, "id")
            assert not again.job.fresh
            assert await backend.lookup(again) is not None
            await backend.drop(again)
        record = await backend.wait("chosen", timeout=5)
        assert record.finished_at == succeeded_at(await backend.get("chosen"))


def succeeded_at(record: JobRecord | None) -> float:
    assert record is not None
    assert record.state is JobState.SUCCEEDED
    return record.finished_at


@story
async def test_a_thousand_producers_of_one_id_store_one_job(shared: ServerProcess) -> None:
    async with opened(shared.url, "same") as one, opened(shared.url, "same") as two, operator(shared.url) as admin:
        before = await admin.stored()
        specs = [JobSpec(id="same", queue="same", payload=PAYLOAD) for _ in range(1000)]
        results = await asyncio.gather(*((one if n % 2 else two).enqueue([spec]) for n, spec in enumerate(specs)))
        assert [result.duplicate for [result] in results].count(False) == 1
        assert await admin.stored() == before + 1
        # In another priority, queue or as a timer it is the same job.
        for other in (
            JobSpec(id="same", queue="same", priority="high", payload=PAYLOAD),
            JobSpec(id="same", queue="elsewhere", payload=PAYLOAD),
            JobSpec(id="same", queue="same", payload=PAYLOAD, run_at=4e9),
        ):
            [result] = await one.enqueue([other])
            assert result.duplicate
        assert await admin.stored() == before + 1


HOSTILE = ["", "*", ">", "a.b", "a b", "a\r\nPUB x 0\r\n\r\n", "a\tb", "a\x00b", "é", "x" * 65, "$SYS", "a/b"]


@pytest.mark.parametrize("name", HOSTILE, ids=[repr(name)[:12] for name in HOSTILE])
def test_a_hostile_name_never_reaches_the_wire(shared: ServerProcess, name: str) -> None:
    """Trap 13: nats-py publishes to `j.*` and `j.>`, and the server stores it."""

    async def body() -> None:
        async with opened(shared.url, "names") as backend, operator(shared.url) as admin:
            before = await admin.stored()
            wire = backend.link.wire
            for bad in (job(name), job("names", id=name), job("names", id=name, fresh=False), job(name, run_at=4e9)):
                with pytest.raises(Exception, match="not allowed"):
                    await backend.enqueue([bad])
                with pytest.raises(Exception, match="not allowed"):
                    await backend.enqueue([*(job("names") for _ in range(100)), bad])
            await backend.link.flush()
            assert await admin.stored() == before
            assert backend.link.wire is wire

    asyncio.run(body())


@pytest.mark.parametrize("subject", ["naq.default.j.q.odd.n.-.a~b", "naq.default.j.q.odd.n.-.größe"])
def test_a_foreign_message_with_an_odd_id_becomes_a_dead_letter(shared: ServerProcess, subject: str) -> None:
    """What no producer of ours would store, somebody else may."""

    async def body() -> None:
        async with opened(shared.url, "odd") as backend, operator(shared.url) as admin:
            before = len(await backend.dead())
            await admin.store(subject, b"whatever", Naq_Run="many", Naq_Attempt="x")
            await backend.enqueue([spec := job("odd")])
            claim = await claim_one(backend, "odd")
            assert claim.job.id == spec.id
            await backend.complete(claim, succeeded(claim))

            async def buried() -> bool:
                return len(await backend.dead()) == before + 1

            await eventually(buried, "the dead letter")
            [letter] = await backend.dead(limit=1)
            assert (letter.kind, letter.queue, letter.payload) == ("malformed", "odd", b"whatever")
            await backend.link.flush()
            listed = await admin.must(f"STREAM.INFO.{JOBS}", {"subjects_filter": "naq.default.j.q.odd.>"})
            assert not listed["state"].get("subjects")

    asyncio.run(body())

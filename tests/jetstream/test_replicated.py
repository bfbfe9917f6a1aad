"""Three servers: nothing is lost when one dies, nobody loops when two do, one record however many write it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator

import pytest
from jetstream_tools import JOBS, claim_all, claim_one, job, opened, operator, story, succeeded, until

from naq.backends.base import Settled
from naq.backends.nats.backend import NatsBackend
from naq.config import Config
from naq.exceptions import ConfigurationError, NaqConnectionError
from naq.testing.broker import ClusterOfServers, cluster
from naq.testing.proxy import UP, FaultProxy

pytestmark = pytest.mark.cluster

ELECTION = 30.0  # seconds; 4 to 9 on an idle machine


@pytest.fixture(scope="module")
def formed(tmp_path_factory: pytest.TempPathFactory) -> Generator[ClusterOfServers]:
    with cluster(directory=tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


@pytest.fixture
def nodes(formed: ClusterOfServers) -> ClusterOfServers:
    """All three, up."""
    formed.start()
    return formed


@story
async def test_everything_has_three_copies(nodes: ClusterOfServers) -> None:
    async with opened(nodes.url, "copies", durability="replicated"), operator(nodes.servers[0].url) as admin:
        for stream in ("JOBS", "LOG", "DEAD", "STATE", "LIVE"):
            info = await admin.must(f"STREAM.INFO.NAQ_default_{stream}")
            assert info["config"]["num_replicas"] == 3
            assert len(info["cluster"]["replicas"]) == 2
        assert len((await admin.consumer("copies_n"))["cluster"]["replicas"]) == 2


@story
async def test_streams_with_fewer_copies_than_asked_for_are_refused(nodes: ClusterOfServers) -> None:
    async with opened(nodes.url, namespace="fewer"):
        pass
    backend = NatsBackend(Config(broker_url=nodes.url, namespace="fewer", durability="replicated"))
    with pytest.raises(ConfigurationError, match=r"1 copy of its messages.*--replicas 3"):
        await backend.open()
    await backend.close()


@story
async def test_records_race_through_three_servers(nodes: ClusterOfServers) -> None:
    async with (
        opened(nodes.servers[0].url, "race", durability="replicated") as one,
        opened(nodes.servers[1].url, "race", durability="replicated") as two,
        opened(nodes.servers[2].url, "race", durability="replicated") as three,
    ):
        backends = (one, two, three)
        for _ in range(20):
            await one.enqueue([spec := job("race")])
            claim = await claim_one(two, "race")
            racers = [backends[n % 3].complete(claim, succeeded(claim, worker=f"w{n}")) for n in range(15)]
            outcomes = await asyncio.gather(*racers)
            assert sorted(outcomes) == [Settled.DONE, *[Settled.SUPERSEDED] * 14]
            record = await three.wait(spec.id, timeout=10)
            assert record.worker == f"w{outcomes.index(Settled.DONE)}"


@story
async def test_the_leader_is_killed_under_load(nodes: ClusterOfServers) -> None:
    """What was accepted is worked off once; the others take over within an election."""
    async with (
        opened(nodes.url, "load", durability="replicated") as producer,
        opened(nodes.url, "load", durability="replicated") as worker,
    ):
        accepted: set[str] = set()
        done: dict[str, int] = {}
        stop = asyncio.Event()

        async def produce() -> None:
            while not stop.is_set():
                jobs = [job("load") for _ in range(10)]
                await producer.enqueue(jobs, timeout=ELECTION)
                accepted.update(spec.id for spec in jobs)
                await asyncio.sleep(0.01)

        async def work() -> None:
            while not (stop.is_set() and accepted <= set(done)):
                for claim in await worker.fetch(["load"], limit=20, lease=30, wait=1):
                    known = None
                    if claim.delivered > 1 or not claim.job.fresh:
                        known = await worker.lookup(claim)
                    if known is None and await worker.complete(claim, succeeded(claim)) is Settled.DONE:
                        done[claim.job.id] = done.get(claim.job.id, 0) + 1
                    elif known is not None:
                        await worker.drop(claim)

        producing, working = asyncio.create_task(produce()), asyncio.create_task(work())
        await until(lambda: len(done) > 100, "jobs to flow")
        leader = nodes.stream_leader(JOBS)
        assert leader is not None
        leader.kill()
        flowed = len(done)
        await until(lambda: len(done) > flowed + 200, "jobs to flow again", within=ELECTION)
        await asyncio.to_thread(leader.start)
        stop.set()
        async with asyncio.timeout(60):
            await asyncio.gather(producing, working)
        assert accepted <= set(done)
        assert set(done.values()) == {1}, "one record each"


@story
async def test_without_a_majority_nobody_loops_and_calls_end_in_time(nodes: ClusterOfServers) -> None:
    """Trap 11: a leaderless consumer refuses at once; asked in a loop, 58,000 times in ten seconds."""
    async with opened(nodes.url, "alone", durability="replicated"):
        pass
    alone, *others = nodes.servers
    with FaultProxy(alone.url) as proxy:
        async with opened(proxy.url, "alone", durability="replicated", publish_timeout=3.0) as backend:
            for other in others:
                other.kill()
            fetching = asyncio.create_task(backend.fetch(["alone"], limit=10, lease=30, wait=ELECTION * 2))
            begin = time.monotonic()
            with pytest.raises(NaqConnectionError):
                await backend.enqueue([job("alone")])
            with pytest.raises(NaqConnectionError):
                await backend.enqueue([job("alone") for _ in range(100)])
            assert time.monotonic() - begin < 9
            before, begin = proxy.passed(UP), time.monotonic()
            await asyncio.sleep(4)
            rate = (proxy.passed(UP) - before) / (time.monotonic() - begin)
            assert rate < 50 * 200, "bytes a second: fewer than 50 requests"
            await asyncio.to_thread(nodes.start, timeout=60)
            await backend.enqueue([spec := job("alone")], timeout=ELECTION)
            claims = await asyncio.wait_for(fetching, ELECTION)
            mine = [claim.job.id for claim in claims]
            while spec.id not in mine:  # what was refused as unknown may have been stored after all
                mine += [claim.job.id for claim in await claim_all(backend, "alone", 1)]


@story
async def test_a_server_leaves_and_its_clients_go_elsewhere(nodes: ClusterOfServers) -> None:
    """One address was enough: the others were heard of."""
    async with opened(nodes.servers[1].url, "else", durability="replicated") as backend:
        wire = backend.link.wire
        nodes.servers[1].kill()
        await until(lambda: backend.link.wire not in {wire, None}, "a connection to another server")
        await backend.enqueue([job("else")], timeout=ELECTION)
        assert len(await backend.fetch(["else"], limit=1, lease=30, wait=ELECTION)) == 1

"""Streams and consumers: made on demand, and refused where jobs would be lost (RELIABILITY.md 5.2, 5.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jetstream_tools import JOBS, claim_one, job, opened, operator, server_with, story

from naq.backends.nats import topology
from naq.backends.nats.backend import NatsBackend
from naq.backends.nats.broker.process import ServerProcess
from naq.backends.nats.subjects import Subjects
from naq.config import Config, Durability
from naq.exceptions import ConfigurationError

Change = Callable[[dict[str, Any]], dict[str, Any]]

BAD: dict[str, Change] = {
    "limits": lambda c: c | {"max_msgs": 1000},
    "bytes": lambda c: c | {"max_bytes": 1_000_000},
    "age": lambda c: c | {"max_age": 3600 * 10**9},
    "discard new": lambda c: {k: v for k, v in c.items() if k != "allow_msg_schedules"} | {"discard": "new"},
    "no schedules": lambda c: {k: v for k, v in c.items() if k != "allow_msg_schedules"},
    "not a work queue": lambda c: c | {"retention": "limits"},
    "memory": lambda c: c | {"storage": "memory"},
    "many a subject": lambda c: c | {"max_msgs_per_subject": -1},
    "other subjects": lambda c: c | {"subjects": ["elsewhere.>"]},
}


def wanted(namespace: str, stream: str = "JOBS") -> dict[str, Any]:
    """The configuration that naq would make."""
    name = f"NAQ_{namespace}_{stream}"
    return next(c for c in topology.streams(Config(), Subjects(namespace)) if c["name"] == name)


@pytest.mark.parametrize("fault", BAD)
def test_a_stream_that_would_lose_jobs_is_refused(shared: ServerProcess, fault: str) -> None:
    namespace = "bad-" + fault.replace(" ", "-")

    async def body() -> None:
        async with operator(shared.url) as admin:
            await admin.must(f"STREAM.CREATE.NAQ_{namespace}_JOBS", BAD[fault](wanted(namespace)))
            backend = NatsBackend(Config(broker_url=shared.url, namespace=namespace))
            with pytest.raises(ConfigurationError, match=f"NAQ_{namespace}_JOBS has .*, naq needs"):
                await backend.open()
            await backend.close()
            await admin.must(f"STREAM.DELETE.NAQ_{namespace}_JOBS")

    asyncio.run(body())


@story
async def test_another_s_stream_on_our_subjects_is_refused(shared: ServerProcess) -> None:
    async with operator(shared.url) as admin:
        await admin.must("STREAM.CREATE.THEIRS", {"name": "THEIRS", "subjects": ["naq.theirs.j.q.>"]})
        backend = NatsBackend(Config(broker_url=shared.url, namespace="theirs"))
        with pytest.raises(ConfigurationError, match="subjects overlap"):
            await backend.open()
        await backend.close()


FOREIGN: dict[str, dict[str, Any]] = {
    "over our lanes": {"filter_subject": "naq.default.j.q.mine.>"},
    "over the timers": {"filter_subject": "naq.default.j.s.>"},
    "over all": {},
    "two filters": {"filter_subjects": ["naq.default.j.s.>", "naq.default.j.b.>"]},
    "our name, their filter": {"filter_subject": "naq.default.j.q.other.>", "durable_name": "mine_n"},
    "gives up": {"filter_subject": "naq.default.j.q.mine.n.*.*", "durable_name": "mine_n", "max_deliver": 3},
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_consumer_that_would_eat_jobs_is_refused(server: ServerProcess, kind: str) -> None:
    async def body() -> None:
        async with operator(server.url) as admin:
            async with opened(server.url):
                pass
            config = {"durable_name": "theirs", "ack_policy": "explicit", "deliver_policy": "all"} | FOREIGN[kind]
            name = config["durable_name"]
            body = {"stream_name": JOBS, "config": config, "action": "create"}
            await admin.must(f"CONSUMER.DURABLE.CREATE.{JOBS}.{name}", body)
            backend = NatsBackend(Config(broker_url=server.url))
            with pytest.raises(ConfigurationError, match=f"consumer.* {name}|consumer '{name}'"):
                await backend.open(["mine"])
            await backend.close()
            await admin.must(f"CONSUMER.DELETE.{JOBS}.{name}")
            async with opened(server.url, "mine") as backend:
                await backend.enqueue([job("mine")])
                await claim_one(backend, "mine")

    asyncio.run(body())


@story
async def test_a_consumer_made_while_we_run_is_refused_when_it_is_in_the_way(server: ServerProcess) -> None:
    async with opened(server.url) as backend, operator(server.url) as admin:
        config = {"durable_name": "theirs", "ack_policy": "explicit", "filter_subject": "naq.default.j.q.late.>"}
        body = {"stream_name": JOBS, "config": config, "action": "create"}
        await admin.must(f"CONSUMER.DURABLE.CREATE.{JOBS}.theirs", body)
        with pytest.raises(ConfigurationError, match="refused"):
            await backend.open(["late"])


@story
async def test_everything_is_made_once_however_many_come_at_once(server: ServerProcess) -> None:
    backends = [NatsBackend(Config(broker_url=server.url)) for _ in range(8)]
    await asyncio.gather(*(backend.open(["one", "two"]) for backend in backends))
    async with operator(server.url) as admin:
        names = (await admin.must(f"CONSUMER.NAMES.{JOBS}"))["consumers"]
        assert sorted(names) == sorted(f"{queue}_{letter}" for queue in ("one", "two") for letter in "hnl")
    await asyncio.gather(*(backend.close() for backend in backends))


@story
async def test_a_longer_lease_raises_the_fleet_s_and_a_shorter_one_leaves_it(server: ServerProcess) -> None:
    """A claim's own deadline may never lie beyond the broker's."""
    async with operator(server.url) as admin:
        for lease, kept in ((10.0, 10.0), (20.0, 20.0), (5.0, 20.0)):
            async with opened(server.url, "lease", lease=lease) as worker:
                await worker.fetch(["lease"], limit=1, lease=lease, wait=0.01)
                for letter in "hnl":
                    assert (await admin.consumer(f"lease_{letter}"))["config"]["ack_wait"] == kept * 10**9


@story
async def test_who_does_not_claim_leaves_the_lease_as_it_is(server: ServerProcess) -> None:
    """A producer or a command with the default among workers with a shorter one; it makes what is missing."""
    async with operator(server.url) as admin, opened(server.url, "short", lease=5.0) as worker:
        await worker.fetch(["short"], limit=1, lease=5.0, wait=0.01)
        async with opened(server.url, "short", "other", lease=30.0) as producer:
            await producer.enqueue([job("short"), job("other")])
            await producer.limit("short", 3)
            await producer.pause("short")
            await producer.resume("short")
        for letter in "hnl":
            assert (await admin.consumer(f"short_{letter}"))["config"]["ack_wait"] == 5 * 10**9
        assert (await admin.consumer("other_n"))["config"]["ack_wait"] == 30 * 10**9


@story
async def test_a_limit_keeps_the_lease_and_the_pause(server: ServerProcess) -> None:
    async with opened(server.url, "held", lease=10.0) as first, opened(server.url, "held", lease=5.0) as second:
        await first.pause("held")
        await second.limit("held", 3)
        [stats] = await second.stats(["held"])
        assert (stats.paused, stats.limit) == (True, 3)
        async with operator(server.url) as admin:
            assert (await admin.consumer("held_n"))["config"]["ack_wait"] == 10 * 10**9
        await first.resume("held")
        [stats] = await first.stats(["held"])
        assert (stats.paused, stats.limit) == (False, 3)


@pytest.mark.parametrize("durability", ["replicated", "replicated-strict"])
def test_copies_on_a_single_server_are_refused_before_anything_is_stored(
    server: ServerProcess, durability: Durability
) -> None:
    async def body() -> None:
        backend = NatsBackend(Config(broker_url=server.url, durability=durability))
        with pytest.raises(ConfigurationError, match="keeps 3 copies, the broker has 1 server"):
            await backend.open(["q"])
        await backend.close()
        async with operator(server.url) as admin:
            assert not (await admin.must("STREAM.NAMES")).get("streams")

    asyncio.run(body())


def test_what_info_tells_of_a_server_decides() -> None:
    """Pure: versions and clusters that are not at hand."""
    alone = {"version": "2.15.1"}
    clustered = alone | {"cluster": "c"}
    for durability, server, good in (
        ("standard", alone, True),
        ("strict", alone, True),
        ("standard", clustered, True),
        ("replicated", clustered, True),
        ("replicated", alone, False),
        ("replicated-strict", clustered, True),
        ("replicated-strict", {"version": "2.14.2", "cluster": "c"}, False),
        ("replicated", {"version": "2.14.2", "cluster": "c"}, True),
    ):
        config = Config(durability=durability)  # pyright: ignore[reportArgumentType]
        if good:
            topology.check_server(config, server)
        else:
            with pytest.raises(ConfigurationError, match=durability):
                topology.check_server(config, server)


@story
async def test_jetstream_off_for_the_account_is_said(tmp_path: Path) -> None:
    lines = f'jetstream {{ store_dir: "{tmp_path}/js" }}\naccounts {{ A {{ users: [{{user: a, password: a}}] }} }}\n'
    with server_with(tmp_path, lines) as url:
        backend = NatsBackend(Config(broker_url=url, user="a", password="a"))
        with pytest.raises(ConfigurationError, match="JetStream is off"):
            await backend.open()
        await backend.close()


@pytest.mark.parametrize(("setting", "stream"), [("dead_ttl", "DEAD"), ("record_ttl", "LOG")])
@story
async def test_the_leader_applies_another_age_and_a_producer_does_not(
    server: ServerProcess, setting: str, stream: str
) -> None:
    """Longer, then shorter than the window of duplicates; what an operator set besides stays, and messages too."""
    async with operator(server.url) as admin:
        name = f"NAQ_aged_{stream}"

        async def config() -> dict[str, Any]:
            return (await admin.must(f"STREAM.INFO.{name}"))["config"]

        async with opened(server.url, "q", namespace="aged", **{setting: 3600.0}):
            made = await config()
        assert made["max_age"] == 3600 * 10**9
        await admin.must(f"STREAM.UPDATE.{name}", made | {"description": "ours"})
        for seconds in (7200, 60):
            async with opened(server.url, namespace="aged", **{setting: float(seconds)}) as leader:
                await leader.maintain()
                has = await config()
                assert (has["max_age"], has["description"]) == (seconds * 10**9, "ours")
                assert has["duplicate_window"] == min(120, seconds) * 10**9
            async with opened(server.url, "q", namespace="aged") as producer:
                await producer.enqueue([job("q")])
                assert (await config())["max_age"] == seconds * 10**9

